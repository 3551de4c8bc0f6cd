"""The pages of "How right is it on my file?": a sample drawn, labelled one text at a time, and what it says of all.

What emobatch says of a row is not on the page until the row is answered. Everything works by forms and links; the
script adds keys, and htmx spares the loading of the whole page.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, make_response, redirect, render_template, request, url_for

import core.jobs
from core import own_taxonomies, registry
from core.errors import BadOption, EmobatchError, NotFound
from core.jobs import JobStatus
from core.registry import ModelVersion
from core.results import ResultOptions
from core.review import answers, corrections, reviews
from core.review.report import Report, report
from core.review.reviews import Progress, Reviews
from core.review.tables import Verdict
from core.taxonomy import Taxonomy
from web import problems
from web.api.ids import as_job_id
from web.auth import require_account
from web.check_charts import Chart, Share, charts_of, shares_of
from web.present import colours
from web.review_schemas import TaxonomyOptions
from web.schemas import parse
from web.state import state

checking = APIBlueprint("checking", __name__, enable_openapi=False)

SIZES = (50, 70, 100, 200)
SECONDS_A_ROW = 4
ENOUGH = 10
"""Answers before figures are shown: from fewer they would only tell that they are few."""
SHOWN_CHARACTERS = 3_000
KEYS = 9
"""A taxonomy with more labels is searched by typing."""


def install(app: Flask) -> None:
    """Adds the pages to the app."""
    app.register_blueprint(checking)
    app.jinja_env.filters["whole"] = lambda share: f"{100 * share:.0f}"


@checking.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@dataclass(frozen=True)
class View:
    """A job and the taxonomy that it is checked in."""

    status: JobStatus
    model: ModelVersion
    taxonomy: Taxonomy
    sample: Progress | None
    colours: Mapping[str, str]
    own: list[str]
    """Names of the user's own taxonomies."""

    @classmethod
    def load(cls, job_id: str, taxonomy: str | None) -> View:
        """Raises NotFound or BadOption where the address is wrong."""
        account_id, asked = require_account(), as_job_id(job_id)
        with state().db.transaction(account_id) as db:
            status = core.jobs.get_status(db, account_id, asked)
            model = registry.model_version(db, status.model_sha256)
            _, chosen = corrections.taxonomy_of(db, account_id, asked, taxonomy)
            model = own_taxonomies.with_own(db, account_id, model, chosen.name)
            own = [kept.name for kept in own_taxonomies.list_current(db, account_id)]
            try:
                sample = reviews.progress(db, account_id, asked, taxonomy=chosen.name)
            except NotFound:
                sample = None
        return cls(status, model, chosen, sample, colours(model, chosen.name), own)

    @property
    def job_id(self) -> uuid.UUID:
        return self.status.id

    @property
    def usual(self) -> int:
        """The size of a sample that is offered first."""
        found = reviews.usual_size(len(self.status.label_counts.get(self.taxonomy.name, self.taxonomy.labels)))
        return next((size for size in SIZES if size >= found), SIZES[-1])

    @property
    def sizes(self) -> list[tuple[str, str]]:
        """Sizes of a sample to choose from, with words; of one that is drawn, the larger ones."""
        drawn = self.sample.size if self.sample else 0
        return [
            (str(size), f"{size} rows, about {max(1, round(size * SECONDS_A_ROW / 60))} minutes")
            for size in (*SIZES, 500)
            if size > drawn and size <= max(SIZES[0], self.status.rows_ok)
        ]

    @property
    def tabs(self) -> list[tuple[str, str]]:
        """Taxonomies to choose from: name, words."""
        words = {"ekman": "Six emotions", "goemotions": "All 28", "sentiment": "Sentiment"}
        there = [name for name in self.model.taxonomies if "@" not in name]
        return [(name, words.get(name, name)) for name in dict.fromkeys([*there, *self.own])]

    def address(self, endpoint: str, **more: Any) -> str:
        """An address of this check, in the taxonomy in force."""
        return url_for(endpoint, job_id=self.job_id, taxonomy=self.taxonomy.name, **more)


# --- the check ------------------------------------------------------------------------------------------------------


@checking.get("/jobs/<job_id>/check")
def check(job_id: str) -> Any:
    """What the check is, or how far it is, and what it says so far."""
    view = View.load(job_id, parse(TaxonomyOptions, request.args).taxonomy)
    return _check_page(view)


@checking.post("/jobs/<job_id>/check")
def draw(job_id: str) -> Any:
    """Draws a sample, or a larger one, and goes on to its first row."""
    view = View.load(job_id, request.form.get("taxonomy") or None)
    size = request.form.get("size", "")
    try:
        if size and not size.isdecimal():
            raise BadOption(f"size={size!r} is no number.", next_step="Use a number such as 70.")
        Reviews(state().db).draw(
            require_account(), view.job_id, taxonomy=view.taxonomy.name, size=int(size) if size else None
        )
    except EmobatchError as error:
        document = problems.of_error(error)
        return _check_page(view, document), document["status"]
    return redirect(view.address("checking.card"), 303)


@checking.post("/jobs/<job_id>/check/remove")
def remove(job_id: str) -> Any:
    """Removes the sample, to start over; what was said of its rows stays."""
    view = View.load(job_id, request.form.get("taxonomy") or None)
    with state().db.transaction(account_id := require_account()) as db:
        reviews.remove(db, account_id, view.job_id, taxonomy=view.taxonomy.name)
    return redirect(view.address("checking.check"), 303)


