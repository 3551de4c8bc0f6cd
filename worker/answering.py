"""The worker's side of the synchronous lane: somebody waits for a few texts, so they come before every chunk.

A request is scored as a chunk's rows are, by the same functions, in one piece: it is no longer than a chunk. The lane
is looked at where a child is between two pieces of work; that costs one statement, which nearly always finds nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import structlog

from core import classify_requests
from core.classify_requests import Answer, ClaimedRequest
from core.db import Database
from core.errors import Unavailable
from core.model_directory import ModelDirectory
from core.settings import Settings
from worker import classify, metrics
from worker.classify import Scorer, rows_of

log = structlog.get_logger(__name__)

MOST_S = 1.0
"""Of a child's time at one look: however many ask, jobs get on."""

GLANCE_S = 0.1
"""Between two glances from within a longer piece of work."""


class Answering:
    """Answers requests in the lane. `scorer` gives the engine, and loads it the first time."""

    def __init__(
        self, *, db: Database, settings: Settings, model: ModelDirectory, scorer: Callable[[], Scorer], worker_id: str
    ) -> None:
        self._db = db
        self._settings = settings
        self._model = model
        self._scorer = scorer
        self._worker_id = worker_id
        self._glanced = 0.0

    def look(self) -> bool:
        """Answers what waits, for about `MOST_S` at most; whether there was anything.

        A ledger that is away is no error here: whoever waits is told by web, and the work at hand goes on.
        """
        found = False
        until = time.monotonic() + MOST_S
        try:
            while self._answer_one():
                found = True
                if time.monotonic() > until:
                    break
        except Unavailable as error:
            log.warning("lane not looked at", code=error.code)
        self._glanced = time.monotonic()
        return found

    def glance(self) -> None:
        """`look`, if the last one was not just now: for work that has many small pauses.

        Nothing that goes wrong here may be laid to that work.
        """
        if time.monotonic() - self._glanced > GLANCE_S:
            try:
                self.look()
            except Exception:
                log.exception("lane not looked at")
                self._glanced = time.monotonic()

    def _answer_one(self) -> bool:
        with self._db.transaction() as session:
            claimed = classify_requests.claim(
                session, worker_id=self._worker_id, models=[self._model.sha256], lease_s=self._settings.classify_lease_s
            )
        if claimed is None:
            return False
        given = self._score(claimed)
        with self._db.transaction() as session:
            in_time = classify_requests.answer(session, claimed, given)
        metrics.ANSWERED.observe(given.scored_s)
        log.info("request answered", texts=len(claimed.texts), in_time=in_time, ms=round(1000 * given.scored_s))
        return True

    def _score(self, claimed: ClaimedRequest) -> Answer:
        rows = rows_of(
            claimed.texts,
            max_text_chars=self._settings.max_text_chars,
            n_labels=len(self._model.labels),
            # Nothing is found again in another request: none can tell what one held, and a time taken is a true one.
            scope=claimed.id.bytes,
        )
        began = time.monotonic()
        classify.score_rows(rows, self._scorer())
        return Answer(
            logits=np.ascontiguousarray(rows.logits, dtype="<f2").tobytes(),
            status=rows.status,
            flags=rows.flags,
            detail=rows.detail,
            scored_s=time.monotonic() - began,
        )
