"""One server over HTTP: requests that are repeated when that may help, and answers or errors as `core` knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import PurePath
from typing import Any, TypeVar

import httpx

from core.errors import KeyInProgress, Locked, NotFound, Unavailable
from emobatch.address import ServerAddress
from emobatch.errors import ServerFailed, from_response, from_transport
from emobatch.retry import Patience, TryAgain, persist

API = "/api/v1"
LONGEST_RETRY_AFTER_S = 30.0
TIMEOUT = httpx.Timeout(60, connect=10, read=120)
"""Seconds. Reading takes longest: after the last byte of a large upload the server looks the whole file over."""

T = TypeVar("T")


class Connection:
    """Speaks to one server; `persist` around `ask` or `answer` makes a request that outlives an outage.

    Args:
        url: the server's address, or its sign-in link.
        token: an access token or API key; not needed if `url` carries it.
        patience: how long an outage is borne.
        sleep: waits that many seconds.
    """

    def __init__(self, url: str, token: str | None, patience: Patience, sleep: Callable[[float], None]) -> None:
        address = ServerAddress.parse(url)
        token = token or address.token
        self.url = address.url
        self._patience = patience
        self._sleep = sleep
        self._answered = False
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=TIMEOUT,
            trust_env=not address.is_loopback,  # A proxy for the world outside is no way to this machine.
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def persist(self, attempt: Callable[[], T]) -> T:
        """Calls `attempt` until it does not raise `TryAgain`, or patience is over; it must be harmless to repeat."""
        return persist(attempt, self._patience, lambda: self._answered, self._sleep)

    def repeat(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request, repeated if need be, and its whole answer."""
        return self.persist(lambda: self.ask(method, path, **request))

    def once(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request that is not repeated, since done twice it would be done twice, and its whole answer."""
        try:
            return self.ask(method, path, **request)
        except TryAgain as again:
            raise again.error from again

    def remove(self, path: str, **request: Any) -> None:
        """Deletes what is at `path`. Raises NotFound where nothing was."""
        asked = 0

        def attempt() -> None:
            nonlocal asked
            asked += 1
            try:
                self.ask("DELETE", path, **request)
            except NotFound:
                if asked == 1:  # a second time it is gone because the first request was carried out
                    raise

        self.persist(attempt)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request, once, and its whole answer. Raises as `answer` does."""
        with self.answer(method, path, **request) as response:
            response.read()
            return response

    @contextmanager
    def answer(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """One request, once, and its answer before the body is read.

        Raises:
            TryAgain: no answer, a broken one, or one that asks for another try; also from within the block.
            EmobatchError: as the server says.
        """
        try:
            with self._http.stream(method, self.url + API + path, **request) as response:
                self._answered = True
                if not response.is_success and response.status_code != httpx.codes.NOT_MODIFIED:
                    response.read()
                    raise _refusal(response)
                yield response
        except httpx.UnsupportedProtocol:
            raise
        except httpx.HTTPError as error:
            raise TryAgain(from_transport(error, self.url)) from error


def read(response: httpx.Response, parse: Callable[[Any], T]) -> T:
    """The body of a good answer.

    Raises:
        ServerFailed: it is not what the API promises; another program listens there, or another version.
    """
    try:
        return parse(response.json())
    except (ValueError, KeyError, TypeError) as error:
        raise ServerFailed(
            f"{response.request.url} did not answer as an emobatch server does ({type(error).__name__}: {error}).",
            next_step="Check the address, and that server and client have the same version.",
        ) from error


def filename_of(response: httpx.Response) -> str | None:
    """The name in ``Content-Disposition``, without any folder: a server does not decide where we write."""
    header = Message()
    header["Content-Disposition"] = response.headers.get("content-disposition", "")
    # The one in full Unicode (filename*) comes last.
    names = [value for key, value in header.get_params([], "content-disposition") if key == "filename"]
    name = PurePath(collapse_rfc2231_value(names[-1]).replace("\\", "/")).name if names else ""
    return name if name not in ("", ".", "..") else None


def _refusal(response: httpx.Response) -> Exception:
    """What to raise for an answer that is not a good one: `TryAgain` where it may be better next time."""
    error = from_response(response)
    wait = _retry_after(response)
    busy = isinstance(error, (Unavailable, KeyInProgress, Locked))
    throttled = response.status_code == httpx.codes.TOO_MANY_REQUESTS and wait is not None
    return TryAgain(error, wait) if busy or throttled else error


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(LONGEST_RETRY_AFTER_S, max(0.0, float(response.headers["retry-after"])))
    except (KeyError, ValueError):
        return None  # Not given, or given as a date.
