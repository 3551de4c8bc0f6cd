"""Where a job stands, and why nothing moves: true for each cause, and of others no more than numbers."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core import accounts, ledger
from core.errors import NotFound
from core.states import JobState
from tests.fixtures import Installation

FILE = b"id,text\n1,what a day\n2,never again\n3,oh well\n"


def add_worker(installation: Installation, model: str, *, draining: bool = False) -> None:
    with installation.db.transaction() as session:
        session.execute(
            text("INSERT INTO worker (id, models, slots, draining) VALUES (:id, ARRAY[:model], 1, :draining)"),
            {"id": f"{model}{draining}", "model": model, "draining": draining},
        )


@pytest.fixture
def other(installation: Installation) -> Installation:
    """The same installation, as another account uses it."""
    with installation.db.transaction() as session:
        account_id = accounts.create_account(session, "another")
    return Installation(
        installation.settings,
        installation.db,
        installation.web_db,
        installation.storage,
        installation.model,
        account_id,
    )


def test_the_reasons_follow_one_another(installation: Installation):
    job_id = installation.accept(FILE)
    said = lambda: installation.status(job_id).waiting_for  # noqa: E731
    assert said() == "Waiting for a worker: none is alive."
    add_worker(installation, "another")
    assert said() == f"Waiting for a worker that has model {installation.model.version}: none of the 1 alive has it."
    add_worker(installation, installation.model.sha256, draining=True)
    assert said() == "Waiting for a worker: those that are alive have been told to take no more work."
    add_worker(installation, installation.model.sha256)
    assert said() == "Waiting for a free worker."
    installation.run()
    assert said() is None


def test_what_is_before_a_job_is_told_in_numbers(installation: Installation, other: Installation):
    add_worker(installation, installation.model.sha256)
    first, strange, mine = installation.accept(FILE), other.accept(FILE), installation.accept(FILE)
    with installation.db.transaction() as session:
        session.execute(text("UPDATE job SET rows_total = 3, rows_ok = 1 WHERE id = :id"), {"id": first})
        session.execute(text("UPDATE job SET rows_total = 1200 WHERE id = :id"), {"id": strange})
    status = installation.status(mine)
    assert (status.jobs_before, status.rows_before) == (2, 1202)
    assert status.waiting_for is not None
    assert status.waiting_for.startswith("Waiting for its turn behind 2 jobs with 1,202 rows to go, 1 of them yours.")
    assert (other.status(strange).waiting_for or "").startswith(
        "Waiting for its turn behind one job with 2 rows to go."
    )
    with installation.db.transaction() as session:
        ledger.close_job(session, strange, JobState.CANCELLED)
    assert (installation.status(mine).waiting_for or "").startswith(
        "Waiting for its turn behind one job with 2 rows to go, yours."
    )


def test_the_queue_of_another_accounts_job_is_nobodys_business(installation: Installation, other: Installation):
    installation.accept(FILE)
    mine = installation.accept(FILE)
    with pytest.raises(NotFound):
        other.status(mine)
    with other.web_db.transaction(other.account_id) as session:
        row = session.execute(text("SELECT * FROM queue_before(:id)"), {"id": mine}).one()
    assert tuple(row) == (0, 0, 0)
