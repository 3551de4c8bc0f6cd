"""What waits, as the ledger tells it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.backlog import backlog
from core.jobs import cancel
from tests.factories import claim, commit, make_cut_job, make_job


def test_an_empty_ledger_has_nothing(db):
    with db.transaction() as session:
        found = backlog(session)
    assert (dict(found.rows), found.uncut_bytes, found.oldest_claimable_s, found.leased_chunks) == ({}, 0, 0.0, 0)
    assert found.jobs == {"queued": 0, "ingesting": 0, "running": 0}
    assert (found.workers, found.slots, found.requests) == (0, 0, 0)


def test_rows_jobs_and_chunks_are_counted(db):
    with db.transaction() as session:
        make_cut_job(session, 3, rows=5)
        (lease,) = claim(session)
        commit(session, lease)
        claim(session)
        queued = make_job(session)
        session.execute(text("UPDATE upload SET bytes = 700 WHERE id = :id"), {"id": queued.upload_id})
        found = backlog(session)
    assert found.rows == {"test": 10}
    assert found.jobs == {"queued": 1, "ingesting": 0, "running": 1}
    assert (found.uncut_bytes, found.leased_chunks) == (700, 1)


def test_what_nobody_may_claim_does_not_wait(db):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        claim(session, limit=2)
        assert backlog(session).oldest_claimable_s == 0.0
        cancel(session, made.account_id, made.job_id)
        found = backlog(session)
    assert (dict(found.rows), found.oldest_claimable_s) == ({}, 0.0)


@pytest.mark.parametrize(
    "back", ["UPDATE chunk SET not_before = now() - interval '90 s' WHERE chunk_no = 0", "UPDATE job SET {}"]
)
def test_the_oldest_is_a_chunk_or_a_file(db, back):
    with db.transaction() as session:
        if back.startswith("UPDATE chunk"):
            make_cut_job(session, 2)
        else:
            make_job(session)
        session.execute(text(back.format("ingest_not_before = now() - interval '90 s'")))
        assert backlog(session).oldest_claimable_s == pytest.approx(90, abs=1)


def test_only_living_workers_count(db):
    with db.transaction() as session:
        session.execute(
            text("""
            INSERT INTO worker (id, models, slots, heartbeat) VALUES
                ('a', '{m}', 2, now()), ('b', '{m}', 3, now()), ('dead', '{m}', 9, now() - interval '1 min')
            """)
        )
        found = backlog(session)
    assert (found.workers, found.slots) == (2, 5)
