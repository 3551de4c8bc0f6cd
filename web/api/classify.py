"""Texts labelled while the asker waits."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from core.registry import version_of
from core.results.labels import Labeller
from web.auth import require_account
from web.lane_schemas import ClassifyIn, ClassifyOut
from web.reading import with_own
from web.state import state

TAG = {"name": "Classify", "description": "A few texts, labelled while you wait."}

MAX_BODY = 512 * 1024
"""32 Ki characters, each of which JSON may write as twelve bytes, and something around them."""

classify = APIBlueprint("classify", __name__, tag=TAG)


@classify.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_account()
    request.max_content_length = MAX_BODY


@classify.post("/classify")
@classify.input(ClassifyIn, arg_name="asked")
@classify.output(ClassifyOut)
def post_classify(asked: ClassifyIn) -> Any:
    """Label up to 64 texts at once.

    Workers answer this before they go on with a job. The texts are kept until they are scored and the labels until they
    are sent; then both are deleted.
    """
    options = asked.options
    model = with_own(version_of(state().model), options.taxonomy)
    Labeller(model, options)  # an unknown taxonomy is told before anybody waits
    return ClassifyOut.of(model, options, state().lane.classify(require_account(), asked.texts))
