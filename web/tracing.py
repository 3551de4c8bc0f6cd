"""A span over each request that changes something: the beginning of a job's trace, or a part of its caller's.

Reading is left out: those who watch a job ask hundreds of times.
"""

from __future__ import annotations

from contextlib import ExitStack

from flask import Flask, g, request

from core import tracing


def install(app: Flask) -> None:
    """Opens a span before a view, named by method and route, and closes it when the answer is made."""

    @app.before_request
    def begin() -> None:
        if request.method != "POST" or request.url_rule is None:
            return
        g.spans = ExitStack()
        name = f"{request.method} {request.url_rule.rule}"
        g.spans.enter_context(tracing.span(name, request.headers.get(tracing.HEADER)))

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        if spans := g.pop("spans", None):
            spans.close()
