"""Every error as the asker can use it: ``application/problem+json`` (RFC 9457) for programs, a page for people.

Never a stack trace: what is not an `EmobatchError` or an HTTP error is logged, and shown as a reference number.
"""

from __future__ import annotations

import math
from typing import Any

import structlog
from apiflask import HTTPError
from flask import Flask, Response, g, json, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as BaseResponse

from core import errors
from core.errors import EmobatchError

API_PREFIX = "/api/"
RETRY_AFTER_S = 2

log = structlog.get_logger(__name__)


class BrokenOff(errors.InputError):
    """The body ended before its end."""

    code = "upload_broke_off"


# The first class an error belongs to decides, so the special ones stand before the general.
_STATUS: dict[type[EmobatchError], int] = {
    errors.UploadDamaged: 500,  # what was stored is not what was sent: no request can be blamed for that
    BrokenOff: 400,
    errors.ChecksumMismatch: 460,  # as tus has it
    errors.InputError: 422,
    errors.TooMany: 429,
    errors.LimitExceeded: 413,
    errors.NotFound: 404,
    errors.NotReady: 409,
    errors.KeyReused: 422,
    errors.Locked: 423,
    errors.Conflict: 409,
    errors.NotSignedIn: 401,
    errors.NotAllowed: 403,
    errors.Unavailable: 503,
}

_SAID = {
    400: ("The request is not understood.", ""),
    404: ("There is nothing at this address.", ""),
    405: ("This address does not take that method.", "The Allow header lists those it takes."),
    413: ("The request is too large.", "Send less at a time, or upload a file."),
    500: ("Something went wrong on our side.", "Try again. If it stays, quote the reference."),
}


def status_of(error: EmobatchError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def problem(status: int, detail: str, code: str, **members: Any) -> dict[str, Any]:
    """A problem document; members that are None or empty are left out."""
    said = {"type": f"urn:emobatch:problem:{code}", "title": HTTP_STATUS_CODES.get(status, "Error"), "status": status}
    known = {"detail": detail, "code": code, **members}
    return said | {name: value for name, value in known.items() if value not in (None, "")}


def of_error(error: EmobatchError) -> dict[str, Any]:
    """The problem document of an error a user can cause."""
    return problem(
        status_of(error),
        error.what,
        error.code,
        next_step=error.next_step,
        row=error.row,
        line=error.line,
        column=error.column,
        limit=getattr(error, "limit", None),
        retry_after_s=math.ceil(error.retry_after_s) if isinstance(error, errors.TooMany) else None,
    )


def install(app: Flask) -> None:
    """Makes the app answer every error this way."""
    app.register_error_handler(EmobatchError, _on_emobatch_error)
    app.register_error_handler(HTTPError, _on_bad_input)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(PoolTimeout, _on_busy_pool)
    app.register_error_handler(Exception, _on_surprise)


def wants_problem() -> bool:
    """Whether a program asks."""
    return request.path.startswith(API_PREFIX)


def answer(document: dict[str, Any], headers: dict[str, str] | None = None) -> BaseResponse:
    """The response for a problem document, in the form the asker can use."""
    status = document["status"]
    if wants_problem():
        response = Response(json.dumps(document) + "\n", status, mimetype="application/problem+json")
    else:
        response = make_response(render_template("error.html", problem=document), status)
    response.headers.update(headers or {})
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="emobatch"'
    if status == 503 or document["code"] in (errors.KeyInProgress.code, errors.Locked.code):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if "retry_after_s" in document:
        response.headers["Retry-After"] = str(document["retry_after_s"])
    return response


def ask_again(part: str) -> BaseResponse:
    """A part of a page that says what could not be had just now: htmx is told to ask once more, after a while.

    Whatever asks must have `again` among its triggers.
    """
    response = make_response(part)
    response.headers["HX-Trigger"] = "again"
    return response


def _on_emobatch_error(error: EmobatchError) -> BaseResponse:
    document = of_error(error)
    if document["status"] >= 500:
        log.error("request failed", code=error.code, reason=error.what, reference=g.get("reference"))
    if isinstance(error, errors.NotSignedIn) and not wants_problem():
        # htmx would follow a redirect and put the sign-in form into the page: it is told to go there instead.
        target = url_for("pages.sign_in", next=request.path if request.method == "GET" else None)
        if "HX-Request" in request.headers:
            return Response(status=200, headers={"HX-Redirect": url_for("pages.sign_in")})
        return redirect(target, 303)
    return answer(document)


def _on_bad_input(error: HTTPError) -> BaseResponse:
    """A query or a body that does not fit its model: the first field that is wrong, in one sentence."""
    wrong = [(name, text) for fields in error.detail.values() for name, texts in fields.items() for text in texts]
    name, text = wrong[0] if wrong else ("", error.message or "The request is not understood.")
    if text.startswith("Extra inputs"):
        text = "there is no such option"
    return answer(
        problem(
            error.status_code,
            f"{name}: {text.removeprefix('Value error, ')}." if name else text,
            errors.BadOption.code,
            next_step="The options are described at /api/v1/openapi.json.",
        )
    )


def _on_http_error(error: HTTPException) -> BaseResponse:
    status = error.code or 500
    if 300 <= status < 400:
        return error.get_response()
    detail, next_step = _SAID.get(status, (error.description or "The request failed.", ""))
    limit = None
    if status == 413 and request.max_content_length:
        limit, detail = "body_bytes", f"The request is larger than {request.max_content_length:,} bytes."
    code = HTTP_STATUS_CODES.get(status, "error").lower().replace(" ", "_")
    if status == 500:
        return answer(problem(500, detail, code, next_step=next_step, reference=g.get("reference")))
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return answer(problem(status, detail, code, next_step=next_step, limit=limit), headers)


def _on_busy_pool(error: PoolTimeout) -> BaseResponse:
    log.warning("no database connection was free")
    return answer(of_error(errors.Unavailable("The server is busy.", next_step="Try again in a few seconds.")))


def _on_surprise(error: Exception) -> BaseResponse:
    log.exception("request failed", reference=g.get("reference"))
    return _on_http_error(InternalServerError())
