"""Chunks, worked off in bundles: claimed and read, scored, committed, while the neighbours are in the other two.

Chunks are small, so that jobs take turns often and a death costs little; a bundle is as many of one job's as take
`Settings.claim_s`, so that the engine's batches are full and its lanes seldom idle.

What a result says is `worker.classify`'s; here is the order of things, and what happens when Postgres, the storage or a
row is in the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import structlog

from core import ledger, tracing
from core.db import Database
from core.errors import InputError, Unavailable
from core.failpoints import failpoint
from core.ledger import ChunkLease, ChunkResult, StaleLease
from core.model_directory import ModelDirectory
from core.settings import Settings
from core.storage import Storage
from worker import classify, isolated, metrics, settle
from worker.bundle import Bundle, Read
from worker.classify import Rows, Scorer, Together
from worker.heartbeat import Heartbeat
from worker.trace import Trace

log = structlog.get_logger(__name__)

COLD = 8
"""Whoever had nothing to do begins with one part in so many of a bundle: its lanes wait until that is read and
tokenized, and somebody waits for the first labels."""


class Chunks:
    """Claims chunks and works them off.

    `scorer` gives the engine, and loads it the first time; `between` is called before each bundle is scored, `pause`
    between its batches, unless a row of it is tried alone.
    """

    def __init__(
        self,
        *,
        db: Database,
        storage: Storage,
        settings: Settings,
        model: ModelDirectory,
        scorer: Callable[[], Scorer],
        worker_id: str,
        heartbeat: Heartbeat,
        trace: Trace,
        between: Callable[[], object],
        pause: Callable[[], object],
    ) -> None:
        self._db = db
        self._storage = storage
        self._settings = settings
        self._model = model
        self._scorer = scorer
        self._worker_id = worker_id
        self._heartbeat = heartbeat
        self._trace = trace
        self._between = between
        self._pause = pause
        self._reader = ThreadPoolExecutor(1, "reader")
        self._committer = ThreadPoolExecutor(1, "committer")
        self._char_s = 0.0
        """Recent seconds per character scored, which decide how many chunks make a bundle; 0: none was scored yet."""
        self._most = 0
        """Chunks that the last bundle might have had; 0: there was nothing to do just now."""

    def work_off(self, until: float) -> bool:
        """Scores bundle after bundle; meanwhile the next is claimed and read and the last committed: nothing waits.

        Claiming ahead, scoring and committing are one bundle each at most: what a death can waste is bounded, and
        memory.

        Args:
            until: when no more is claimed, by `time.monotonic`. While a file waits to be cut, `claim_s` of work is
                claimed: one large bundle, or several of small jobs. One claim is always made.

        Returns:
            Whether there was anything to do.
        """
        found = False
        self._most = 0
        turn = time.monotonic() + self._settings.claim_s
        committing: Future[None] | None = None
        fetching = self._reader.submit(self._fetch)
        try:
            while bundle := fetching.result():
                found = True
                ahead = self._goes_on(bundle, until, turn)
                fetching = self._reader.submit(self._fetch if ahead else _nothing)
                self._between()
                with _stage("score", bundle):
                    scored = self._score(bundle)
                if committing:
                    committing.result()
                committing = self._committer.submit(self._commit, bundle, scored)
        finally:
            pending: list[Future[Any]] = [fetching, *([committing] if committing else [])]
            wait(pending)
            self._heartbeat.let_go_of_all()
        if committing:
            committing.result()
        return found

    def _goes_on(self, bundle: Bundle, until: float, turn: float) -> bool:
        """Whether there is to be a bundle after this one."""
        if bundle.isolated:  # beside a row that may kill us nothing else is begun: it would share the blame
            return False
        if bundle.file_waits:
            return time.monotonic() + self._char_s * bundle.chars < min(turn, until)
        return time.monotonic() < until

    def _fetch(self) -> Bundle | None:
        """The next bundle, claimed, read and tokenized; None when nothing is claimable."""
        began, began_ns = time.monotonic(), time.time_ns()
        bundle = self._claim(began)
        if bundle:  # whose it was shows only now
            metrics.STAGE_S.labels("fetch").observe(time.monotonic() - began)
            tracing.record("chunks.fetch", bundle.source.traceparent, began_ns, **bundle.traits)
        return bundle

    def _claim(self, began: float) -> Bundle | None:
        with self._db.transaction() as session:
            leases = ledger.claim_chunks(
                session,
                worker_id=self._worker_id,
                models=[self._model.sha256],
                lease_s=self._settings.lease_s,
                limit=self._limit(),
            )
            file_waits = bool(leases) and ledger.file_waits(session)
        failpoint("after-claim")
        if not leases:
            return None
        self._heartbeat.hold(leases)
        read = [(lease, rows) for lease in leases if (rows := self._read(lease))]
        if not read or leases[0].isolated:
            return Bundle(leases, read, None, file_waits, began)
        scorer = self._scorer()  # loading it is no chunk's doing
        with self._trace.during(leases[0].source.job_id, [lease.chunk_no for lease, _ in read]):
            return Bundle(leases, read, Together.of([rows for _, rows in read], scorer), file_waits, began)

    def _limit(self) -> int:
        """How many chunks a bundle may have: `claim_s` of work, if each held as much text as a chunk can.

        It grows by twice at most: while a small bundle is scored the next is made ready in time, and a child that dies
        young takes little with it; that then comes alone, see `core.ledger.claims`.
        """
        if not self._char_s:
            self._most = 1
            return 1
        wanted = self._settings.claim_s / (self._char_s * self._settings.chunk_text_bytes)
        most = max(1, min(self._settings.claim_chunks, int(wanted)))
        self._most = min(2 * self._most, most) if self._most else max(1, most // COLD)
        return self._most

    def _learn(self, seconds: float, scored: list[Rows]) -> None:
        """Takes the time of a bundle into account; texts that were not run say nothing."""
        chars = sum(sum(map(len, rows.texts)) * (1 - rows.identical / len(rows.texts)) for rows in scored)
        if chars:
            self._char_s = 0.7 * self._char_s + 0.3 * seconds / chars if self._char_s else seconds / chars

    def _read(self, lease: ChunkLease) -> Rows | None:
        """The rows of a chunk; None, and the reason is dealt with, where it is not to be scored."""
        bound = log.bind(job_id=str(lease.source.job_id), chunk=lease.chunk_no)
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

    def _score(self, bundle: Bundle) -> Read:
        """The chunks of a bundle that are scored now; none where they were given back or are no longer ours."""
        job_id = bundle.leases[0].source.job_id
        if not bundle.read or all(self._heartbeat.lost(lease) for lease in bundle.leases):
            return []
        scorer = self._scorer()
        began = time.monotonic()
        try:
            with self._trace.during(job_id, [lease.chunk_no for lease, _ in bundle.read]):
                if bundle.together:
                    classify.score_together(bundle.together, scorer, self._pause)
                else:
                    isolated.score(self._db, self._settings, *bundle.read[0], scorer)
        except StaleLease:
            log.info("isolated chunk lost", job_id=str(job_id), chunk=bundle.leases[0].chunk_no)
            return []
        except Unavailable as error:
            self._postpone(bundle.leases[0], error)
            return []
        if not bundle.isolated:
            self._learn(time.monotonic() - began, [rows for _, rows in bundle.read])
        return bundle.read

    def _commit(self, bundle: Bundle, scored: Read) -> None:
        """Commits what is scored, together, and lets go of the leases."""
        leases = bundle.leases
        try:
            if scored:
                name = self._scorer().name
                done = [(lease, classify.summarise(rows, self._model, name)) for lease, rows in scored]
                with _stage("commit", bundle):
                    last = self._commit_results(done, bundle.claimed)
                if last:
                    settle.finish(self._db, leases[0])
                failpoint("after-commit")
        except StaleLease:
            metrics.STALE.inc(len(scored))
            log.info("stale results refused", job_id=str(leases[0].source.job_id), chunks=len(leases))
        except Unavailable as error:
            for lease, _ in scored:
                self._postpone(lease, error)
        finally:
            for lease in leases:
                self._heartbeat.let_go(lease)

    def _postpone(self, lease: ChunkLease, error: Unavailable) -> None:
        """Gives a chunk back, because the storage or the ledger did not answer."""
        metrics.POSTPONED.inc()
        log.warning("chunk postponed", job_id=str(lease.source.job_id), chunk=lease.chunk_no, code=error.code)
        settle.give_back(self._db, lease)

    def _commit_results(self, done: list[tuple[ChunkLease, ChunkResult]], claimed: float) -> bool:
        """Commits; when the answer to COMMIT is lost, reads the ledger until it says what happened.

        Returns:
            Whether the job may be complete.

        Raises:
            StaleLease: the ledger holds others' results, or will.
            Unavailable: Postgres stayed away for a whole lease; the chunks will be claimed again.
        """
        give_up = time.monotonic() + self._settings.lease_s
        pause = 0.1
        unsure = False
        while True:
            try:
                with self._db.transaction() as session:
                    # One transaction wrote them all, or none.
                    if unsure and any(ledger.is_committed(session, lease) for lease, _ in done):
                        self._count(done, frozenset(), claimed)
                        return True  # perhaps the last ones: `finish` looks again
                    committed = ledger.commit_chunks(session, done)
                self._count(done, committed.stale, claimed)
                for chunk_no in committed.stale:
                    log.info("stale result refused", job_id=str(done[0][0].source.job_id), chunk=chunk_no)
                return committed.last
            except Unavailable:
                unsure = True
                if time.monotonic() > give_up:
                    raise
                time.sleep(pause)
                pause = min(2.0, pause * 2)

    def _count(self, done: list[tuple[ChunkLease, ChunkResult]], stale: frozenset[int], claimed: float) -> None:
        """Counts what was committed, and what was not."""
        metrics.STALE.inc(len(stale))
        for lease, result in done:
            if lease.chunk_no not in stale:
                metrics.count_chunk(self._model.version, result, time.monotonic() - claimed)


@contextmanager
def _stage(name: str, bundle: Bundle) -> Iterator[None]:
    """One of the stages of a bundle, timed and traced."""
    span = tracing.span(f"chunks.{name}", bundle.source.traceparent, **bundle.traits)
    with metrics.STAGE_S.labels(name).time(), span:
        yield


def _nothing() -> None:
    """In place of a claim that is not to be made."""
