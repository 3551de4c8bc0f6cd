"""What one child does between a ticket and the next: claim, work, commit, until nothing is left or its time is up.

The task body is a call of `Shift.tick`; everything here runs without Celery, and tests run it so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property

import structlog

from core import ledger, registry, tracing
from core.db import Database
from core.errors import InputError, LimitExceeded, Unavailable
from core.ledger import IngestLease, StaleLease
from core.model_directory import ModelDirectory, find_model
from core.models import Job, Upload
from core.settings import Settings
from core.states import IngestState
from core.storage import Storage, open_storage
from core.upload_keys import canonical_key
from core.workers import live_slots
from worker import ingest, metrics, settle
from worker.answering import Answering
from worker.chunks import Chunks
from worker.classify import Scorer
from worker.engine import available_cores, load_engine
from worker.engine.null import NULL, NullEngine
from worker.heartbeat import Heartbeat
from worker.trace import Trace

log = structlog.get_logger(__name__)

DYING_S = 20.0
"""What Celery may take to end a child that is over its time limit. It must still hold its leases then: only a death
that finds a lease is laid to a chunk, and a row that hangs would be tried again for ever."""


class Shift:
    """One child's working life.

    `load_scorer` is called once, at the first chunk or by `warm_up`; `ring` with a number of tickets, when there is
    work for others, too.
    """

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
        ring: Callable[[int], object],
    ) -> None:
        self._db = db
        self._storage = storage
        self._settings = settings
        self._model = model
        self._load_scorer = load_scorer
        self._ring = ring
        self._worker_id = worker_id
        self._heartbeat = Heartbeat(db, lease_s=settings.lease_s, limit_s=settings.task_limit_s + DYING_S)
        self._answering = Answering(
            db=db, settings=settings, model=model, scorer=lambda: self.scorer, worker_id=worker_id
        )
        self._chunks = Chunks(
            db=db,
            storage=storage,
            settings=settings,
            model=model,
            scorer=lambda: self.scorer,
            worker_id=worker_id,
            heartbeat=self._heartbeat,
            trace=trace,
            between=self._answering.look,
            pause=self._answering.glance,
        )

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
        while time.monotonic() < until:
            # Whoever waits comes first, here and between two pieces of everything below.
            answered = self._answering.look()
            # Cutting and classifying take turns: labels come early, and a long file's length is known early.
            cut = self._cut()
            if not self._chunks.work_off(until) and not cut and not answered:
                return False
        return True

    # --- ingest ---------------------------------------------------------------------------------------------------

    def _cut(self) -> bool:
        """Cuts file after file until none waits or a slice's time is up: small ones need not wait for a turn each."""
        until = time.monotonic() + self._settings.ingest_slice_s
        found = False
        while self._ingest_once():
            found = True
            if time.monotonic() >= until:
                break
        return found

    def _ingest_once(self) -> bool:
        with self._db.transaction() as session:
            lease = ledger.claim_ingest(session, worker_id=self._worker_id, lease_s=self._settings.lease_s)
            if lease is None:
                return False
            job = session.get_one(Job, lease.source.job_id)
            warnings, named = job.warnings, job.options.get("text_column")
            upload = session.get_one(Upload, lease.upload_id)
            sha256, has_header = upload.sha256, upload.overrides.get("has_header")
        bound = log.bind(job_id=str(lease.source.job_id))
        span = tracing.span("ingest.slice", lease.source.traceparent, job_id=lease.source.job_id, first_row=lease.row)
        with self._heartbeat.holding(lease), span:
            try:
                if sha256 and lease.source.key == lease.source.upload_key and lease.offset == 0:
                    ingest.check_whole(self._storage, lease.source.key, sha256, self._answering.glance)
                if lease.state is IngestState.CONVERTING:
                    self._convert(lease, named, has_header)
                    return True
                cut = ingest.cut_slice(self._storage, lease, self._settings, warnings, between=self._answering.glance)
                complete = self._commit_slice(lease, cut)
                metrics.SLICES.inc()
                metrics.ROWS_CUT.inc(cut.row - lease.row)
                bound.info("slice cut", chunks=len(cut.chunks), rows=cut.row - 1, finished=cut.finished)
                self._call_others(len(cut.chunks) - 1)
                if complete:
                    settle.finish(self._db, lease)
            except StaleLease:
                bound.info("ingest lease lost", token=lease.token)
            except (InputError, LimitExceeded) as error:
                bound.info("file refused", code=error.code)
                with self._db.transaction() as session:
                    ledger.fail_job(session, lease.source.job_id, error)
            except Unavailable as error:
                bound.warning("ingest postponed", code=error.code)
                settle.give_back(self._db, lease)
        return True

    def _call_others(self, chunks: int) -> None:
        """Rings for the other slots, which would sleep until the sweeper rings: at most as often as there are chunks.

        One that is busy finds nothing new in its ticket; it claims on by itself.
        """
        if chunks < 1:
            return
        with self._db.transaction() as session:
            others = live_slots(session, self._model.sha256) - 1
        if others > 0:
            self._ring(min(chunks, others))

    def _convert(self, lease: IngestLease, text_column: str | None, has_header: bool | None) -> None:
        key = canonical_key(lease.upload_id)

        def keep_on() -> bool:
            self._answering.glance()
            return not self._heartbeat.lost(lease)

        made = ingest.make_canonical(
            self._storage, lease, self._settings, key, keep_on, text_column=text_column, has_header=has_header
        )
        if made is None:
            raise StaleLease
        with self._db.transaction() as session:
            ledger.commit_canonical(
                session,
                lease,
                key,
                warnings=[warning.to_dict() for warning in made.warnings],
                detected=made.format.to_dict() if made.format else None,
                text_column=asdict(made.text_column) if made.text_column else None,
            )

    def _commit_slice(self, lease: IngestLease, cut: ledger.Slice) -> bool:
        with self._db.transaction() as session:
            return ledger.commit_slice(session, lease, cut)


def open_shift(settings: Settings, worker_id: str, ring: Callable[[int], object]) -> Shift:
    """The shift of this process: its own connections, its own engine. `ring` sends so many tickets."""
    model = ModelDirectory.load(find_model(settings.model))
    db = Database(settings.database_url.get_secret_value(), "emobatch_worker", pool_size=3)
    with db.transaction() as session:
        registry.register(session, model)
    threads = settings.engine_threads or max(1, available_cores() // settings.worker_slots)
    return Shift(
        db=db,
        storage=open_storage(settings.storage_url),
        settings=settings,
        model=model,
        load_scorer=lambda: (
            NullEngine(model)
            if settings.engine == NULL
            else load_engine(
                model,
                kind=settings.engine,
                threads=threads,
                token_budget=settings.token_budget,
                cache_dir=settings.cache_dir,
                memory=settings.text_memory,
                precision=settings.precision,
            )
        ),
        worker_id=worker_id,
        trace=Trace(),
        ring=ring,
    )
