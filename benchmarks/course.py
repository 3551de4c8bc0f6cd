"""The course of one job: how many rows were done when, and what a row cost at the start and at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from emobatch.client import Client

POLL_S = 0.1


@dataclass(frozen=True)
class Course:
    """What was seen of a job.

    Attributes:
        points: (seconds since its upload was accepted, rows done), both growing, the first (0, 0).
        cut_after: seconds until the whole file had been cut into chunks; the first look that found it so.
    """

    points: Sequence[tuple[float, int]]
    cut_after: float

    @property
    def seconds(self) -> float:
        """Until the last row was done."""
        return self.points[-1][0]

    @property
    def rows(self) -> int:
        """All rows."""
        return self.points[-1][1]

    def when(self, rows: float) -> float:
        """Seconds until `rows` rows were done, in proportion between two looks. Raises ValueError if they were not."""
        for (before, few), (after, many) in pairwise(self.points):
            if few <= rows <= many:
                return before + (after - before) * (rows - few) / (many - few)
        raise ValueError(f"{rows:,.0f} rows were never done.")

    def marginal(self, start: float, end: float) -> float:
        """Seconds per row between `start` and `end` rows done."""
        return (self.when(end) - self.when(start)) / (end - start)

    def growth(self) -> float:
        """Seconds per row in the last tenth of the rows over those in the second tenth."""
        tenth = self.rows / 10
        return self.marginal(9 * tenth, self.rows) / self.marginal(tenth, 2 * tenth)

    def growth_after_cutting(self) -> float | None:
        """The same of the two halves of what was left when cutting had ended; None where that was less than a half.

        While a file is being cut, a row costs its cutting too, so that the beginning looks dearer than it is.
        """
        done = max((rows for seconds, rows in self.points if seconds <= self.cut_after), default=0)
        if self.rows - done < self.rows / 2:
            return None
        middle = (done + self.rows) / 2
        return self.marginal(middle, self.rows) / self.marginal(done, middle)


def follow(client: Client, job_id: str, rows: int) -> Course:
    """Watches a job of `rows` rows from now to its end.

    Raises:
        RuntimeError: it ended with fewer rows labelled.
    """
    began = time.perf_counter()
    points = [(0.0, 0)]
    cut_after = 0.0
    while True:
        job = client.status(job_id)
        now = time.perf_counter() - began
        if job.rows_done > points[-1][1]:
            points.append((now, job.rows_done))
        if not cut_after and job.rows_total_final:
            cut_after = now
        if not job.state.active:
            break
        time.sleep(POLL_S)
    if job.rows_ok != rows:
        raise RuntimeError(f"{job.rows_ok:,} of {rows:,} rows were labelled; the job is {job.state}.")
    return Course(points, cut_after)
