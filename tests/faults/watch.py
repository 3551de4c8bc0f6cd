"""An eye on the ledger while a job runs: when it last went on, and whether a lease is overdue."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg

from benchmarks.background import Background

EVERY_S = 0.1

_LOOK = """
SELECT coalesce(sum(chunks_done), 0) + coalesce(sum(ingest_row), 0) + count(*) FILTER (WHERE finished_at IS NOT NULL),
    count(*) FILTER (WHERE state IN ('queued', 'ingesting', 'running')),
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - lease_until)), 0) FROM chunk WHERE state = 'leased')
FROM job
"""


class Watch(Background):
    """A thread that looks ten times a second, as far as Postgres answers. Use it as a context manager."""

    patience_s = 10.0

    def __init__(self, admin_url: str) -> None:
        super().__init__()
        self._url = admin_url
        self.progress = 0
        """Chunks done, rows cut and jobs finished: grows as long as work goes on."""
        self.active = 0
        """Unfinished jobs."""
        self.seen_at = 0.0
        """When Postgres answered last (monotonic)."""
        self.overdue_s = 0.0
        """Seconds by which a lease was past its end at most, before somebody returned it, while Postgres was up."""

    def _run(self) -> None:
        while not self._over.is_set():
            with suppress(psycopg.Error), psycopg.connect(self._url, autocommit=True, connect_timeout=2) as database:
                while not self._over.is_set():
                    row = database.execute(_LOOK).fetchone()
                    assert row
                    self.progress, self.active = int(row[0]), row[1]
                    self.overdue_s = max(self.overdue_s, float(row[2]))
                    self.seen_at = time.monotonic()
                    self._over.wait(EVERY_S)
            self._over.wait(EVERY_S)

    def look(self) -> int:
        """Progress as of a look that begins after this call, or the last known if Postgres is away."""
        asked = time.monotonic()
        while self.seen_at < asked + EVERY_S and time.monotonic() < asked + 4 * EVERY_S:
            time.sleep(EVERY_S / 5)
        return self.progress

    def goes_on(self, after: int, began: float, seconds: float) -> float | None:
        """Waits for more progress than `after`; seconds since `began`, None if there was none or every job is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.progress > after:
                return time.monotonic() - began
            if not self.active:
                return None
            time.sleep(EVERY_S / 5)
        return None
