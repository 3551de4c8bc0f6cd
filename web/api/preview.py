"""A look at a file before it is sent."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from core.errors import Unavailable
from web import forecast
from web.auth import require_account
from web.lane_schemas import PreviewOptions
from web.preview_schemas import PreviewOut

previews = APIBlueprint(
    "previews", __name__, tag={"name": "Preview", "description": "What a file will be taken for, before it is sent."}
)


@previews.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_account()


@previews.post("/preview")
@previews.input(PreviewOptions, location="query", arg_name="options")
@previews.output(PreviewOut)
def post_preview(options: PreviewOptions) -> Any:
    """Look at a file before it is uploaded.

    Send its first 262,145 bytes, or all of them, and its size as `bytes`: what is detected comes back, the first 20
    rows as they will be read, with labels, and how many rows there are. Nothing is kept; each option changes the answer
    as it would change a job.
    """
    found = forecast.read_head(options)
    said, missing = None, None
    if options.labels == "yes" and found.text_column:
        try:
            said = forecast.label_texts(found.texts()[: forecast.SAMPLE], found.rows, options)
        except Unavailable as error:
            missing = str(error)
    return PreviewOut.of(found, said, missing)
