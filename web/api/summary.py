"""One job in figures: as JSON, as Markdown, as charts with their data."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint, FileSchema
from flask import Response

from core.errors import NotFound
from core.figures import JobFigures, Progress
from core.results import ResultOptions
from core.states import JobState
from web.api.ids import as_job_id
from web.auth import require_account
from web.downloads import attachment
from web.figure_charts import NAMES, Chart, charts_of
from web.figure_schemas import ChartQuery, FiguresOut, ProgressOut, SummaryOut, SummaryQuery
from web.figure_text import markdown
from web.figuring import API_S, count, counted, open_counts
from web.present import colours
from web.state import state

TAG = {"name": "Summary", "description": "A job in figures, in any taxonomy, at any threshold, by any column."}

summaries = APIBlueprint("summary", __name__, tag=TAG)

FILE = FileSchema(type="string", format="binary")


@summaries.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@summaries.get("/jobs/<job_id>/summary")
@summaries.input(SummaryQuery, location="query", arg_name="asked")
@summaries.output(SummaryOut)
def get_summary(job_id: str, asked: SummaryQuery) -> Any:
    """Sum a job up in figures.

    Counts of rows are there while it runs; the figures, each share with its 95 % interval, once it is finished. Those
    of a large job are counted when they are first asked for: the answer is 202 until they are there, and then at once,
    whatever the threshold.
    """
    reading = ResultOptions.parse(asked.taxonomy, asked.threshold)
    results = state().results.open(require_account(), as_job_id(job_id), reading, partial=True)
    said = {**results.summary(), "figures": None, "progress": None}
    if JobState(results.job.state).active:
        return said
    counts = JobFigures(state().db, state().storage, state().results).of(results)
    found = count(counts, asked.by, API_S, None if asked.examples == "yes" else ())
    if isinstance(found, Progress):
        return said | {"progress": ProgressOut.from_progress(found).model_dump()}, 202
    return said | {"figures": FiguresOut.of(found).model_dump()}


@summaries.get("/jobs/<job_id>/summary.md")
@summaries.input(SummaryQuery, location="query", arg_name="asked")
@summaries.output(FILE, content_type="text/markdown", description="Text for a report.")
def get_text(job_id: str, asked: SummaryQuery) -> Any:
    """Sum a job up in words: Markdown, to be pasted into a report."""
    counts = open_counts(job_id, asked)
    found = counted(counts, asked.by, None if asked.examples == "yes" else ())
    words = markdown(found, counts.filename, counts.model.version)
    return Response(words, mimetype="text/markdown", headers=_named(f"{counts.stem}.summary.md"))


@summaries.get("/jobs/<job_id>/summary/<chart>.svg")
@summaries.input(ChartQuery, location="query", arg_name="asked")
@summaries.output(FILE, content_type="image/svg+xml", description="A chart; it needs nothing but itself.")
def get_chart(job_id: str, chart: str, asked: ChartQuery) -> Any:
    """Draw one of the charts: `top`, `said`, `sentiment`, `together`, and with `by` also `groups` and `label`."""
    found, stem = _chart(job_id, chart, asked)
    return Response(found.svg, mimetype="image/svg+xml", headers=_named(f"{stem}.{chart}.svg"))


@summaries.get("/jobs/<job_id>/summary/<chart>.csv")
@summaries.input(ChartQuery, location="query", arg_name="asked")
@summaries.output(FILE, content_type="text/csv", description="What the chart shows.")
def get_chart_data(job_id: str, chart: str, asked: ChartQuery) -> Any:
    """Read the data of one of the charts."""
    found, stem = _chart(job_id, chart, asked)
    return Response(found.csv(), mimetype="text/csv", headers=_named(f"{stem}.{chart}.csv"))


def _chart(job_id: str, chart: str, asked: ChartQuery) -> tuple[Chart, str]:
    """A chart, and what its job's files are called."""
    counts = open_counts(job_id, asked)
    if chart not in NAMES:
        raise NotFound(f"There is no chart {chart!r}.", next_step=f"The charts are: {', '.join(NAMES)}.")
    counts.check_labels([asked.label] if asked.label else [])
    charts = charts_of(counted(counts, asked.by), colours(counts.model, counts.taxonomy.name), asked.label)
    if chart not in charts:
        why = "without a column to break down by" if chart in ("groups", "label") else "for these figures"
        raise NotFound(f"There is no chart {chart!r} {why}.", next_step=f"There are: {', '.join(charts)}.")
    return charts[chart], counts.stem


def _named(filename: str) -> dict[str, str]:
    return {"Content-Disposition": attachment(filename)}
