"""What is taken away goes whole: file, canonical form, chunks, results, remembered answers; and nothing else goes."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from core import ledger, removal
from core.errors import BadOption, NotFound, NotReady, UnknownColumn
from core.ledger import StaleLease
from core.states import JobState
from core.table import Overrides
from tests.factories import claim, commit, make_cut_job, make_job
from tests.fixtures import Installation
from worker import retention
from worker.sweeper import sweep

FILE = b"id,text\n" + b"".join(b"%d,a fine day\n" % row for row in range(12))
DATA = ("upload", "chunk", "result_chunk", "row_poison", "idempotency")


def counts(installation: Installation, *tables: str) -> list[int]:
    with installation.db.transaction() as session:
        return [session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables]


def files(installation: Installation) -> list[str]:
    return [entry.key for entry in installation.storage.list()]


def sweeps(installation: Installation, times: int = 2) -> None:
    for _ in range(times):
        sweep(installation.db, installation.storage, installation.settings)


def delete(installation: Installation, job_id: uuid.UUID) -> removal.Removed:
    with installation.web_db.transaction(installation.account_id) as session:
        return removal.delete(session, installation.account_id, job_id)


def run_out(installation: Installation, job_id: uuid.UUID) -> None:
    """Lets the job's time be over."""
    with installation.db.transaction() as session:
        session.execute(text("UPDATE job SET expires_at = now() - interval '1 s' WHERE id = :id"), {"id": job_id})


def test_a_deletion_says_what_it_removes_and_removes_it(installation: Installation):
    job_id = installation.accept(FILE, idempotency_key="k")
    installation.run(chunk_records=5)
    removed = delete(installation, job_id)
    assert (removed.id, removed.filename, removed.rows) == (job_id, "reviews.csv", 12)
    assert (removed.upload_bytes, removed.result_bytes) == (len(FILE), 12 * 28 * 2)
    with pytest.raises(NotFound):
        delete(installation, job_id)
    sweeps(installation)
    assert counts(installation, "job", *DATA) == [0] * 6
    assert files(installation) == []


def test_a_canonical_form_goes_with_its_upload(installation: Installation):
    job_id = installation.accept("größe;text\n1;so schön\n".encode("cp1252"), overrides=Overrides(encoding="cp1252"))
    installation.run()
    assert len(files(installation)) == 2
    delete(installation, job_id)
    sweeps(installation)
    assert files(installation) == []


def test_a_file_that_another_job_needs_stays(installation: Installation):
    first = installation.accept(FILE)
    installation.run()
    with installation.db.transaction() as session:
        upload = session.execute(text("SELECT upload_id FROM job")).scalar_one()
        again = make_job(session, installation.account_id)
        session.execute(
            text("UPDATE job SET upload_id = :upload, parent_job_id = :parent, state = 'cancelled' WHERE id = :id"),
            {"upload": upload, "parent": first, "id": again.job_id},
        )
        session.execute(text("DELETE FROM upload WHERE id <> :upload"), {"upload": upload})
    removed = delete(installation, first)
    assert (removed.rows, removed.upload_bytes) == (12, 0)
    sweeps(installation)
    assert counts(installation, "job", "upload", "chunk") == [2, 1, 0]  # the row stays for the job made from it
    assert len(files(installation)) == 1
    assert delete(installation, again.job_id).upload_bytes == len(FILE)
    sweeps(installation, 3)
    assert counts(installation, "job", *DATA) == [0] * 6
    assert files(installation) == []


def test_an_expired_job_leaves_only_its_row(installation: Installation):
    job_id = installation.accept(FILE, idempotency_key="k")
    installation.run(chunk_records=5)
    run_out(installation, job_id)
    sweeps(installation)
    assert counts(installation, "job", *DATA) == [1, 0, 0, 0, 0, 0]
    assert files(installation) == []
    status = installation.status(job_id)
    assert (status.state, status.rows_ok, status.bytes) == (JobState.EXPIRED, 12, None)
    with pytest.raises(NotReady, match="expired"):
        installation.csv(job_id)
    assert (delete(installation, job_id).upload_bytes, counts(installation, "job")) == (0, [1])
    sweeps(installation, 1)
    assert counts(installation, "job") == [0]


