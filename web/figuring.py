"""A job's figures for a request: counted for as long as a request may take."""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.errors import NotReady
from core.figures import FigureOptions, Figures, JobCounts, JobFigures, Progress
from core.results import ResultOptions
from web.api.ids import as_job_id
from web.auth import require_account
from web.figure_schemas import FigureQuery
from web.state import state

PAGE_S = 1.5
"""A page counts so long before it shows how far it has come."""

API_S = 8.0
"""A program waits longer: it need not ask twice about a million rows."""


def open_counts(job_id: str, asked: FigureQuery) -> JobCounts:
    """The counts of a job of the current account.

    Raises:
        NotFound, NotReady, BadOption: as `core.figures.JobFigures.open`.
    """
    reading = ResultOptions.parse(asked.taxonomy, asked.threshold)
    return JobFigures(state().db, state().storage, state().results).open(require_account(), as_job_id(job_id), reading)


def count(counts: JobCounts, by: str | None, seconds: float, examples: Sequence[str] | None = ()) -> Figures | Progress:
    """Figures, or how far counting has come in that time."""
    return counts.figures(FigureOptions(by, examples), time.monotonic() + seconds)


def top_counts(job_id: str, taxonomy: str) -> dict[str, int]:
    """Rows of a finished job by their most likely label; empty while they are not counted, or cannot be."""
    try:
        found = count(open_counts(job_id, FigureQuery(taxonomy=taxonomy)), None, PAGE_S)
    except NotReady:
        return {}
    return {} if isinstance(found, Progress) else {one.label: one.top.count for one in found.labels}


def counted(counts: JobCounts, by: str | None, examples: Sequence[str] | None = ()) -> Figures:
    """Figures, where nothing can be done with less.

    Raises:
        NotReady: they are still being counted.
    """
    found = count(counts, by, API_S, examples)
    if isinstance(found, Progress):
        raise NotReady(f"The figures are still being counted ({found.share:.0%}).", next_step="Ask again in a second.")
    return found
