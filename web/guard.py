"""What protects a browser's user: the Host and origin checks before a request, the security headers after it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request
from secure import Secure
from secure.headers import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    XContentTypeOptions,
    XFrameOptions,
)
from werkzeug.exceptions import Forbidden

from core.settings import Settings, listed
from web.auth import uses_cookie
from web.problems import wants_problem

PROBES = frozenset({"system.health", "system.ready", "metrics.show"})
"""Answered under any Host header: load balancers and Prometheus ask by address."""

_PORT = re.compile(r":\d+$")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_headers = Secure(
    csp=ContentSecurityPolicy()
    .default_src("'none'")
    .script_src("'self'")
    .style_src("'self'")
    .img_src("'self'", "data:")  # Bootstrap's CSS carries its small icons as data
    .font_src("'self'")
    .connect_src("'self'")
    .form_action("'self'")
    .base_uri("'none'")
    .frame_ancestors("'none'"),
    coop=CrossOriginOpenerPolicy().same_origin(),
    corp=CrossOriginResourcePolicy().same_origin(),
    permissions=PermissionsPolicy().camera().geolocation().microphone(),
    # Not "no-referrer": with it browsers send "Origin: null", and the origin check could not tell our own forms.
    referrer=ReferrerPolicy().same_origin(),
    xcto=XContentTypeOptions().nosniff(),
    xfo=XFrameOptions().deny(),
)


def install(app: Flask, settings: Settings) -> None:
    """Puts the checks before, and the headers on, every answer of the app, errors included."""
    allowed = set(map(str.lower, listed(settings.allowed_hosts)))

    @app.before_request
    def check_host() -> None:
        if "*" in allowed or request.endpoint in PROBES:
            return
        host = _PORT.sub("", request.headers.get("Host", "").lower())
        if host not in allowed:
            # A name that a hostile site points at this address must not be answered.
            raise Forbidden(
                f"This server does not answer to the name {host!r}. EMOBATCH_ALLOWED_HOSTS lists its names."
            )

    @app.before_request
    def check_origin() -> None:
        if request.method in _SAFE_METHODS or not uses_cookie() or is_unsigned_program():
            return
        if not is_same_origin():
            raise Forbidden("This request did not come from a page of this server.")

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(_headers.headers)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if not response.headers.get("Cache-Control"):
            response.headers["Cache-Control"] = "no-store"
        return response


def is_unsigned_program() -> bool:
    """Whether the API is asked without what a browser would add by itself: it answers 401, and does nothing."""
    return wants_problem() and current_app.session_interface.get_cookie_name(current_app) not in request.cookies


def is_same_origin() -> bool:
    """Whether a browser says that a page of this server, and no other site, made the request.

    ``Sec-Fetch-Site`` where the browser sends it (all do since 2023), else ``Origin``. Neither: no.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host
