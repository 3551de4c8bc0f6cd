"""The page "Try it": one text, labelled as it is typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from apiflask import APIBlueprint
from flask import Flask, render_template, request

from core.classify_requests import Answer
from core.errors import EmobatchError, Unavailable
from core.registry import ModelVersion, version_of
from core.results import ResultOptions
from core.results.labels import Labeller, RowLabels, StoredChunk
from core.states import RowStatus
from web import problems
from web.auth import require_account
from web.present import colours
from web.reading import choices, own_current, with_own
from web.state import state

trying = APIBlueprint("trying", __name__, enable_openapi=False)

MAX_BODY = 256 * 1024
SHOWN = 8
"""Labels shown of a taxonomy with many."""


@dataclass(frozen=True)
class Score:
    """One label's calibrated score for the text, and whether it reaches the label's threshold."""

    label: str
    score: float
    threshold: float
    said: bool
    colour: str


@dataclass(frozen=True)
class Said:
    """What is said of one text."""

    labels: RowLabels
    scores: list[Score]
    colour: str

    @classmethod
    def of(cls, model: ModelVersion, taxonomy: str | None, answer: Answer) -> Said:
        """An answer about one text, read in a taxonomy. Raises BadOption for an unknown one."""
        labeller = Labeller(model, ResultOptions.parse(taxonomy))
        chosen = labeller.taxonomy
        (labels,) = labeller.rows(StoredChunk(answer.logits, answer.status, answer.flags, answer.detail))
        if answer.status != [RowStatus.OK]:
            return cls(labels, [], "neutral")
        scores = chosen.scores(np.frombuffer(answer.logits, dtype="<f2").reshape(1, -1))
        said = chosen.selected(scores)[0]
        colour = colours(model, chosen.name)
        found = [
            Score(label, float(score), threshold, bool(is_said), colour[label])
            for label, score, threshold, is_said in zip(chosen.labels, scores[0], chosen.thresholds, said, strict=True)
        ]
        if len(found) > 10:
            found = sorted(found, key=lambda score: -score.score)[:SHOWN]
        top = labels.emotion or labels.sentiment
        return cls(labels, found, colour.get(top, "neutral"))


def install(app: Flask) -> None:
    """Adds the page to the app."""
    app.register_blueprint(trying)


@trying.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_account()
    request.max_content_length = MAX_BODY


@trying.get("/try")
def try_it() -> Any:
    """The page, with nothing typed yet."""
    return _page("", state().model.default_taxonomy)


@trying.post("/try")
def post_try() -> Any:
    """A text: what is said of it, for htmx; else the whole page with it."""
    text = request.form.get("text", "")
    taxonomy = request.form.get("taxonomy") or state().model.default_taxonomy
    said, problem, is_worth_another = None, None, False
    try:
        said = _said(text, taxonomy)
    except EmobatchError as error:
        problem, is_worth_another = problems.of_error(error), isinstance(error, Unavailable)
    if "HX-Request" in request.headers:
        # A wait for a worker is no fault of the page: it is said in its place, not as a server that is away.
        part = render_template("_said.html", said=said, problem=problem)
        return problems.ask_again(part) if is_worth_another else part
    page = _page(text, taxonomy, said=said, problem=problem)
    return page, problem["status"] if problem else 200


def _page(text: str, taxonomy: str, **context: Any) -> str:
    offered = [(one.value, one.words) for one in choices(version_of(state().model), own_current(), taxonomy)]
    return render_template("try.html", text=text, taxonomy=taxonomy, choices=offered, **context)


def _said(text: str, taxonomy: str) -> Said | None:
    model = with_own(version_of(state().model), taxonomy)
    if not text.strip():
        return None
    return Said.of(model, taxonomy, state().lane.classify(require_account(), [text]))
