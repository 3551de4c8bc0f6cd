"""The ledger on a real Postgres: fairness, leases, tokens, counters, and the proof at the end."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from core import ledger
from core.db import Database
from core.errors import BadOption
from core.ledger import Slice, StaleLease
from core.models import Chunk, Job, ResultChunk
from core.states import JobState
from tests.factories import claim, claim_ingest_of, commit, make_cut_job, make_job, tiles


def job_of(db: Database, job_id) -> Job:
    with db.transaction() as session:
        return session.get_one(Job, job_id)


def run_out(db: Database) -> None:
    """Lets every lease run out."""
    with db.transaction() as session:
        session.execute(text("UPDATE chunk SET lease_until = now() - interval '1 s' WHERE state = 'leased'"))
        session.execute(
            text("UPDATE job SET ingest_lease_until = now() - interval '1 s' WHERE ingest_lease_until > now()")
        )
        ledger.return_expired(session)


def test_a_job_goes_from_queued_to_completed(db):
    with db.transaction() as session:
        made = make_job(session)
    with db.transaction() as session:
        lease = claim_ingest_of(session, made.job_id)
        assert session.get_one(Job, made.job_id).state == JobState.INGESTING
        assert not ledger.commit_slice(session, lease, Slice(tiles(2), 20, 7, 8, 1, True))
    for last in (False, True):
        with db.transaction() as session:
            (lease,) = claim(session)
            assert commit(session, lease) is last
    with db.transaction() as session:
        assert ledger.finish(session, made.job_id) is JobState.COMPLETED
    job = job_of(db, made.job_id)
    assert (job.rows_total, job.rows_ok, job.chunks_total, job.chunks_done, job.blank_lines) == (6, 6, 2, 2, 1)
    assert job.label_counts == {"ekman": {"joy": 6}}
    assert job.rate > 0


def test_two_workers_never_hold_one_chunk(db):
    with db.transaction() as session:
        make_cut_job(session, 3)
    with db.transaction() as first, db.transaction() as second:
        mine = claim(first, limit=2)
        theirs = claim(second, "host:2:b/22", limit=2)  # the first claim is not committed yet
    assert [lease.chunk_no for lease in mine] == [0, 1]
    assert [lease.chunk_no for lease in theirs] == [2]


def test_a_stale_token_writes_nothing(db):
    with db.transaction() as session:
        made = make_cut_job(session, 1)
    with db.transaction() as session:
        (late,) = claim(session)
    run_out(db)
    with db.transaction() as session:
        (fresh,) = claim(session, "host:2:b/22")
    assert fresh.token > late.token
    for lease, refused in ((late, True), (fresh, False), (fresh, True)):
        if refused:
            with pytest.raises(StaleLease), db.transaction() as session:
                commit(session, lease)
        else:
            with db.transaction() as session:
                commit(session, lease)
    with db.transaction() as session:
        (written,) = session.scalars(select(ResultChunk).where(ResultChunk.job_id == made.job_id))
        assert written.lease_token == fresh.token
        assert ledger.is_committed(session, fresh)
        assert not ledger.is_committed(session, late)
    assert job_of(db, made.job_id).rows_ok == 3


def test_a_returned_chunk_refuses_its_old_holder_before_anybody_takes_it(db):
    with db.transaction() as session:
        make_cut_job(session, 1)
        (late,) = claim(session)
    run_out(db)
    with pytest.raises(StaleLease), db.transaction() as session:
        commit(session, late)
    with db.transaction() as session:
        assert not ledger.renew_chunk(session, late, 30)


def test_a_renewed_lease_does_not_run_out(db):
    with db.transaction() as session:
        make_cut_job(session, 1)
        (lease,) = claim(session)
        session.execute(text("UPDATE chunk SET lease_until = now() - interval '1 s'"))
        assert ledger.renew_chunk(session, lease, 30)
        assert ledger.return_expired(session) == 0


def test_a_small_job_waits_for_one_chunk_whatever_the_backlog(db):
    with db.transaction() as session:
        big = make_cut_job(session, 50)
    with db.transaction() as session:
        (lease,) = claim(session)
        commit(session, lease)
    with db.transaction() as session:
        small = make_cut_job(session, 1)
    served = []
    for _ in range(3):  # one worker, which holds nothing whenever it claims
        with db.transaction() as session:
            (lease,) = claim(session)
            served.append(lease.source.job_id)
            commit(session, lease)
    assert served == [small.job_id, big.job_id, big.job_id]


def test_accounts_share_evenly_however_many_jobs_they_have(db):
    with db.transaction() as session:
        first = make_cut_job(session, 9)
        make_cut_job(session, 9, first.account_id)
        make_cut_job(session, 9, first.account_id)
        other = make_cut_job(session, 9)
    held = []
    for _ in range(6):  # six slots fill up; nothing is given back
        with db.transaction() as session:
            held += claim(session)
    accounts = [lease.source.account_id for lease in held]
    assert accounts.count(first.account_id) == accounts.count(other.account_id) == 3
    jobs_of_first = {lease.source.job_id for lease in held if lease.source.account_id == first.account_id}
    assert len(jobs_of_first) == 3


def test_a_worker_takes_only_jobs_of_its_model(db):
    with db.transaction() as session:
        make_cut_job(session, 1, model="other" + "m" * 59)
        assert claim(session) == []
        assert len(claim(session, model="other" + "m" * 59)) == 1


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_a_closed_job_takes_no_more_results(db, how):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        (lease,) = claim(session)
    with db.transaction() as session:
        if how == "cancelled":
            assert ledger.close_job(session, made.job_id, JobState.CANCELLED)
        else:
            session.execute(text("UPDATE job SET deleted_at = now() WHERE id = :id"), {"id": made.job_id})
    with pytest.raises(StaleLease), db.transaction() as session:
        commit(session, lease)
    with db.transaction() as session:
        assert claim(session) == []
        assert ledger.finish(session, made.job_id) is None


def test_closing_counts_the_rows_without_a_label_as_failed(db):
    with db.transaction() as session:
        made = make_cut_job(session, 3)
        (lease,) = claim(session)
        commit(session, lease)
        assert ledger.fail_job(session, made.job_id, BadOption("No.", row=2, line=3))
        assert not ledger.close_job(session, made.job_id, JobState.CANCELLED)
    job = job_of(db, made.job_id)
    assert (job.state, job.rows_ok, job.rows_failed, job.rows_total) == ("failed", 3, 6, 9)
    assert job.error == {"code": "bad_option", "what": "No.", "row": 2, "line": 3}


def test_ingest_resumes_where_the_last_committed_slice_ended(db):
    with db.transaction() as session:
        made = make_job(session)
        first = claim_ingest_of(session, made.job_id)
        ledger.commit_slice(session, first, Slice(tiles(2), 20, 7, 8, 0, False, [{"code": "ragged"}]))
    with db.transaction() as session:
        killed = claim_ingest_of(session, made.job_id)
    run_out(db)
    with db.transaction() as session:
        again = claim_ingest_of(session, made.job_id)
    assert (again.offset, again.row, again.line, again.chunks_total) == (20, 7, 8, 2)
    cut = Slice(tiles(1, first_row=7, start=20), 30, 10, 11, 0, True)
    with pytest.raises(StaleLease), db.transaction() as session:
        ledger.commit_slice(session, killed, cut)
    with db.transaction() as session:
        ledger.commit_slice(session, again, cut)
        chunks = session.scalars(select(Chunk).where(Chunk.job_id == made.job_id).order_by(Chunk.chunk_no)).all()
    assert [(chunk.chunk_no, chunk.first_row) for chunk in chunks] == [(0, 1), (1, 4), (2, 7)]
    assert job_of(db, made.job_id).state == JobState.RUNNING


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE chunk SET first_row = first_row + 1 WHERE chunk_no = 1",
        "DELETE FROM result_chunk WHERE chunk_no = 1",
        "UPDATE result_chunk SET n_rows = 2 WHERE chunk_no = 1",
        "UPDATE chunk SET byte_start = byte_start - 1 WHERE chunk_no = 1",
        "UPDATE job SET rows_ok = rows_ok - 1",
    ],
)
def test_a_job_that_cannot_be_proved_complete_fails(db, damage):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        for lease in claim(session, limit=2):
            commit(session, lease)
        session.execute(text(damage))
        assert ledger.finishable(session) == [made.job_id]
        assert ledger.finish(session, made.job_id) is JobState.FAILED


def test_a_row_is_condemned_after_two_crashes_of_its_own(db):
    with db.transaction() as session:
        make_cut_job(session, 2)

    def die(row: int | None) -> ledger.ChunkLease:
        with db.transaction() as session:
            (lease,) = claim(session)
            if row:
                ledger.note_isolated_row(session, lease, row)
        with db.transaction() as session:
            (held,) = ledger.held_by(session, "host:1:a")
            assert held.pid == 11
            assert ledger.charge_dead_child(session, held, at_fault=True)
        return lease

    assert not die(None).isolated
    with db.transaction() as session:  # the healthy chunk comes first, then the one that crashed, alone
        (healthy,) = claim(session, limit=9)
        assert healthy.chunk_no == 1
        commit(session, healthy)
    assert die(2).isolated
    die(2)
    with db.transaction() as session:
        (lease,) = claim(session)
        assert ledger.condemned_rows(session, lease, 2) == {2: "crashed the model"}
        assert ledger.condemned_rows(session, lease, 3) == {}
    with db.transaction() as session:
        assert session.execute(text("SELECT crashes FROM chunk WHERE chunk_no = 0")).scalar_one() == 3


def test_a_lease_returned_without_fault_is_no_crash(db):
    with db.transaction() as session:
        make_cut_job(session, 1)
        claim(session)
        (held,) = ledger.held_by(session, "host:1:a")
        assert not ledger.charge_dead_child(session, held, at_fault=False)
        (again,) = claim(session)
    assert not again.isolated


def test_only_one_chunk_is_isolated_at_a_time(db):
    with db.transaction() as session:
        make_cut_job(session, 2)
        session.execute(text("UPDATE chunk SET crashes = 1"))
    with db.transaction() as session:
        assert len(claim(session, limit=2)) == 1
    with db.transaction() as session:
        assert claim(session, "host:2:b/22") == []


def test_a_job_over_its_crash_budget_fails(db):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        ledger.count_crash(session, made.job_id, 1)
    assert job_of(db, made.job_id).state == JobState.RUNNING
    with db.transaction() as session:
        ledger.count_crash(session, made.job_id, 1)
    assert job_of(db, made.job_id).state == JobState.FAILED


def test_claimable_counts_chunks_and_files_to_cut(db):
    with db.transaction() as session:
        make_cut_job(session, 5)
        make_job(session)
        assert ledger.claimable(session, ["m" * 64], 3) == 4  # three of the five, and one file
        assert ledger.claimable(session, ["other"], 3) == 1
        assert ledger.file_waits(session)
        assert ledger.claim_ingest(session, worker_id="host:1:a/11", lease_s=30)
        assert not ledger.file_waits(session)