@checking.get("/jobs/<job_id>/check/teaser")
def teaser(job_id: str) -> Any:
    """The part of a job's page that offers the check, or says its outcome."""
    view = View.load(job_id, parse(TaxonomyOptions, request.args).taxonomy)
    return render_template("_check_teaser.html", view=view, found=_report(view), corrected=_corrected(view))


def _check_page(view: View, problem: dict[str, Any] | None = None) -> str:
    found = _report(view)
    shares: list[Share] = []
    charts: tuple[Chart, ...] = ()
    if found and found.figures.asked >= ENOUGH:
        shares, charts = shares_of(found.figures), charts_of(found)
    return render_template(
        "check.html",
        view=view,
        problem=problem,
        found=found,
        shares=shares,
        charts=charts,
        corrected=_corrected(view),
        enough=ENOUGH,
    )


def _corrected(view: View) -> int:
    with state().db.transaction(require_account()) as db:
        return corrections.how_many(db, view.job_id).get(view.taxonomy.name, 0)


def _report(view: View) -> Report | None:
    try:
        return report(state().db, require_account(), view.job_id, view.taxonomy.name)
    except NotFound:
        return None


# --- one row at a time ----------------------------------------------------------------------------------------------


@checking.get("/jobs/<job_id>/check/card")
def card(job_id: str) -> Any:
    """The next row to answer."""
    return _card(View.load(job_id, parse(TaxonomyOptions, request.args).taxonomy))


@checking.post("/jobs/<job_id>/check/card")
def post_card(job_id: str) -> Any:
    """An answer; the next row follows."""
    form = request.form
    view = View.load(job_id, form.get("taxonomy") or None)
    labels = form.getlist("several") if "take" in form else form.getlist("labels")
    if "none" in form:
        labels = []
    elif "take" in form and not labels:
        return _card(view, problem=problems.of_error(BadOption("No label is ticked.", next_step="Tick one or more.")))
    verdict = Verdict(form["verdict"]) if form.get("verdict") in ("unsure", "skipped") else Verdict.LABELLED
    given = labels if verdict is Verdict.LABELLED else None
    with state().db.transaction(account_id := require_account()) as db:
        answers.answer(db, account_id, view.job_id, _row(form), given, verdict=verdict, taxonomy=view.taxonomy.name)
    if "HX-Request" not in request.headers:
        return redirect(view.address("checking.card"), 303)
    return _card(View.load(job_id, view.taxonomy.name))


@checking.post("/jobs/<job_id>/check/undo")
def undo(job_id: str) -> Any:
    """Takes the last answer back; its row follows."""
    view = View.load(job_id, request.form.get("taxonomy") or None)
    with state().db.transaction(account_id := require_account()) as db:
        answers.take_back(db, account_id, view.job_id, taxonomy=view.taxonomy.name)
    if "HX-Request" not in request.headers:
        return redirect(view.address("checking.card"), 303)
    return _card(View.load(job_id, view.taxonomy.name))


def _row(form: Mapping[str, str]) -> int:
    given = form.get("row", "")
    if not given.isdecimal() or len(given) > 9:
        raise BadOption(f"row={given!r} is no data row.")
    return int(given)


def _card(view: View, problem: dict[str, Any] | None = None) -> Any:
    """The card with the next row; where none is left, or none was drawn, the way back to the check."""
    if view.sample is None or not view.sample.left:
        target = view.address("checking.check")
        if "HX-Request" in request.headers:
            return make_response("", 200, {"HX-Redirect": target})
        return redirect(target, 303)
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        (row,) = answers.next_rows(db, account_id, view.job_id, taxonomy=view.taxonomy.name)
        last = answers.last_answer(db, account_id, view.job_id, taxonomy=view.taxonomy.name)
    found = state().results.open(account_id, view.job_id, ResultOptions(), partial=True)
    (shown,) = found.table.reader.read([row])
    words = shown["text"]
    values = {
        "view": view,
        "row": row,
        "line": shown["line"],
        "words": words[:SHOWN_CHARACTERS],
        "cut": max(0, len(words) - SHOWN_CHARACTERS),
        "last": last,
        "by_key": len(view.taxonomy.labels) <= KEYS,
        "problem": problem,
    }
    fragment = "HX-Request" in request.headers
    return render_template("_check_card.html" if fragment else "check_card.html", **values)


# --- a row that somebody came across --------------------------------------------------------------------------------


@checking.get("/jobs/<job_id>/rows/<int:row>/correction")
def correction(job_id: str, row: int) -> Any:
    """The form to correct a row, to be put beside it."""
    return _correction(View.load(job_id, parse(TaxonomyOptions, request.args).taxonomy), row)


@checking.post("/jobs/<job_id>/rows/<int:row>/correction")
def post_correction(job_id: str, row: int) -> Any:
    """What a person says of a row: labels, or nothing any more."""
    view = View.load(job_id, request.form.get("taxonomy") or None)
    labels = [label for label in request.form.getlist("labels") if label]
    with state().db.transaction(account_id := require_account()) as db:
        if labels:
            corrections.correct(db, account_id, view.job_id, row, labels, taxonomy=view.taxonomy.name)
        else:
            corrections.withdraw(db, account_id, view.job_id, row, taxonomy=view.taxonomy.name)
    if "HX-Request" not in request.headers:
        return redirect(view.address("row_pages.row", row=row), 303)
    return _correction(view, row)


def _correction(view: View, row: int) -> str:
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        given = corrections.of_rows(db, view.job_id, view.taxonomy.name, row, row).get(row)
    template = "_correction.html" if "HX-Request" in request.headers else "correction.html"
    return render_template(template, view=view, row=row, given=given)
