"""What all answers of the API have in common: an `ETag` where one reads, `Retry-After` where one is to ask again."""

from __future__ import annotations

from flask import Flask, Response, request

from web.guard import PROBES
from web.problems import API_PREFIX, RETRY_AFTER_S

LOOK_AGAIN_S = 1
"""After a 202: most jobs are short."""

_AFTER = {202: LOOK_AGAIN_S, 429: RETRY_AFTER_S, 503: RETRY_AFTER_S}


def install(app: Flask) -> None:
    """Completes the answers of the API."""

    @app.after_request
    def complete(response: Response) -> Response:
        if request.path.startswith(API_PREFIX):
            if response.status_code in _AFTER:
                response.headers.setdefault("Retry-After", str(_AFTER[response.status_code]))
            if request.endpoint not in PROBES:
                _tag(response)
        return response


def _tag(response: Response) -> None:
    """Gives what was read an ETag; who has it already gets 304. Streams have their own, or none."""
    reads = request.method in ("GET", "HEAD") and response.status_code == 200
    if not reads or response.is_streamed or response.headers.get("ETag"):
        return
    response.add_etag(weak=True)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.make_conditional(request)