def test_how_long_a_job_is_kept_is_its_own_choice(installation: Installation):
    chosen, default = installation.accept(FILE, keep_days=3), installation.accept(FILE)
    unfinished = installation.accept(FILE, keep_days=1)
    installation.run()
    with installation.db.transaction() as session:
        session.execute(text("UPDATE job SET finished_at = NULL WHERE id = :id"), {"id": unfinished})
    sweeps(installation, 1)
    kept = {}
    for job_id in (chosen, default):
        status = installation.status(job_id)
        assert status.expires_at
        assert status.finished_at
        kept[job_id] = (status.expires_at - status.finished_at).days
    assert kept == {chosen: 3, default: installation.settings.retention_days}
    assert installation.status(unfinished).expires_at is None


def test_the_same_key_with_another_time_to_keep_is_another_request(installation: Installation):
    from core.errors import KeyReused

    assert installation.accept(FILE, keep_days=3, idempotency_key="k")
    with pytest.raises(KeyReused):
        installation.accept(FILE, keep_days=4, idempotency_key="k")


def test_removal_goes_on_where_time_ran_out(installation: Installation, monkeypatch):
    job_id = installation.accept(FILE)
    installation.run(chunk_records=1)
    monkeypatch.setattr(retention, "BATCH", 5)
    monkeypatch.setattr(retention, "TURN_S", 0.0)
    delete(installation, job_id)
    left = []
    for _ in range(6):
        sweeps(installation, 1)
        left.append(sum(counts(installation, "chunk", "result_chunk")))
    assert left == [19, 14, 7, 2, 0, 0]
    assert counts(installation, "job", *DATA) == [0] * 6


def test_a_result_that_comes_too_late_is_not_kept(db):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        (lease,) = claim(session)
    with db.transaction() as session:
        removal.delete(session, made.account_id, made.job_id)
    with pytest.raises(StaleLease), db.transaction() as session:
        commit(session, lease)
    retention.retire_jobs(db, 30)
    with db.transaction() as session:
        assert not ledger.renew_chunk(session, lease, 30)
        assert session.execute(text("SELECT count(*) FROM job")).scalar_one() == 0


def test_a_removal_takes_locks_in_the_order_of_a_commit(db):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        claim(session, limit=2)
        removal.delete(session, made.account_id, made.job_id)
    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as committing:  # as a commit that began just before
            committing.execute(text("SELECT FROM chunk WHERE chunk_no = 1 FOR UPDATE"))
            removing = pool.submit(retention.retire_jobs, db, 30)
            while not removing.done():
                with db.transaction() as session:
                    if session.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                        break
            committing.execute(text("SELECT FROM job FOR NO KEY UPDATE NOWAIT"))
        removing.result()
    with db.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM job")).scalar_one() == 0


@pytest.mark.parametrize("days", [0, 3651, "soon"])
def test_a_time_to_keep_out_of_range_is_refused(days):
    from web.schemas import CreateOptions, parse

    with pytest.raises(BadOption, match="keep_days"):
        parse(CreateOptions, {"keep_days": str(days)})


def test_what_was_refused_is_removed_too(installation: Installation):
    with pytest.raises(UnknownColumn):
        installation.accept(FILE, text_column="nope")
    sweeps(installation, 1)
    assert counts(installation, "job", "upload") == [0, 0]
    assert files(installation) == []


def test_room_is_given_back_as_soon_as_a_job_is_gone(db, database_url):
    with db.transaction() as session:
        if session.execute(text("SHOW server_version_num")).scalar_one() < "170000":
            pytest.skip("before Postgres 17 only the owner may vacuum")
        made = make_cut_job(session, 50)
        for lease in claim(session, limit=50):
            commit(session, lease)
    with db.transaction() as session:
        removal.delete(session, made.account_id, made.job_id)
    retention.retire_jobs(db, 30)
    with db.transaction() as session:
        assert session.execute(text("SELECT pg_relation_size('result_chunk')")).scalar_one() == 0
