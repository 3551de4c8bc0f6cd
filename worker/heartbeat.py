"""Keeps the leases of one child alive while it works, from a thread of its own.

It stops by itself at the task's hard time limit: a child that hangs in native code must lose its leases.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from sqlalchemy.orm import Session

from core import ledger
from core.db import Database
from core.errors import Unavailable
from core.failpoints import failpoint
from core.ledger import ChunkLease, IngestLease

log = structlog.get_logger(__name__)

Lease = ChunkLease | IngestLease


class Heartbeat:
    """Renews leases every third of `lease_s`, for at most `limit_s` seconds after each was taken on."""

    def __init__(self, db: Database, *, lease_s: float, limit_s: float) -> None:
        self._db = db
        self._lease_s = lease_s
        self._limit_s = limit_s
        self._held: dict[int, tuple[Lease, float]] = {}
        self._lost: set[int] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def hold(self, leases: Sequence[Lease]) -> None:
        """Keeps `leases` alive until `let_go` of each, or the limit."""
        until = time.monotonic() + self._limit_s
        with self._lock:
            self._held.update({id(lease): (lease, until) for lease in leases})

    def let_go(self, lease: Lease) -> None:
        """This one is finished or given back."""
        with self._lock:
            self._held.pop(id(lease), None)
            self._lost.discard(id(lease))

    def let_go_of_all(self) -> None:
        """Nothing is held any more, however the work ended."""
        with self._lock:
            self._held.clear()
            self._lost.clear()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[None]:
        """Keeps one lease alive during the block."""
        self.hold([lease])
        try:
            yield
        finally:
            self.let_go(lease)

    def lost(self, lease: Lease) -> bool:
        """Whether the ledger refused to renew it: working on is a waste."""
        with self._lock:
            return id(lease) in self._lost

    def _run(self) -> None:
        while True:
            self._wake.wait(self._lease_s / 3)
            now = time.monotonic()
            with self._lock:
                due = [lease for lease, until in self._held.values() if until > now and id(lease) not in self._lost]
            if due:
                self._renew(due)

    def _renew(self, leases: list[Lease]) -> None:
        try:
            with self._db.transaction() as session:
                refused = [
                    lease for lease in sorted(leases, key=_turn) if not _renew_one(session, lease, self._lease_s)
                ]
                failpoint("heartbeat")
        except Unavailable:
            log.warning("heartbeat missed", leases=len(leases))
            return
        with self._lock:
            self._lost.update(id(lease) for lease in refused if id(lease) in self._held)


def _turn(lease: Lease) -> tuple[bool, uuid.UUID, int]:
    """The order in which the ledger takes locks: chunks as they are numbered, then jobs. Another one could deadlock."""
    if isinstance(lease, ChunkLease):
        return False, lease.source.job_id, lease.chunk_no
    return True, lease.source.job_id, 0


def _renew_one(session: Session, lease: Lease, lease_s: float) -> bool:
    if isinstance(lease, ChunkLease):
        return ledger.renew_chunk(session, lease, lease_s)
    return ledger.renew_ingest(session, lease, lease_s)
