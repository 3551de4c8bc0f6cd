"""A file on its way from a server: whole or not at all, and gone on with where a connection broke.

Of a file with a strong ETag the server gives any part (RFC 9110, section 14). `If-Range` makes sure that what comes is
of the same file as what is there: if it has changed since, the answer is the new one, whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import httpx

from core.errors import Unavailable
from emobatch.body import BLOCK, Progress
from emobatch.connection import Connection, filename_of
from emobatch.errors import ServerFailed
from emobatch.output import Output
from emobatch.part import WORTH_KEEPING, Part
from emobatch.retry import TryAgain

KEPT = "What has come is kept: the same again goes on from there."


def download(
    connection: Connection,
    path: str,
    params: Mapping[str, str],
    target: Path | Output,
    *,
    name: str,
    progress: Progress | None = None,
) -> Path | None:
    """Fetches one file and puts it in its place.

    Args:
        connection: to the server.
        path, params: what is asked for.
        target: a file, which is replaced; or a folder, where the file gets the server's name for it.
        name: how it is called in a folder if the server does not say.
        progress: is told how much has come.

    Returns:
        Where the file is, or None if `target` is no place in the file system.

    Raises:
        EmobatchError: as the server says. After an outage what has come is kept for the next call, in the folder of
            `target`; so it is after KeyboardInterrupt.
        BadOption: the file cannot be written.
    """
    output = target if isinstance(target, Output) else Output(target)
    download = _Download(connection, path, params, progress)
    part = None
    try:
        with output.part(download.key) as part:
            found = download.into(part)
            return output.settle(found or name)
    except Unavailable as error:
        if part and part.is_kept:
            error.next_step = f"{error.next_step} {KEPT}" if error.next_step else KEPT
        raise
    except KeyboardInterrupt as interrupt:
        if part and part.is_kept:
            interrupt.add_note(KEPT)
        raise


class _Further(Exception):
    """A connection broke after it had brought something."""


class _Download:
    """One file, asked for as often as it takes."""

    def __init__(self, connection: Connection, path: str, params: Mapping[str, str], progress: Progress | None) -> None:
        self._connection = connection
        self._path = path
        self._params = params
        self._progress = progress
        self._furthest = 0

    @property
    def key(self) -> str:
        """What is asked for, in 16 hex digits. Not of whom: a local server has another port each time."""
        asked = [self._path, *(f"{name}={value}" for name, value in sorted(self._params.items()))]
        return hashlib.sha256("\n".join(asked).encode(errors="replace")).hexdigest()[:16]

    def into(self, part: Part) -> str | None:
        """Fills `part`, and returns what the server calls the file. Patience begins anew when more has come."""
        self._furthest = part.size
        while True:
            try:
                return self._connection.persist(lambda: self._attempt(part))
            except _Further:
                continue

    def _attempt(self, part: Part) -> str | None:
        start, etag = part.rest
        # A range counts the bytes that travel, so they must be those of the file.
        headers = {"Range": f"bytes={start}-", "If-Range": etag, "Accept-Encoding": "identity"} if start else {}
        try:
            with self._connection.answer("GET", self._path, params=self._params, headers=headers) as response:
                self._receive(response, part, start)
                return filename_of(response)
        except TryAgain as broken:
            if part.rest[0] and part.size >= self._furthest + WORTH_KEEPING:
                self._furthest = part.size
                raise _Further from broken
            raise

    def _receive(self, response: httpx.Response, part: Part, start: int) -> None:
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            total = _total(response, start)
            part.go_on(start)
        else:
            encoded = "content-encoding" in response.headers
            total = 0 if encoded else int(response.headers.get("content-length", 0))
            part.begin(None if encoded else response.headers.get("etag"))
        for block in response.iter_bytes(BLOCK):
            part.file.write(block)
            if self._progress:
                self._progress(part.file.tell(), total)
        if total and part.size != total:
            raise _astray(response)


def _total(response: httpx.Response, start: int) -> int:
    """Bytes of the file of which the part from `start` on is answered.

    Raises:
        ServerFailed: something else is answered.
    """
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("content-range", ""))
    if found is None or int(found[1]) != start or int(found[2]) + 1 != int(found[3]):
        raise _astray(response)
    return int(found[3])


def _astray(response: httpx.Response) -> ServerFailed:
    return ServerFailed(
        f"{response.request.url.path} answered with another part of the file than was asked for.",
        next_step="Download it again.",
    )
