"""Files of results on their way to a reader: streamed, resumable, cut off where they go wrong, named after the upload.

The same results read with the same options are the same bytes, so a file that is not kept can be sent from any byte on:
it is written again from the last chunk before that byte. Where chunks begin in a file is remembered as it is written,
in this process; what is not remembered costs one more writing, that is not sent.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import quote

import structlog
from flask import Response, request
from werkzeug.http import quote_header_value

from core.results import ResultFile

log = structlog.get_logger(__name__)

MIMETYPES = {
    "csv": "text/csv",
    "spreadsheet": "text/csv",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

MARK_EVERY = 1024 * 1024
"""Bytes between two places of a file that are remembered."""

REMEMBERED = 64
"""Files whose places are remembered."""


@dataclass
class Places:
    """Where chunks begin in one file, as far as it has been written: rows by offset, both growing."""

    offsets: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    total: int | None = None
    """Bytes of the whole file."""
    lock: Lock = field(default_factory=Lock)

    def note(self, offset: int, row: int) -> None:
        """A chunk that begins with `row` begins at `offset`."""
        with self.lock:
            if offset >= (self.offsets[-1] if self.offsets else 0) + MARK_EVERY:
                self.offsets.append(offset)
                self.rows.append(row)

    def before(self, offset: int) -> tuple[int, int]:
        """The last remembered place at or before `offset`, and the row that begins there; 0, 1: the start."""
        with self.lock:
            at = bisect_right(self.offsets, offset) - 1
            return (self.offsets[at], self.rows[at]) if at >= 0 else (0, 1)


class Memory:
    """The places of the files that were sent last, by ETag. One per process."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, Places] = OrderedDict()
        self._lock = Lock()

    def of(self, etag: str) -> Places:
        """Those of one file, known or new."""
        with self._lock:
            places = self._places.setdefault(etag, Places())
            self._places.move_to_end(etag)
            if len(self._places) > REMEMBERED:
                self._places.popitem(last=False)
            return places


_memory = Memory()


def stream(job_id: str, blocks: Iterator[bytes], filename: str, mimetype: str) -> Response:
    """Answers with a file that is written once, and not again."""
    return _finished(Response(_body(job_id, blocks), mimetype=mimetype), filename)


def send(job_id: str, file: ResultFile, filename: str) -> Response:
    """Answers the current request with a file, or with the part of it that is asked for.

    Args:
        job_id: for the log.
        file: what is sent.
        filename: what the reader's program is to call it.
    """
    etag = file.etag
    if etag is None:  # of a job that goes on: the next time it is another file
        return stream(job_id, file.blocks(), filename, MIMETYPES[file.form])
    if request.if_none_match.contains(etag):
        return _validated(Response(status=304), etag)
    places = _memory.of(etag)
    if (wanted := _wanted_range(etag)) is None:
        response = Response(_body(job_id, _written(file, places)), mimetype=MIMETYPES[file.form])
        if places.total is not None:
            response.content_length = places.total
    else:
        response = _part(job_id, file, places, wanted)
    response.headers["Accept-Ranges"] = "bytes"
    return _finished(_validated(response, etag), filename)


def _validated(response: Response, etag: str) -> Response:
    """May be kept, and is asked about again before it is used (also a 304 says so: RFC 9110, 15.4.5)."""
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _finished(response: Response, filename: str) -> Response:
    response.headers["Content-Disposition"] = attachment(filename)
    return response


def _wanted_range(etag: str) -> tuple[int, int | None] | None:
    """The one range of bytes that is asked for, as `werkzeug.datastructures.Range` has it; None: the whole file.

    Several at once, other units, and a range of a file that has changed since are answered with the whole (RFC 9110).
    """
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if "If-Range" in request.headers and request.if_range.etag != etag:
        return None
    return asked.ranges[0]


def _part(job_id: str, file: ResultFile, places: Places, wanted: tuple[int, int | None]) -> Response:
    if places.total is None:
        for _ in _written(file, places):
            pass
    total = places.total
    assert total is not None
    start, stop = wanted
    if start < 0:
        start, stop = max(0, total + start), total
    stop = total if stop is None else min(stop, total)
    if start >= stop:
        return Response(status=416, headers={"Content-Range": f"bytes */{total}"})
    offset, row = places.before(start) if file.may_begin_anywhere else (0, 1)
    blocks = _cut(file.blocks(from_row=row), start - offset, stop - offset)
    response = Response(_body(job_id, blocks), 206, mimetype=MIMETYPES[file.form])
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
    response.content_length = stop - start
    return response


def _written(file: ResultFile, places: Places) -> Iterator[bytes]:
    """The whole file; where its chunks begin is remembered."""
    offset = 0

    def begins(row: int) -> None:
        places.note(offset, row)

    with closing(file.blocks(on_chunk=begins)) as blocks:  # type: ignore[type-var]
        for block in blocks:
            yield block
            offset += len(block)
    places.total = offset


def _cut(blocks: Iterator[bytes], start: int, stop: int) -> Iterator[bytes]:
    """What lies from byte `start` to before `stop` of some blocks; nothing is made that lies behind."""
    at = 0
    for block in blocks:
        if at + len(block) > start:
            yield block[max(0, start - at) : stop - at]
        at += len(block)
        if at >= stop:
            return


def _body(job_id: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    # What can go wrong at the start goes wrong here, while it can still be an answer of its own.
    first = next(blocks, b"")

    def body() -> Iterator[bytes]:
        with closing(blocks):  # type: ignore[type-var]
            try:
                yield first
                yield from blocks
            except Exception:
                # The status is sent. The connection is cut, so that what arrived cannot pass for the whole file.
                log.exception("download broke off", job_id=job_id)
                raise

    return body()


def attachment(filename: str) -> str:
    """A Content-Disposition that saves under `filename`, with an ASCII one for clients that read no other."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    value = f"attachment; filename={quote_header_value(plain)}"
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"
