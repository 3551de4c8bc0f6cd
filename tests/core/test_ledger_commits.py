"""Committing several chunks at once on a real Postgres: what is stale stays out, and nobody waits for anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, text

from core import ledger
from core.ledger import StaleLease
from core.models import Job, ResultChunk
from core.states import JobState
from tests.factories import claim, commit, make_cut_job, result_of


def test_chunks_are_committed_together_but_for_the_stale_ones(db):
    with db.transaction() as session:
        made = make_cut_job(session, 4)
    with db.transaction() as session:
        leases = claim(session, limit=4)
    with db.transaction() as session:
        ledger.release_chunk(session, leases[1])  # as after a lease that ran out
    results = [(lease, result_of(lease)) for lease in leases]
    with db.transaction() as session:
        committed = ledger.commit_chunks(session, results)
    assert committed == ledger.Committed(stale=frozenset([1]), last=False)
    with db.transaction() as session:
        job = session.get_one(Job, made.job_id)
    assert (job.chunks_done, job.rows_ok, job.label_counts) == (3, 9, {"ekman": {"joy": 9}})
    with db.transaction() as session:
        written = session.scalars(select(ResultChunk.chunk_no).where(ResultChunk.job_id == made.job_id))
        assert sorted(written) == [0, 2, 3]
    with pytest.raises(StaleLease), db.transaction() as session:
        ledger.commit_chunks(session, results)
    with db.transaction() as session:
        (again,) = claim(session)
        assert ledger.commit_chunks(session, [(again, result_of(again))]).last
    with db.transaction() as session:
        assert ledger.finish(session, made.job_id) is JobState.COMPLETED


def test_a_job_says_what_computed_its_rows(db):
    with db.transaction() as session:
        made = make_cut_job(session, 3)
    by = [{"runtime": "one"}, {"runtime": "another"}, {"runtime": "idle", "rows_ok": 0, "rows_skipped": 3}]
    with db.transaction() as session:
        leases = claim(session, limit=3)
        done = [(lease, replace(result_of(lease), **more)) for lease, more in zip(leases, by, strict=True)]
        ledger.commit_chunks(session, done[:1])
        ledger.commit_chunks(session, done[1:])
    with db.transaction() as session:
        assert session.get_one(Job, made.job_id).runtimes == {"one": 3, "another": 3}


def test_chunks_of_two_jobs_are_not_committed_together(db):
    with db.transaction() as session:
        make_cut_job(session, 1)
        make_cut_job(session, 1)
    with db.transaction() as session:
        leases = [*claim(session), *claim(session)]
    with pytest.raises(ValueError, match="several jobs"), db.transaction() as session:
        ledger.commit_chunks(session, [(lease, result_of(lease)) for lease in leases])


def test_nothing_of_a_closed_job_is_committed(db):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
    with db.transaction() as session:
        leases = claim(session, limit=2)
    with db.transaction() as session:
        ledger.close_job(session, made.job_id, JobState.CANCELLED)
    with pytest.raises(StaleLease), db.transaction() as session:
        ledger.commit_chunks(session, [(lease, result_of(lease)) for lease in leases])
    with db.transaction() as session:
        assert not session.scalars(select(ResultChunk.chunk_no)).all()


def test_an_expired_lease_that_is_just_being_committed_is_not_waited_for(db):
    with db.transaction() as session:
        make_cut_job(session, 2)
    with db.transaction() as session:
        late, lost = claim(session, limit=2)
        session.execute(text("UPDATE chunk SET lease_until = now() - interval '1 s'"))
    with db.transaction() as committing:
        commit(committing, late)
        with db.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            assert ledger.return_expired(session) == 1
    with db.transaction() as session:
        (again,) = claim(session, limit=2)
    assert (again.chunk_no, again.token) == (lost.chunk_no, lost.token + 1)
