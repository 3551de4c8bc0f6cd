"""The heartbeat renews what is held, in the order in which everybody locks, and says what it could not renew."""

from __future__ import annotations

import threading

from sqlalchemy import text

from core import ledger
from core.db import Database
from tests.factories import claim, claim_ingest_of, make_cut_job, make_job
from worker.heartbeat import Heartbeat


def test_leases_are_renewed_in_the_ledgers_order_of_locks(db: Database, monkeypatch):
    with db.transaction() as session:
        make_cut_job(session, 3)
        uncut = make_job(session)
    with db.transaction() as session:
        chunks = claim(session, limit=3)
        ingest = claim_ingest_of(session, uncut.job_id)
    seen, complete = [], threading.Event()
    chunk, slice_ = ledger.renew_chunk, ledger.renew_ingest

    def renew_chunk(session, lease, lease_s):
        seen.append(lease.chunk_no)
        return chunk(session, lease, lease_s)

    def renew_ingest(session, lease, lease_s):
        seen.append("ingest")
        complete.set()
        return slice_(session, lease, lease_s)

    monkeypatch.setattr(ledger, "renew_chunk", renew_chunk)
    monkeypatch.setattr(ledger, "renew_ingest", renew_ingest)
    heartbeat = Heartbeat(db, lease_s=1.5, limit_s=60)
    heartbeat.hold(chunks[::-1])
    with heartbeat.holding(ingest):
        assert complete.wait(30)
    assert seen[:4] == [0, 1, 2, "ingest"]


def test_a_lease_that_was_taken_away_is_lost(db: Database):
    with db.transaction() as session:
        make_cut_job(session, 2)
    with db.transaction() as session:
        kept, taken = claim(session, limit=2)
        session.execute(text("UPDATE chunk SET lease_token = lease_token + 1 WHERE chunk_no = 1"))
    heartbeat = Heartbeat(db, lease_s=0.3, limit_s=60)
    heartbeat.hold([kept, taken])
    for _ in range(100):
        if heartbeat.lost(taken):
            break
        threading.Event().wait(0.1)
    assert heartbeat.lost(taken)
    assert not heartbeat.lost(kept)
    heartbeat.let_go_of_all()
    assert not heartbeat.lost(taken)
