"""What one child does between a ticket and the next: claim, work, commit, until nothing is left or its time is up.

The task body is a call of `Shift.tick`; everything here runs without Celery, and tests run it so.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import cached_property

import structlog

from core import ledger, registry
from core.db import Database
from core.errors import EmobatchError, InputError, LimitExceeded, Unavailable
from core.ledger import ChunkLease, ChunkResult, IngestLease, StaleLease
from core.model_directory import ModelDirectory, find_model
from core.models import Job
from core.settings import Settings
from core.states import IngestState
from core.storage import Storage, open_storage
from core.uploads import canonical_key
from worker import classify, ingest
from worker.classify import Scorer
from worker.engine import available_cores, load_engine
from worker.heartbeat import Heartbeat
from worker.trace import Trace

log = structlog.get_logger(__name__)

CONDEMNED_AFTER = 2
"""Isolated crashes on one row after which it is not tried again."""


LONG_TEXT_CHARS = 10_000
"""Each further so many characters give an isolated row its time limit once more."""


class Shift:
    """One child's working life. `load_scorer` is called once, at the first chunk or by `warm_up`."""

    def __init__(
        self,
        *,
        db: Database,
        storage: Storage,
        settings: Settings,
        model: ModelDirectory,
        load_scorer: Callable[[], Scorer],
        worker_id: str,
        trace: Trace,
    ) -> None:
        self._db = db
        self._storage = storage
        self._settings = settings
        self._model = model
        self._load_scorer = load_scorer
        self._worker_id = worker_id
        self._trace = trace
        self._heartbeat = Heartbeat(db, lease_s=settings.lease_s, limit_s=settings.task_limit_s)
        self._chunk_s = settings.claim_s
        """Recent seconds per chunk, which decide how many are claimed at once."""

    @cached_property
    def scorer(self) -> Scorer:
        """The engine, loaded on first use inside the child: CUDA must not be touched before."""
        return self._load_scorer()

    def warm_up(self) -> None:
        """Loads the engine before the first chunk comes."""
        self.scorer.score(["warm"])

    def tick(self) -> bool:
        """Works until nothing is claimable or `tick_s` have passed.

        Returns:
            Whether there may be more to do, so that somebody should ring again.
        """
        until = time.monotonic() + self._settings.tick_s
        turns = [self._ingest_once, self._classify_once]
        while time.monotonic() < until:
            # Cutting and classifying take turns: labels come early, and a long file's length is known early.
            if not turns[0]() and not turns[1]():
                return False
            turns.reverse()
        return True

    # --- ingest ---------------------------------------------------------------------------------------------------

    def _ingest_once(self) -> bool:
        with self._db.transaction() as session:
            lease = ledger.claim_ingest(session, worker_id=self._worker_id, lease_s=self._settings.lease_s)
            if lease is None:
                return False
            warnings = session.get_one(Job, lease.source.job_id).warnings
        bound = log.bind(job_id=str(lease.source.job_id))
        with self._heartbeat.holding([lease]):
            try:
                if lease.state is IngestState.CONVERTING:
                    self._convert(lease)
                    return True
                cut = ingest.cut_slice(self._storage, lease, self._settings, warnings)
                complete = self._commit_slice(lease, cut)
                bound.info("slice cut", chunks=len(cut.chunks), rows=cut.row - 1, finished=cut.finished)
                if complete:
                    self._finish(lease)
            except StaleLease:
                bound.info("ingest lease lost", token=lease.token)
            except (InputError, LimitExceeded) as error:
                bound.info("file refused", code=error.code)
                with self._db.transaction() as session:
                    ledger.fail_job(session, lease.source.job_id, error)
            except Unavailable as error:
                bound.warning("ingest postponed", code=error.code)
                self._give_back(lease)
        return True

    def _convert(self, lease: IngestLease) -> None:
        key = canonical_key(lease.upload_id)
        ingest.make_canonical(self._storage, lease, self._settings, key, lambda: not self._heartbeat.lost(lease))
        with self._db.transaction() as session:
            ledger.commit_canonical(session, lease, key)

    def _commit_slice(self, lease: IngestLease, cut: ledger.Slice) -> bool:
        with self._db.transaction() as session:
            return ledger.commit_slice(session, lease, cut)

    # --- chunks ---------------------------------------------------------------------------------------------------

    def _classify_once(self) -> bool:
        settings = self._settings
        limit = max(1, min(settings.claim_chunks, int(settings.claim_s / max(self._chunk_s, 1e-3))))
        with self._db.transaction() as session:
            leases = ledger.claim_chunks(
                session,
                worker_id=self._worker_id,
                models=[self._model.sha256],
                lease_s=settings.lease_s,
                limit=limit,
            )
        if not leases:
            return False
        with self._heartbeat.holding(leases):
            for lease in leases:
                started = time.monotonic()
                self._one_chunk(lease)
                self._heartbeat.let_go(lease)
                self._chunk_s = 0.7 * self._chunk_s + 0.3 * (time.monotonic() - started)
        return True

    def _one_chunk(self, lease: ChunkLease) -> None:
        bound = log.bind(job_id=str(lease.source.job_id), chunk=lease.chunk_no)
        if self._heartbeat.lost(lease):
            bound.info("lease lost before the chunk was begun", token=lease.token)
            return
        try:
            rows = classify.read_rows(
                self._storage,
                lease,
                max_text_chars=self._settings.max_text_chars,
                n_labels=len(self._model.labels),
            )
            self._trace.begin(lease.source.job_id, lease.chunk_no)
            if lease.isolated:
                self._score_isolated(lease, rows)
            else:
                classify.score_rows(rows, self.scorer)
            self._trace.end()
            if self._commit_chunk(lease, classify.summarise(rows, self._model)):
                self._finish(lease)
        except StaleLease:
            bound.info("stale result refused", token=lease.token)
        except InputError as error:
            bound.error("chunk unreadable", code=error.code)
            with self._db.transaction() as session:
                ledger.fail_job(session, lease.source.job_id, error)
        except Unavailable as error:
            bound.warning("chunk postponed", code=error.code)
            self._give_back(lease)
        finally:
            self._trace.end()

    def _score_isolated(self, lease: ChunkLease, rows: classify.Rows) -> None:
        with self._db.transaction() as session:
            condemned = ledger.condemned_rows(session, lease, CONDEMNED_AFTER)
        warden = _Warden(self._settings.isolated_row_s)
        scorer = self.scorer  # loading it is not the row's doing

        def before_row(row_no: int, text: str) -> None:
            with self._db.transaction() as session:
                ledger.note_isolated_row(session, lease, row_no)
            # A cell of 100,000 characters is a thousand windows: slow, and no fault of its own.
            warden.restart(1 + len(text) / LONG_TEXT_CHARS)

        try:
            classify.score_isolated(rows, scorer, condemned=condemned, first_row=lease.first_row, before_row=before_row)
        finally:
            warden.stop()

    def _commit_chunk(self, lease: ChunkLease, result: ChunkResult) -> bool:
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

    def _finish(self, lease: ChunkLease | IngestLease) -> None:
        with self._db.transaction() as session:
            state = ledger.finish(session, lease.source.job_id)
        if state:
            log.info("job finished", job_id=str(lease.source.job_id), state=state.value)

    def _give_back(self, lease: ChunkLease | IngestLease) -> None:
        """Returns a lease after a passing fault; if that fails as well, it runs out by itself."""
        try:
            with self._db.transaction() as session:
                if isinstance(lease, ChunkLease):
                    ledger.release_chunk(session, lease, after_s=2.0)
                else:
                    ledger.release_ingest(session, lease, after_s=2.0)
        except EmobatchError as error:
            log.warning("lease left to run out", code=error.code)


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


def open_shift(settings: Settings, worker_id: str) -> Shift:
    """The shift of this process: its own connections, its own engine."""
    model = ModelDirectory.load(find_model(settings.model))
    db = Database(settings.database_url.get_secret_value(), "emobatch_worker", pool_size=2)
    with db.transaction() as session:
        registry.register(session, model)
    threads = settings.engine_threads or max(1, available_cores() // settings.worker_slots)
    return Shift(
        db=db,
        storage=open_storage(settings.storage_url),
        settings=settings,
        model=model,
        load_scorer=lambda: load_engine(
            model,
            kind=settings.engine,
            threads=threads,
            token_budget=settings.token_budget,
            cache_dir=settings.cache_dir,
            memory=settings.text_memory,
        ),
        worker_id=worker_id,
        trace=Trace(),
    )
