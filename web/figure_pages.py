"""The page of a job in figures: charts, text for a report, rows that stand for labels.

All of it is in the address (taxonomy, threshold, column, label), so that what somebody looks at can be sent to others,
and every download on the page is of what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, render_template, request, url_for
from pydantic import Field

import core.jobs
from core import registry
from core.errors import NotReady
from core.figures import Figures, JobCounts, Progress
from core.figures.columns import Column
from core.figures.values import Kind
from core.jobs import JobStatus
from web.api.ids import as_job_id
from web.auth import require_account
from web.figure_charts import Chart, charts_of, leading
from web.figure_schemas import FigureQuery
from web.figure_text import markdown
from web.figuring import PAGE_S, count, open_counts
from web.present import colours
from web.reading import Choice, choices, own_current, with_own
from web.schemas import Word, parse
from web.state import state

figure_pages = APIBlueprint("figure_pages", __name__, enable_openapi=False)


class PageQuery(FigureQuery):
    """What is in the page's address."""

    label: Word | None = Field(default=None)


@dataclass(frozen=True)
class SummaryView:
    """A job's figures as their page shows them."""

    status: JobStatus
    options: PageQuery
    taxonomy: str
    choices: list[Choice]
    labels: tuple[str, ...]
    columns: list[Column]
    colours: dict[str, str]
    figures: Figures | None
    progress: Progress | None
    charts: dict[str, Chart]
    label: str
    """The one that is looked at closely."""
    text: str

    def address(self, endpoint: str, **changes: Any) -> str:
        """An address of this job with the options in force, some of them changed."""
        kept = {"taxonomy": self.options.taxonomy, "threshold": self.options.threshold, "by": self.options.by}
        return url_for(endpoint, job_id=self.status.id, **(kept | changes))  # None is left out

    @property
    def column_words(self) -> list[tuple[str, str]]:
        """The columns to break down by, as they are called in an address and on the page."""
        names = [column.name for column in self.columns]
        found = [("", "nothing")]
        for column in self.columns:
            usable = column.name and column.name.isprintable() and names.count(column.name) == 1
            value = column.name if usable else str(column.index + 1)
            found.append((value, f"{column.name or f'column {column.index + 1}'}{_KINDS.get(column.kind, '')}"))
        return found


_KINDS = {
    Kind.DAY: " (date)",
    Kind.DAY_MONTH: " (date, day/month)",
    Kind.MONTH_DAY: " (date, month/day)",
}


def install(app: Flask) -> None:
    """Adds the page to the app."""
    app.register_blueprint(figure_pages)


@figure_pages.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@figure_pages.get("/jobs/<job_id>/summary")
def summary(job_id: str) -> Any:
    """The page. Figures that are not counted yet are counted for a moment, and the page asks again."""
    options = parse(PageQuery, request.args)
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        status = core.jobs.get_status(session, account_id, asked)
        model = registry.model_version(session, status.model_sha256)
    try:
        counts = open_counts(job_id, options)
    except NotReady as error:
        with_own(model, options.taxonomy)
        next_step = "The summary is there as soon as it is." if status.state.active else error.next_step
        reason = f"{error.what} {next_step}".strip()
        return render_template("summary.html", view=None, status=status, reason=reason)
    return render_template("summary.html", view=_view(status, options, counts), status=status)


def _view(status: JobStatus, options: PageQuery, counts: JobCounts) -> SummaryView:
    labels = counts.taxonomy.labels
    label = options.label if options.label in labels else None  # it may be one of the taxonomy shown before
    found = count(counts, options.by, PAGE_S)
    figures = progress = None
    if isinstance(found, Progress):
        progress = found
    else:
        label = label or leading(found.labels)
        figures = found
        examples = count(counts, options.by, PAGE_S, [label])
        figures = examples if isinstance(examples, Figures) else found
    colour = colours(counts.model, counts.taxonomy.name)
    return SummaryView(
        status=status,
        options=options,
        taxonomy=counts.taxonomy.name,
        choices=choices(counts.model, own_current(), counts.taxonomy.name),
        labels=labels,
        columns=counts.columns(),
        colours=colour,
        figures=figures,
        progress=progress,
        charts=charts_of(figures, colour, label) if figures else {},
        label=label or "",
        text=markdown(figures, counts.filename, counts.model.version) if figures else "",
    )
