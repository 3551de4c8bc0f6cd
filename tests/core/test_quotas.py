"""What one account may use: each limit, whose they are, and that they are counted by the ledger."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import text

from core import quotas, removal
from core.errors import LimitExceeded, TooMany

CSV = b"id,text\n1,a first sentence\n2,another sentence\n"


def use(installation):
    with installation.web_db.transaction(installation.account_id) as session:
        return quotas.use_of(session, installation.account_id)


def limit(installation, **limits: int | None) -> None:
    with installation.db.transaction() as session:
        quotas.set_quota(session, installation.account_id, **limits)


@pytest.fixture
def installation(installation, db):
    """An account of its own, so that no row of another test counts."""
    from core import accounts

    with db.transaction() as session:
        installation.account_id = accounts.create_account(session, "limited")
    return installation


def test_an_accounts_limits_are_the_settings_but_for_its_own(installation, settings):
    limit(installation, rows_a_day=5, uploads=0)
    with installation.web_db.transaction(installation.account_id) as session:
        found = quotas.limits_of(session, settings, installation.account_id)
    assert (found.rows_a_day, found.uploads, found.active_jobs) == (5, 0, settings.max_active_jobs)
    limit(installation, rows_a_day=None)
    with installation.web_db.transaction(installation.account_id) as session:
        found = quotas.limits_of(session, settings, installation.account_id)
    assert found.rows_a_day == settings.max_rows_a_day
    with pytest.raises(TypeError):
        limit(installation, colour=3)


def test_use_is_what_the_ledger_says(installation):
    job_id = installation.accept(CSV)
    found = use(installation)
    assert (found.active_jobs, found.uploads, found.stored_bytes, found.rows_today) == (1, 0, len(CSV), 0)
    installation.run()
    found = use(installation)
    assert (found.active_jobs, found.rows_today) == (0, 2)
    assert 0 < found.day_left_s <= 86_400
    with installation.web_db.transaction(installation.account_id) as session:
        removal.delete(session, installation.account_id, job_id)
    assert use(installation).rows_today == 2  # deleting a job gives no rows back


@pytest.mark.parametrize(
    ("limits", "kind", "name"),
    [
        ({"active_jobs": 1}, TooMany, "active_jobs"),
        ({"stored_bytes": len(CSV)}, LimitExceeded, "stored_bytes"),
        ({"stored_bytes": len(CSV) + 1}, LimitExceeded, "stored_bytes"),
    ],
)
def test_a_limit_that_is_reached_is_named_and_nothing_is_kept(installation, limits, kind, name):
    installation.accept(CSV)
    limit(installation, **limits)
    with pytest.raises(kind) as refused:
        installation.accept(CSV)
    assert refused.value.limit == name
    assert refused.value.next_step
    assert use(installation).stored_bytes == len(CSV)


def test_rows_of_a_day_are_those_of_all_jobs_and_start_anew(installation, db):
    limit(installation, rows_a_day=2)
    installation.accept(CSV)
    installation.run()
    with pytest.raises(TooMany) as refused:
        installation.accept(CSV)
    assert refused.value.limit == "rows_a_day"
    assert 0 < refused.value.retry_after_s <= 86_400
    with db.transaction() as session:
        session.execute(text("UPDATE usage SET day = day - 1"))
    installation.accept(CSV)


def test_files_that_are_arriving_are_counted_until_their_lease_is_over(installation, db):
    limit(installation, uploads=1)

    def block_by_block():
        yield CSV
        assert use(installation).uploads == 1
        with pytest.raises(TooMany) as refused:
            installation.accept(CSV)
        assert refused.value.limit == "uploads"

    uploads = installation.uploads()
    from core.uploads import JobRequest

    uploads.accept(installation.account_id, JobRequest("a.csv"), block_by_block())
    assert use(installation).uploads == 0
    with db.transaction() as session:  # a sender that died leaves a row
        session.execute(
            text(
                "INSERT INTO upload (account_id, key, filename, lease_until)"
                " VALUES (:id, 'uploads/x', 'x', now() - interval '1 second')"
            ),
            {"id": installation.account_id},
        )
    installation.accept(CSV)


def test_a_file_of_unknown_size_is_stopped_where_there_is_no_more_room(installation):
    limit(installation, stored_bytes=len(CSV) + 10)
    installation.accept(CSV)
    read = 0

    def blocks():
        nonlocal read
        for _ in range(100):
            read += 1
            yield CSV

    from core.uploads import JobRequest

    with pytest.raises(LimitExceeded, match="stored"):
        installation.uploads().accept(installation.account_id, JobRequest("a.csv"), blocks())
    assert read == 1


def test_one_accounts_use_is_no_others(installation, db):
    installation.accept(CSV)
    with installation.web_db.transaction(uuid.uuid4()) as session:
        assert quotas.use_of(session, installation.account_id).stored_bytes == 0
