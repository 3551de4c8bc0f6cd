"""The thread in a worker's parent that keeps the promise when something dies.

It says that the worker lives, returns what its dead children held, and, as one leader among all workers, sweeps:
expired leases, finished jobs, orphans, expired jobs, tickets. It restarts the worker if that has gone deaf.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import text

from core import classify_requests, ledger, queue, workers
from core.db import Database
from core.errors import EmobatchError
from core.ledger.recovery import HeldLease
from core.model_directory import ModelDirectory, find_model
from core.settings import Settings
from core.storage import open_storage
from worker import metrics, trace
from worker.sweeper import remove_orphans, sweep

log = structlog.get_logger(__name__)

WATCH_S = 0.5
"""How often the parent looks for dead children."""

DEAF_S = 30.0
"""Tickets wait, no child has work and nothing has come for this long: the consumer is deaf (celery#8030), start
afresh."""

GOING_S = 10.0
"""After so long a parent that was told to go and has not is stuck in a call, and heeds no SIGTERM."""

ORPHANS_S = 300.0
"""How often storage is listed for files that no upload names: it is rare, and listing a bucket costs."""

TICKETS_PER_SLOT = 4
"""Tickets kept waiting for each live slot: enough to keep it busy, few enough to drain in a moment."""


class Caretaker:
    """One per worker parent. `take_tickets` makes Celery take them, or leave them to others."""

    def __init__(
        self, settings: Settings, app: Celery, take_tickets: Callable[[bool], object] = lambda wanted: None
    ) -> None:
        self._settings = settings
        self._app = app
        self._model = ModelDirectory.load(find_model(settings.model), verify=True)
        self._db = Database(settings.database_url.get_secret_value(), "emobatch_worker", pool_size=1)
        self._storage = open_storage(settings.storage_url)
        self._stop = threading.Event()
        self._take_tickets = take_tickets
        self._draining = False
        self._stopping = False
        self._heard = time.monotonic()
        self._unheard = 0
        self._told_to_go: float | None = None
        self._next_orphans = 0.0
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def heard_something(self) -> None:
        """A ticket came in."""
        self._heard = time.monotonic()

    def stopping(self) -> None:
        """Children that die from now on were told to."""
        self._stopping = True

    def stop(self) -> None:
        """Ends the thread and takes the worker off the list of the living."""
        self._stop.set()
        self._thread.join(timeout=5)
        try:
            with self._db.transaction() as session:
                session.execute(text("DELETE FROM worker WHERE id = :id"), {"id": trace.node()})
        except EmobatchError as error:
            log.info("left on the list of workers", code=error.code)
        self._db.close()

    def _run(self) -> None:
        next_sweep = 0.0
        while not self._stop.is_set():
            try:
                self._bury()
                if time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + self._settings.sweep_s
                    self._sweep()
            except EmobatchError as error:
                log.warning("caretaker waits", code=error.code)
            except Exception:  # the thread must outlive any one fault: without it nothing recovers
                log.exception("caretaker stumbled")
            self._stop.wait(WATCH_S)

    def _bury(self) -> None:
        """Returns the leases of children that are gone, and lays the crash to the chunk they died of."""
        with self._db.transaction() as session:
            dead = [held for held in ledger.held_by(session, trace.node()) if not _alive(held.pid)]
            crashes = set()
            for held in dead:
                at_fault = not self._stopping and _died_of(held)
                metrics.CHILD_DEATHS.labels("work" if at_fault else "other").inc()
                if ledger.charge_dead_child(session, held, at_fault=at_fault):
                    crashes.add((held.job_id, held.pid))
            for job_id, _ in sorted(crashes):  # one for each child, however many chunks it had
                ledger.count_crash(session, job_id, self._settings.crash_budget)
        for held in dead:
            log.warning("lease of a dead child returned", job_id=str(held.job_id), chunk=held.chunk_no, pid=held.pid)
        if dead:
            queue.ring(self._app)

    def _sweep(self) -> None:
        slots = self._settings.worker_slots
        with self._db.transaction() as session:
            draining = workers.heartbeat(session, trace.node(), self._model.sha256, slots)
        if draining != self._draining:
            log.info("no more work is taken" if draining else "work is taken again")
            self._take_tickets(not draining)
            self._draining = draining
            self._heard = time.monotonic()
        self._lead()
        if time.monotonic() >= self._next_orphans:
            self._next_orphans = time.monotonic() + ORPHANS_S
            remove_orphans(self._db, self._storage)
        with self._db.transaction() as session:
            wanted = ledger.claimable(session, [self._model.sha256], TICKETS_PER_SLOT * slots)
            wanted += classify_requests.waiting(session, [self._model.sha256], TICKETS_PER_SLOT * slots)
        if wanted and not self._draining:  # who hears no tickets sends none
            self._ring(min(wanted, TICKETS_PER_SLOT * slots))

    def _lead(self) -> None:
        """Sweeps, unless another worker is at it."""
        began = time.monotonic()
        try:
            led = sweep(self._db, self._storage, self._settings)
        except Exception:
            metrics.SWEEPS.labels("failed").inc()
            raise
        metrics.SWEEPS.labels("led" if led else "followed").inc()
        if led:
            metrics.SWEEP_S.observe(time.monotonic() - began)

    def _ring(self, wanted: int) -> None:
        try:
            waiting = queue.waiting(self._app)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("broker does not answer", reason=type(error).__name__)
            return
        deaf = waiting and time.monotonic() - self._heard > DEAF_S and not self._at_work()
        # At two looks in a row: a ticket may have come just now, to a worker that had none for an hour.
        self._unheard = self._unheard + 1 if deaf else 0
        if self._unheard > 1:
            self._restart(waiting)
            return
        if wanted > waiting:
            queue.ring(self._app, wanted - waiting)

    def _at_work(self) -> bool:
        """Whether a child holds work. What Celery believes to be running says nothing where its loop stands still."""
        with self._db.transaction() as session:
            return bool(ledger.held_by(session, trace.node()))

    def _restart(self, waiting: int) -> None:
        """Ends the worker, which whoever keeps it running starts anew: politely, and then with SIGKILL."""
        now = time.monotonic()
        if self._told_to_go is None:
            self._told_to_go = now
            metrics.DEAF.inc()
            log.error("tickets wait and none is heard: restarting", waiting=waiting)
            os.kill(os.getpid(), signal.SIGTERM)
        elif now - self._told_to_go > GOING_S:
            log.error("the worker does not go: killed", waiting=waiting)
            os.kill(os.getpid(), signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        # One that has ended, and whose end Celery has not seen yet, is as dead; Celery still gets to see it.
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
    except ChildProcessError:
        pass  # no child of this process, or no longer
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _died_of(held: HeldLease) -> bool:
    """Whether the child was in the middle of this chunk, and not merely holding it."""
    return (held.job_id, held.chunk_no) in trace.last_words(held.pid)
