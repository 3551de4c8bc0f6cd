"""A file on its way to a server: a small one in one request, a large one so that a broken connection costs seconds.

Both may be tried again as often as it takes: one job is made.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import httpx

from emobatch import resumable
from emobatch.body import Progress, blocks, opened
from emobatch.connection import Connection, read
from emobatch.job import AcceptedJob


def send_file(
    connection: Connection,
    file: Path | BinaryIO,
    options: Mapping[str, str],
    *,
    idempotency_key: str | None,
    progress: Progress | None,
) -> AcceptedJob:
    """Uploads a file, from its current position on, and makes a job of it.

    Args:
        connection: to the server.
        file: a path, or a seekable binary file.
        options: what is said about it, as `POST /jobs` takes it.
        idempotency_key: by default a new one.
        progress: is told how much has been sent.

    Raises:
        EmobatchError: as the server says.
        OSError: the file cannot be read.
    """
    with opened(file) as stream:
        start, size = _extent(stream)
        if size < resumable.FROM_BYTES:
            return _send(connection, "/jobs", stream, start, size, options, idempotency_key, progress)
        return resumable.ResumableUpload(
            connection,
            stream,
            start=start,
            size=size,
            options=options,
            resume_key=resumable.resume_key(file, stream, start, size),
            idempotency_key=idempotency_key,
            progress=progress,
        ).send()


def send_whole(
    connection: Connection,
    path: str,
    file: Path | BinaryIO,
    options: Mapping[str, str],
    *,
    idempotency_key: str | None,
    progress: Progress | None,
) -> AcceptedJob:
    """Uploads a file to `path` in one request, repeated if need be. Else as `send_file`."""
    with opened(file) as stream:
        return _send(connection, path, stream, *_extent(stream), options, idempotency_key, progress)


def _extent(stream: BinaryIO) -> tuple[int, int]:
    """Where the stream stands, and how many bytes follow; looked at once, so that both are of one moment."""
    start = stream.tell()
    return start, stream.seek(0, os.SEEK_END) - start


def _send(
    connection: Connection,
    path: str,
    stream: BinaryIO,
    start: int,
    size: int,
    options: Mapping[str, str],
    idempotency_key: str | None,
    progress: Progress | None,
) -> AcceptedJob:
    headers = {
        "Content-Type": "text/csv",
        "Content-Length": str(size),
        "Idempotency-Key": idempotency_key or str(uuid.uuid4()),
    }

    def attempt() -> httpx.Response:
        stream.seek(start)
        return connection.ask("POST", path, params=options, headers=headers, content=blocks(stream, size, progress))

    return read(connection.persist(attempt), AcceptedJob.from_dict)
