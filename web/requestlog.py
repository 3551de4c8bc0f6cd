"""One line per request: method, address without its query, status, milliseconds, and the job it was about.

Nothing a user wrote, no key and no cookie gets in: a sign-in link carries its token in the query, which is left out.
"""

from __future__ import annotations

import time
import uuid

import structlog
from flask import Flask, Response, g, request

from web.guard import PROBES

log = structlog.get_logger(__name__)


def install(app: Flask) -> None:
    """Gives every request a reference, which a user can quote, and a line in the log."""

    @app.before_request
    def begin() -> None:
        g.reference = uuid.uuid4().hex[:12]
        g.began = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        # Those that watch a job ask once a second, and mostly hear that nothing has changed: no news.
        quiet = response.status_code == 304 or request.endpoint in PROBES or (request.endpoint or "").endswith("static")
        (log.debug if quiet else log.info)(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(1000 * (time.monotonic() - g.began)) if "began" in g else None,
            job_id=(request.view_args or {}).get("job_id"),
            reference=g.get("reference"),
        )
        return response
