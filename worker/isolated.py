"""A chunk that killed a child, row by row: each is written down before it is tried, and given so much time.

So the next death can be laid to one row, and a row that keeps killing is condemned while its neighbours get labels.
"""

from __future__ import annotations

import os
import signal
import threading

from core import ledger
from core.db import Database
from core.ledger import ChunkLease
from core.settings import Settings
from worker import classify
from worker.classify import Rows, Scorer

CONDEMNED_AFTER = 2
"""Isolated crashes on one row after which it is not tried again."""


LONG_TEXT_CHARS = 10_000
"""Each further so many characters give an isolated row its time limit once more."""


def score(db: Database, settings: Settings, lease: ChunkLease, rows: Rows, scorer: Scorer) -> None:
    """Scores the rows of an isolated chunk.

    Raises:
        StaleLease: the chunk is no longer ours.
        Unavailable: Postgres does not answer.
    """
    with db.transaction() as session:
        condemned = ledger.condemned_rows(session, lease, CONDEMNED_AFTER)
    warden = _Warden(settings.isolated_row_s)

    def before_row(row_no: int, text: str) -> None:
        with db.transaction() as session:
            ledger.note_isolated_row(session, lease, row_no)
        # A cell of 100,000 characters is a thousand windows: slow, and no fault of its own.
        warden.restart(1 + len(text) / LONG_TEXT_CHARS)

    try:
        classify.score_isolated(rows, scorer, condemned=condemned, first_row=lease.first_row, before_row=before_row)
    finally:
        warden.stop()


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
