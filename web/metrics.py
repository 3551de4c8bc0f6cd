"""What web counts, and the page on which Prometheus reads it.

Requests are counted by the route they matched, never by the path that was asked for: a path holds ids, and anybody can
make up new ones. The page is there only if the settings have a token for it, and only for who sends that token.
"""

from __future__ import annotations

import hmac
import time

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import Counter, Histogram
from prometheus_client.exposition import choose_encoder
from werkzeug.exceptions import NotFound

from core import metrics
from core.settings import Settings

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = "(none)"

REQUESTS = Counter(
    "emobatch_http_requests_total", "Requests answered, by method, route and status.", ["method", "route", "status"]
)
REQUEST_S = Histogram(
    "emobatch_http_request_seconds",
    "Seconds until the answer began, the time to receive an upload included.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
UPLOADS = Counter("emobatch_uploads_total", "Uploads that became a job.")
UPLOAD_BYTES = Counter("emobatch_upload_bytes_total", "Bytes of the uploads that became a job.")


def install(app: Flask, settings: Settings) -> None:
    """Counts every request of the app, and adds the page if there is a token for it."""

    @app.before_request
    def begin() -> None:
        g.asked_at = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        method = request.method if request.method in _METHODS else "OTHER"
        route = request.url_rule.rule if request.url_rule else _UNMATCHED
        REQUESTS.labels(method, route, response.status_code).inc()
        if "asked_at" in g:
            REQUEST_S.labels(method, route).observe(time.monotonic() - g.asked_at)
        return response

    if token := settings.metrics_token.get_secret_value():
        app.register_blueprint(_page(token))


def _page(token: str) -> Blueprint:
    page = Blueprint("metrics", __name__)
    shown = metrics.registry()

    @page.get("/metrics")
    def show() -> Response:
        given = request.authorization.token if request.authorization else None
        if not hmac.compare_digest((given or "").encode(), token.encode()):
            raise NotFound  # who has no token learns nothing, not even that there is a page
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(shown), content_type=content_type)

    return page
