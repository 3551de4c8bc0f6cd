"""The app factory: one Flask app, its state, and what surrounds every request."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix

from core.settings import Settings, get_settings
from web import (
    account,
    api,
    assets,
    auth,
    checking,
    comparing,
    figure_pages,
    guard,
    intake,
    metrics,
    openapi,
    pages,
    present,
    previewing,
    problems,
    requestlog,
    row_pages,
    sending_back,
    taxonomy_pages,
    tracing,
    trying,
    uniform,
)
from web.state import EXTENSION, State

SMALL_BODY = 64 * 1024
"""Of every request but an upload, which sets its own limit."""


def create_app(settings: Settings | None = None) -> APIFlask:
    """Makes the app. Postgres and Redis need not answer yet.

    Args:
        settings: by default the environment's.

    Raises:
        RuntimeError: there is no secret key.
        EmobatchError: the storage or the model directory is not there.
    """
    settings = settings or get_settings()
    app = APIFlask(
        __name__,
        title="emobatch",
        version=_version(),
        spec_path=f"{api.PREFIX}/openapi.json",
        docs_path=None,
        json_errors=False,
    )
    app.config["MAX_CONTENT_LENGTH"] = SMALL_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a row's cells come in the file's order
    if settings.proxies:
        hops = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    auth.configure(app, settings)
    openapi.configure(app)
    # The order matters: the log sees every request, the guard refuses before a view reads anything.
    requestlog.install(app)
    metrics.install(app, settings)
    guard.install(app, settings)
    tracing.install(app)
    problems.install(app)
    uniform.install(app)
    intake.install(app)
    assets.install(app)
    present.install(app)
    api.install(app)
    pages.install(app)
    comparing.install(app)
    row_pages.install(app)
    trying.install(app)
    previewing.install(app)
    checking.install(app)
    sending_back.install(app)
    taxonomy_pages.install(app)
    figure_pages.install(app)
    account.install(app)
    app.extensions[EXTENSION] = State.open(settings)
    return app


def _version() -> str:
    try:
        return version("emobatch")
    except PackageNotFoundError:  # a checkout that is not installed
        return "dev"
