"""Whose turn it is: accounts with many jobs beside accounts with one, crashed chunks beside healthy ones. No clocks."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from sqlalchemy import text

from core import ledger, workers
from core.db import Database
from core.jobs import get_status
from tests.factories import MODEL, Made, claim, commit, make_cut_job, make_job

KIB_32 = 32 * 1024


def serve(db: Database, claims: int, *, limit: int = 1) -> Counter[UUID]:
    """One worker that holds nothing whenever it claims; how many chunks of each account it worked off."""
    served: Counter[UUID] = Counter()
    for _ in range(claims):
        with db.transaction() as session:
            for lease in claim(session, limit=limit):
                commit(session, lease)
                served[lease.source.account_id] += 1
    return served


def make_jobs(db: Database, jobs: int, chunks: int, chunk_bytes: int) -> Made:
    """So many jobs of one new account, all of their chunks of one size; the first of them."""
    with db.transaction() as session:
        first = make_cut_job(session, chunks)
        for _ in range(jobs - 1):
            make_cut_job(session, chunks, first.account_id)
        session.execute(
            text("UPDATE chunk SET byte_end = byte_start + :size WHERE account_id = :id"),
            {"size": chunk_bytes, "id": first.account_id},
        )
    return first


def test_many_small_jobs_get_their_account_no_more_than_a_single_one(db):
    many = make_jobs(db, 30, 1, KIB_32)
    one = make_jobs(db, 1, 30, KIB_32)
    served = serve(db, 20)
    assert abs(served[many.account_id] - served[one.account_id]) <= 2


def test_what_is_being_worked_on_counts(db):
    small = make_jobs(db, 30, 1, KIB_32 // 8)
    large = make_jobs(db, 1, 30, KIB_32)
    served: Counter[UUID] = Counter()
    held: list[ledger.ChunkLease] = []
    for _ in range(27):  # a worker that claims ahead: it holds one chunk whenever it claims the next
        with db.transaction() as session:
            held += claim(session)
            if len(held) > 1:
                lease = held.pop(0)
                commit(session, lease)
                served[lease.source.account_id] += 1
    assert served[small.account_id] > 4 * served[large.account_id]


def test_accounts_share_work_and_not_turns(db):
    small = make_jobs(db, 60, 1, KIB_32 // 8)
    large = make_jobs(db, 1, 20, KIB_32)
    served = serve(db, 45)
    assert 4 <= served[small.account_id] / served[large.account_id] <= 10


@pytest.mark.parametrize(
    ("slots", "sizes"),
    [
        (1, [8, 8, 8, 6]),  # nobody to share with
        (2, [8, 6, 5, 3, 3, 2, 1, 1, 1]),
        (8, [2, 2, 2, 2, 2, 2, 2, 2, *[1] * 14]),
        (100, [1] * 30),
    ],
)
def test_slots_share_what_is_left_of_a_job(db, slots, sizes):
    make_jobs(db, 1, 30, KIB_32)
    found = []
    with db.transaction() as session:
        workers.heartbeat(session, "host:1:a", MODEL, slots)
        while leases := claim(session, limit=8):
            found.append(len(leases))
    assert found == sizes


def test_what_was_leased_before_comes_alone(db):
    made = make_jobs(db, 1, 8, KIB_32)
    with db.transaction() as session:
        assert [lease.chunk_no for lease in claim(session, limit=3)] == [0, 1, 2]
    with db.transaction() as session:  # its holder died
        session.execute(text("UPDATE chunk SET lease_until = now() - interval '1 s' WHERE state = 'leased'"))
        ledger.return_expired(session)
        session.execute(text("UPDATE chunk SET not_before = now()"))
    taken = []
    for _ in range(4):
        with db.transaction() as session:
            taken.append([lease.chunk_no for lease in claim(session, limit=3)])
    assert taken == [[0], [1], [2], [3, 4, 5]]
    with db.transaction() as session:  # one in the midst of fresh ones ends a bundle, and begins the next
        session.execute(text("UPDATE chunk SET attempt = 1 WHERE job_id = :id AND chunk_no = 7"), {"id": made.job_id})
    for _ in range(2):
        with db.transaction() as session:
            taken.append([lease.chunk_no for lease in claim(session, limit=3)])
    assert taken[4:] == [[6], [7]]


def test_cells_beside_the_text_are_not_charged(db):
    wide = make_jobs(db, 1, 10, 20 * KIB_32)
    narrow = make_jobs(db, 1, 10, KIB_32)
    served = serve(db, 10)
    assert abs(served[wide.account_id] - served[narrow.account_id]) <= 2


def test_a_newcomer_goes_first_and_what_was_long_ago_does_not_count(db):
    old = make_jobs(db, 1, 10, KIB_32)
    serve(db, 3)
    new = make_jobs(db, 1, 1, KIB_32)
    assert set(serve(db, 1)) == {new.account_id}
    with db.transaction() as session:
        session.execute(text("UPDATE account SET served_at = now() - interval '1 year'"))
    assert set(serve(db, 1)) == {old.account_id}


def test_uploads_of_an_account_with_many_are_cut_in_turns_with_anothers(db):
    with db.transaction() as session:
        many = make_job(session)
        for _ in range(5):
            make_job(session, many.account_id)
    with db.transaction() as session:
        one = make_job(session)
    turns = []
    for _ in range(4):
        with db.transaction() as session:
            lease = ledger.claim_ingest(session, worker_id="host:1:a/11", lease_s=30)
            assert lease
            turns.append(lease.source.account_id)
            if lease.source.account_id == many.account_id:  # cut at once; the other's takes many slices
                ledger.close_job(session, lease.source.job_id, "cancelled")
            else:
                ledger.release_ingest(session, lease)
    assert turns == [many.account_id, one.account_id] * 2


def crash(db: Database, made: Made) -> None:
    with db.transaction() as session:
        session.execute(text("UPDATE chunk SET crashes = 1 WHERE job_id = :id"), {"id": made.job_id})


def test_a_crashed_chunk_gets_its_turn_beside_the_work_of_others(db):
    poisoned = make_jobs(db, 1, 1, KIB_32)
    backlog = make_jobs(db, 1, 10, KIB_32)
    crash(db, poisoned)
    assert serve(db, 2) == {poisoned.account_id: 1, backlog.account_id: 1}


def test_crashed_chunks_that_have_to_wait_stand_in_nobodys_way(db):
    poisoned = [make_jobs(db, 1, 1, KIB_32) for _ in range(9)]  # more than one claim looks at
    for made in poisoned:
        crash(db, made)
    with db.transaction() as session:
        (isolated,) = claim(session)
    assert isolated.isolated
    healthy = make_jobs(db, 1, 2, KIB_32)
    assert serve(db, 2) == {healthy.account_id: 2}


def test_a_crash_is_charged_to_its_account(db):
    poisoned = make_jobs(db, 1, 3, KIB_32)
    other = make_jobs(db, 1, 9, KIB_32)
    with db.transaction() as session:
        (lease,) = claim(session)
        assert lease.source.account_id == poisoned.account_id
    with db.transaction() as session:
        (held,) = ledger.held_by(session, "host:1:a")
        assert ledger.charge_dead_child(session, held, at_fault=True)
        ledger.count_crash(session, poisoned.job_id, 9)
    assert serve(db, 7) == {other.account_id: 7}


@pytest.mark.parametrize("rested", ["1 hour", "1 day", "1 year"])
def test_a_job_may_rest_for_ever_and_go_on(db, rested):
    with db.transaction() as session:
        made = make_cut_job(session, 2)
        (lease,) = claim(session)
        commit(session, lease)
        session.execute(text(f"UPDATE job SET rate_at = now() - interval '{rested}', started_at = rate_at"))
        session.execute(text(f"UPDATE account SET served_at = now() - interval '{rested}'"))
    with db.transaction() as session:
        assert get_status(session, made.account_id, made.job_id).rows_done == 3
        (lease,) = claim(session)
        commit(session, lease)
    with db.transaction() as session:
        assert get_status(session, made.account_id, made.job_id).rows_done == 6
