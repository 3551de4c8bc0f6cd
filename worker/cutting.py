"""Where one chunk ends and the next begins. Pure: records in, chunks out.

A chunk is about one second of work on two cores: that is the grain of fairness, and all that a killed worker loses.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from core.ledger import NewChunk
from core.settings import Settings
from core.table import Record


class Tail:
    """The bytes that have been read but not yet put into a chunk, so that a chunk's CRC costs no second read."""

    def __init__(self, offset: int) -> None:
        self._start = offset
        self._bytes = bytearray()

    def tee(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Passes blocks on, remembering them."""
        for block in blocks:
            self._bytes += block
            yield block

    def take_crc(self, start: int, end: int) -> int:
        """CRC-32 of the bytes from `start` to `end` (offsets in the file); everything before `end` is forgotten."""
        with memoryview(self._bytes) as view:
            crc = zlib.crc32(view[start - self._start : end - self._start])
        del self._bytes[: end - self._start]
        self._start = end
        return crc


class Cutter:
    """Gathers consecutive records until one more would be too much.

    Limits, from the settings: records, UTF-8 bytes of text to classify, and bytes of records. A single record over a
    limit is a chunk of its own.
    """

    def __init__(self, settings: Settings, text_index: int, tail: Tail) -> None:
        self._max_records = settings.chunk_records
        self._max_text = settings.chunk_text_bytes
        self._max_bytes = settings.chunk_bytes
        self._text_index = text_index
        self._tail = tail
        self._first: Record | None = None
        self._n_rows = 0
        self._text = 0
        self._end = 0

    def add(self, record: Record) -> NewChunk | None:
        """Takes the next record; the chunk before it, if this record begins a new one."""
        cells = record.cells
        # Characters stand for bytes here: the limit is about work, and exact bytes would cost encoding every cell.
        text = len(cells[self._text_index]) if len(cells) > self._text_index else 0
        first = self._first
        full = first is not None and (
            self._n_rows >= self._max_records
            or self._text + text > self._max_text
            or record.end - first.start > self._max_bytes
        )
        finished = self.flush() if full else None
        if self._first is None:
            self._first = record
        self._n_rows += 1
        self._text += text
        self._end = record.end
        return finished

    def flush(self) -> NewChunk | None:
        """The chunk gathered so far, if any."""
        first = self._first
        if first is None:
            return None
        chunk = NewChunk(
            first_row=first.row,
            first_line=first.line,
            n_rows=self._n_rows,
            byte_start=first.start,
            byte_end=self._end,
            crc=self._tail.take_crc(first.start, self._end),
        )
        self._first, self._n_rows, self._text = None, 0, 0
        return chunk
