"""Errors as a client meets them: the server's problem+json turned back into `core.errors`, and a few of its own.

A program that catches `core.errors.NoTextColumn` gets it from the CLI's machine and from a server far away alike.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx

from core.errors import EmobatchError, LimitExceeded, NotFound, NotSignedIn, Unavailable


class Unreachable(Unavailable):
    """No answer came from the server's address, or it broke off."""

    code = "unreachable"


class ServerFailed(EmobatchError):
    """The server had a fault of its own, or what answered is not an emobatch server."""

    code = "server_failed"


class NotInstalled(EmobatchError):
    """What was asked for needs an extra of this package that is not installed."""

    code = "not_installed"


class JobStopped(EmobatchError):
    """A job ended without a result: cancelled by somebody, failed, or expired."""

    code = "job_stopped"


_BY_STATUS: dict[int, type[EmobatchError]] = {
    HTTPStatus.UNAUTHORIZED: NotSignedIn,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: LimitExceeded,
    HTTPStatus.TOO_MANY_REQUESTS: LimitExceeded,
    HTTPStatus.BAD_GATEWAY: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: Unavailable,
}


def from_response(response: httpx.Response) -> EmobatchError:
    """The error that an answer of 300 or more stands for. Its body must have been read."""
    problem = _problem(response)
    if problem is None:
        return _stranger(response)
    what = problem.get("detail") or problem.get("title") or f"The server answered {response.status_code}."
    error = EmobatchError.from_dict({**problem, "what": what})
    if type(error) is EmobatchError:  # a code that this client does not know, or none
        kind = ServerFailed if response.status_code >= 500 else EmobatchError
        kind = _BY_STATUS.get(response.status_code, kind)
        error = kind(what, next_step=error.next_step, row=error.row, line=error.line, column=error.column)
    return error


def from_transport(error: httpx.HTTPError, url: str) -> Unreachable:
    """The error for a connection to `url` that failed or broke."""
    if isinstance(error, httpx.TimeoutException):
        what = f"The server at {url} did not answer in time."
    elif isinstance(error, httpx.ConnectError):
        what = f"Nothing answers at {url}: {error}."
    else:
        what = f"The connection to {url} broke: {str(error) or type(error).__name__}."
    return Unreachable(what, next_step="Check the address and that the server is running, then try again.")


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        fields = response.json()
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _stranger(response: httpx.Response) -> EmobatchError:
    """An answer that is not the API's: a proxy's, or another server's."""
    url = response.request.url
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.is_redirect:
        return ServerFailed(
            f"{url} sends us on to {response.headers.get('location')}.", next_step="Name that server instead."
        )
    if (kind := _BY_STATUS.get(response.status_code)) and kind is not NotFound:
        return kind(f"The server answered {status}.", next_step="Ask who runs it, or try again later.")
    return ServerFailed(
        f"{url} answered {status}, and not as an emobatch server does.", next_step="Check the address of the server."
    )
