"""A row's own page: every cell, every score, and on demand which of its words mattered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, render_template

from core.errors import EmobatchError, NotReady
from core.results import JobResults
from core.results.detail import Reading
from web import problems, tables
from web.auth import require_account
from web.pages import JobView
from web.present import colours
from web.tables import FLAG_MEANINGS, open_job
from web.words import Words, words_of

row_pages = APIBlueprint("row_pages", __name__, enable_openapi=False)

SHADES = 4
"""Strengths in which a word is marked."""

LEAST_CHANGE = 0.005
"""A change that two decimals do not show is not marked."""

MOST_WORDS = 12
"""Words in the list beneath the text."""


@dataclass(frozen=True)
class Mark:
    """A stretch of a text; `side` is ``for`` or ``against`` where it is a word that mattered, `shade` how much."""

    text: str
    side: str = ""
    shade: int = 0
    change: float = 0.0


@dataclass(frozen=True)
class ScoreBar:
    """One label's score with its threshold, and whether it reaches it."""

    label: str
    score: float
    threshold: float
    said: bool
    colour: str


def install(app: Flask) -> None:
    """Adds the pages to the app."""
    app.register_blueprint(row_pages)
    app.jinja_env.globals.update(colours_of=colours)
    tables.install(app)


@row_pages.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@row_pages.get("/jobs/<job_id>/rows/<int:row>")
def row(job_id: str, row: int) -> Any:
    """One row. With ``words=yes`` also which words mattered, for who has no scripts."""
    view, found = _open(job_id)
    detail = found.row(row)
    reading = detail.readings.get(view.taxonomy)
    words, problem = _words(found, row) if view.options.words == "yes" else (None, None)
    before, after = found.neighbours(view.options.query, row)
    page = render_template(
        "row.html",
        view=view,
        detail=detail,
        reading=reading,
        bars=_bars(view, detail.readings),
        flags=[FLAG_MEANINGS.get(flag, flag) for flag in detail.flags],
        before=before,
        after=after,
        words=words,
        marks=list(marks_of(words)) if words else [],
        top=top_of(words) if words else [],
        problem=problem,
    )
    return page, problem["status"] if problem else 200


@row_pages.get("/jobs/<job_id>/rows/<int:row>/words")
def words(job_id: str, row: int) -> Any:
    """Which words mattered, as a part of the row's page."""
    view, found = _open(job_id)
    said, problem = _words(found, row)
    return render_template(
        "_words.html",
        view=view,
        detail=found.row(row),
        words=said,
        marks=list(marks_of(said)) if said else [],
        top=top_of(said) if said else [],
        problem=problem,
    )


def _open(job_id: str) -> tuple[JobView, JobResults]:
    view = JobView.load(job_id)
    found = open_job(view)
    if found is None:
        raise NotReady("The job has no rows to read.", next_step="See its state on its page.")
    return view, found


def _words(found: JobResults, row: int) -> tuple[Words | None, dict[str, Any] | None]:
    try:
        return words_of(found, row), None
    except EmobatchError as error:
        return None, problems.of_error(error)


def _bars(view: JobView, readings: Any) -> list[ScoreBar]:
    """All 28 scores, highest first."""
    fine: Reading | None = readings.get("goemotions")
    if fine is None:
        return []
    colour = colours(view.model, "goemotions")
    found = [
        ScoreBar(label, score, fine.thresholds[label], label in fine.labels, colour[label])
        for label, score in fine.scores.items()
    ]
    return sorted(found, key=lambda bar: -bar.score)


def marks_of(words: Words) -> Iterator[Mark]:
    """The text in stretches: words that mattered, and what stands between them."""
    most = max((abs(word.change) for word in words.words), default=0.0)
    at = 0
    for word in words.words:
        if word.start > at:
            yield Mark(words.text[at : word.start])
        at = word.end
        if abs(word.change) < LEAST_CHANGE:
            yield Mark(word.text)
        else:
            shade = max(1, round(SHADES * abs(word.change) / most))
            yield Mark(word.text, "for" if word.change > 0 else "against", shade, word.change)
    if at < len(words.text):
        yield Mark(words.text[at:])


def top_of(words: Words) -> list[Any]:
    """The words that mattered most, either way."""
    found = [word for word in words.words if abs(word.change) >= LEAST_CHANGE]
    return sorted(found, key=lambda word: -abs(word.change))[:MOST_WORDS]
