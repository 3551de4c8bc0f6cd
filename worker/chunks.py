"""Claimed chunks, worked off: read, scored, committed, each of the three while its neighbours do the others.

What a result says is `worker.classify`'s; here is the order of things, and what happens when Postgres, the storage or a
row is in the way.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import structlog

from core import ledger
from core.db import Database
from core.errors import InputError, Unavailable
from core.ledger import ChunkLease, ChunkResult, StaleLease
from core.model_directory import ModelDirectory
from core.settings import Settings
from core.storage import Storage
from worker import classify, settle
from worker.classify import Scorer
from worker.heartbeat import Heartbeat
from worker.trace import Trace

log = structlog.get_logger(__name__)

CONDEMNED_AFTER = 2
"""Isolated crashes on one row after which it is not tried again."""


LONG_TEXT_CHARS = 10_000
"""Each further so many characters give an isolated row its time limit once more."""


class Chunks:
    """Works off chunks that are claimed and held. `scorer` gives the engine, and loads it the first time."""

    def __init__(
        self,
        *,
        db: Database,
        storage: Storage,
        settings: Settings,
        model: ModelDirectory,
        scorer: Callable[[], Scorer],
        heartbeat: Heartbeat,
        trace: Trace,
    ) -> None:
        self._db = db
        self._storage = storage
        self._settings = settings
        self._model = model
        self._scorer = scorer
        self._heartbeat = heartbeat
        self._trace = trace
        self._reader = ThreadPoolExecutor(1, "reader")
        self._committer = ThreadPoolExecutor(1, "committer")

    def work_off(self, leases: list[ChunkLease]) -> None:
        """Scores chunk after chunk; meanwhile the next one is read and the last one committed, so that neither waits.

        Reading, scoring and committing are one chunk each at most: what a death can waste is bounded, and memory.
        """
        committing: Future[None] | None = None
        reading = self._reader.submit(self._read, leases[0])
        try:
            for lease, following in zip(leases, [*leases[1:], None], strict=True):
                rows = reading.result()
                if following:
                    reading = self._reader.submit(self._read, following)
                result = self._score(lease, rows) if rows else None
                if committing:
                    committing.result()
                committing = self._committer.submit(self._commit, lease, result)
        finally:
            pending: list[Future[Any]] = [reading, *([committing] if committing else [])]
            wait(pending)
        if committing:
            committing.result()

    def _read(self, lease: ChunkLease) -> classify.Rows | None:
        """The rows of a chunk; None, and the reason is dealt with, where it is not to be scored."""
        bound = log.bind(job_id=str(lease.source.job_id), chunk=lease.chunk_no)
        if self._heartbeat.lost(lease):
            bound.info("lease lost before the chunk was begun", token=lease.token)
            return None
        try:
            return classify.read_rows(
                self._storage,
                lease,
                max_text_chars=self._settings.max_text_chars,
                n_labels=len(self._model.labels),
            )
        except InputError as error:
            bound.error("chunk unreadable", code=error.code)
            with self._db.transaction() as session:
                ledger.fail_job(session, lease.source.job_id, error)
        except Unavailable as error:
            self._postpone(lease, error)
        return None

    def _score(self, lease: ChunkLease, rows: classify.Rows) -> ChunkResult | None:
        """The result of a chunk's rows; None where the ledger did not answer and the chunk was given back."""
        try:
            self._trace.begin(lease.source.job_id, lease.chunk_no)
            if lease.isolated:
                self._score_isolated(lease, rows)
            else:
                classify.score_rows(rows, self._scorer())
        except StaleLease:
            log.info("isolated chunk lost", job_id=str(lease.source.job_id), chunk=lease.chunk_no, token=lease.token)
            return None
        except Unavailable as error:
            self._postpone(lease, error)
            return None
        finally:
            self._trace.end()
        return classify.summarise(rows, self._model)

    def _commit(self, lease: ChunkLease, result: ChunkResult | None) -> None:
        """Commits a chunk's result, if it has one, and lets go of the lease."""
        bound = log.bind(job_id=str(lease.source.job_id), chunk=lease.chunk_no)
        try:
            if result and self._commit_result(lease, result):
                settle.finish(self._db, lease)
        except StaleLease:
            bound.info("stale result refused", token=lease.token)
        except Unavailable as error:
            self._postpone(lease, error)
        finally:
            self._heartbeat.let_go(lease)

    def _postpone(self, lease: ChunkLease, error: Unavailable) -> None:
        """Gives a chunk back, because the storage or the ledger did not answer."""
        log.warning("chunk postponed", job_id=str(lease.source.job_id), chunk=lease.chunk_no, code=error.code)
        settle.give_back(self._db, lease)

    def _score_isolated(self, lease: ChunkLease, rows: classify.Rows) -> None:
        with self._db.transaction() as session:
            condemned = ledger.condemned_rows(session, lease, CONDEMNED_AFTER)
        warden = _Warden(self._settings.isolated_row_s)
        scorer = self._scorer()  # loading it is not the row's doing

        def before_row(row_no: int, text: str) -> None:
            with self._db.transaction() as session:
                ledger.note_isolated_row(session, lease, row_no)
            # A cell of 100,000 characters is a thousand windows: slow, and no fault of its own.
            warden.restart(1 + len(text) / LONG_TEXT_CHARS)

        try:
            classify.score_isolated(rows, scorer, condemned=condemned, first_row=lease.first_row, before_row=before_row)
        finally:
            warden.stop()

    def _commit_result(self, lease: ChunkLease, result: ChunkResult) -> bool:
        """Commits; when the answer to COMMIT is lost, reads the ledger until it says what happened.

        Raises:
            StaleLease: the ledger holds another's result, or will.
            Unavailable: Postgres stayed away for a whole lease; the chunk will be claimed again.
        """
        give_up = time.monotonic() + self._settings.lease_s
        pause = 0.1
        unsure = False
        while True:
            try:
                with self._db.transaction() as session:
                    if unsure and ledger.is_committed(session, lease):
                        return True  # perhaps the last one: `finish` looks again
                    return ledger.commit_chunk(session, lease, result)
            except Unavailable:
                unsure = True
                if time.monotonic() > give_up:
                    raise
                time.sleep(pause)
                pause = min(2.0, pause * 2)


class _Warden:
    """Kills this process when one isolated row takes too long: native code heeds nothing milder."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._timer: threading.Timer | None = None

    def restart(self, share: float) -> None:
        """Gives the next row `share` times the limit."""
        self.stop()
        self._timer = threading.Timer(share * self._limit_s, os.kill, (os.getpid(), signal.SIGKILL))
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
