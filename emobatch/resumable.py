"""A large file on its way to a server so that a broken connection costs seconds: the client's half of tus 1.0.0.

The server says how many bytes are safe, and sending goes on there: after a connection that broke, a server that was
restarted, and, since the upload is found again by a key made of the file, in another process too.
"""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from core.errors import NotFound, WrongOffset
from emobatch.body import Progress, blocks
from emobatch.connection import Connection, read
from emobatch.job import AcceptedJob
from emobatch.retry import TryAgain

FROM_BYTES = 8 * 1024 * 1024
"""A file as large as this is sent this way; a smaller one is sent again as fast as it is gone on with."""

SLICE = 16 * 1024 * 1024
"""Of one request: something between us that takes a body whole before it hands it on loses no more than this."""

_SAMPLE = 64 * 1024
_TUS = {"Tus-Resumable": "1.0.0"}
_BYTES = "application/offset+octet-stream"


class ResumableUpload:
    """One file, from where it is to a job.

    Args:
        connection: to the server.
        stream: the file, seekable.
        start: where in it the first byte is that is sent.
        size: bytes that are sent.
        options: what is said about the file, as `POST /jobs` takes it.
        resume_key: by which an unfinished upload is found again.
        idempotency_key: makes one job of several uploads; None: one of each.
        progress: is told how much is there.
    """

    def __init__(
        self,
        connection: Connection,
        stream: BinaryIO,
        *,
        start: int,
        size: int,
        options: Mapping[str, str],
        resume_key: str,
        idempotency_key: str | None,
        progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._start = start
        self._size = size
        self._options = options
        metadata = {**options, "resume_key": resume_key}
        self._headers = {
            **_TUS,
            "Upload-Length": str(size),
            "Upload-Metadata": ",".join(f"{name} {_base64(value)}" for name, value in metadata.items()),
        }
        if idempotency_key:
            self._headers["Idempotency-Key"] = idempotency_key
        self._progress = progress
        self._path = ""
        self._offset: int | None = None

    def send(self) -> AcceptedJob:
        """Sends what is missing and makes the job.

        Raises:
            EmobatchError: as the server says.
        """
        try:
            self._send()
        except NotFound:  # given up since it was found, or ended by somebody else
            self._send()
        response = self._connection.repeat("POST", f"{self._path}/complete", params=self._options)
        return read(response, AcceptedJob.from_dict)

    def _send(self) -> None:
        begun = self._connection.repeat("POST", "/uploads", headers=self._headers)
        self._path = "/uploads/" + begun.headers["Location"].rpartition("/")[2]
        self._offset = int(begun.headers["Upload-Offset"])
        while self._offset is None or self._offset < self._size:
            self._connection.persist(self._send_slice)

    def _send_slice(self) -> None:
        offset, self._offset = self._offset, None  # not known any more, if this fails
        if offset is None:
            # Not HEAD: a refusal would have no body to say why.
            offset = int(self._connection.ask("GET", self._path).headers["Upload-Offset"])
        length = min(SLICE, self._size - offset)
        if length:
            self._stream.seek(self._start + offset)
            headers = {
                **_TUS,
                "Upload-Offset": str(offset),
                "Content-Type": _BYTES,
                "Content-Length": str(length),
            }
            body = blocks(self._stream, length, partial(self._say, offset))
            try:
                answer = self._connection.ask("PATCH", self._path, headers=headers, content=body)
            except WrongOffset as error:
                raise TryAgain(error) from error
            offset = int(answer.headers["Upload-Offset"])
        self._offset = offset

    def _say(self, before: int, done: int, _: int) -> None:
        if self._progress:
            self._progress(before + done, self._size)


def resume_key(file: Path | BinaryIO, stream: BinaryIO, start: int, size: int) -> str:
    """The same for the same file as long as nobody changes it: name, size, time of change, both ends.

    What has no name is not found again by another process.
    """
    if not isinstance(file, Path):
        return str(uuid.uuid4())
    digest = hashlib.sha256(
        f"{file.absolute()}\n{size}\n{os.fstat(stream.fileno()).st_mtime_ns}\n".encode(errors="replace")
    )
    for at in (start, max(start, start + size - _SAMPLE)):
        stream.seek(at)
        digest.update(stream.read(_SAMPLE))
    stream.seek(start)
    return digest.hexdigest()


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
