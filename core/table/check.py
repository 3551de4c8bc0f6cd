"""What can only be known by seeing every byte, learnt while the upload passes by.

Hash, size and whether the whole file is UTF-8 decide how everything later reads it. Doing this on the way means that
no upload is ever read twice, and that a file which is no table is refused after its first kilobytes.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import LimitExceeded
from core.table.format import CONTAINERS, CSV
from core.table.lines import LineCounter
from core.table.mixed import NOT_IN_CP1252
from core.table.nottext import TELLING_BYTES, kind_of
from core.table.unpack import MAGIC, Unpacker

_PIECE = 1024 * 1024
_SAMPLE_BEFORE = 4 * 1024
_SAMPLE_BYTES = 64 * 1024


@dataclass(frozen=True)
class CheckResult:
    """What was learnt about an upload.

    Attributes:
        sha256: hex digest of the bytes as sent.
        n_bytes: how many were sent.
        compression: ``"gzip"`` or None.
        unpacked_bytes: how many bytes of text they hold.
        utf8_valid: whether the whole text is UTF-8.
        first_bad_byte: offset in the unpacked text of the first byte that is not UTF-8.
        first_bad_line: the file line it stands in, from 1.
        sample: up to 64 KiB of text around that byte, for the encoding to be guessed from; empty if there is none.
        fits_cp1252: whether every byte of the text is one that Windows-1252 has.
        source: what the file is: one of `core.table.format.SOURCES`.
    """

    sha256: str
    n_bytes: int
    compression: str | None
    unpacked_bytes: int
    utf8_valid: bool
    first_bad_byte: int | None = None
    first_bad_line: int | None = None
    sample: bytes = b""
    fits_cp1252: bool = True
    source: str = CSV

    @property
    def first_bad_in_sample(self) -> int:
        """Offset in `sample` of the first byte that is not UTF-8; 0 if there is none."""
        return min(self.first_bad_byte or 0, _SAMPLE_BEFORE)


class StreamCheck:
    """Fed with an upload block by block, in constant memory.

    Args:
        max_unpacked_bytes: cap on the text, for gzip.
        max_compression_ratio: cap on text bytes for each gzip byte.
        max_container_bytes: cap on a workbook or a Parquet file.
        source: what the user says the file is.
    """

    def __init__(
        self,
        *,
        max_unpacked_bytes: int = 2**34,
        max_compression_ratio: int = 200,
        max_container_bytes: int = 2**34,
        source: str | None = None,
    ) -> None:
        self._hash = hashlib.sha256()
        self._n_bytes = 0
        self._unpacker = Unpacker(max_unpacked_bytes=max_unpacked_bytes, max_compression_ratio=max_compression_ratio)
        self._first = b""
        self._compressed: bool | None = None  # not known before two bytes have come
        self._utf8 = _Utf8Check()
        self._head = b""
        self._max_container = max_container_bytes
        self._given = source
        self._source: str | None = None  # not known before enough bytes have come

    def feed(self, block: bytes) -> None:
        """Takes the next block, of any size.

        Raises:
            NotText: the file is no table.
            BadOption: it is not what the user says.
            UploadDamaged: it is gzip, and broken.
            LimitExceeded: it is gzip, and unpacks to more than is allowed; or a container that is too large.
        """
        self._hash.update(block)
        self._n_bytes += len(block)
        if self._compressed is None:
            self._first += block
            if len(self._first) < len(MAGIC):
                return
            block, self._first = self._first, b""
            self._compressed = block.startswith(MAGIC)
        for piece in self._text(block):
            self._check_text(piece)

    def finish(self) -> CheckResult:
        """Ends the stream. Raises as `feed` does; a gzip file that was cut off is UploadDamaged."""
        if self._compressed:
            self._unpacker.finish()
        elif self._first:
            self._check_text(self._first)
        if self._source is None:
            self._judge()
        utf8 = self._utf8
        utf8.finish()
        return CheckResult(
            sha256=self._hash.hexdigest(),
            n_bytes=self._n_bytes,
            compression="gzip" if self._compressed else None,
            unpacked_bytes=utf8.seen,
            utf8_valid=utf8.bad_byte is None,
            first_bad_byte=utf8.bad_byte,
            first_bad_line=utf8.bad_line,
            sample=utf8.sample,
            fits_cp1252=utf8.fits_cp1252,
            source=self._source or CSV,
        )

    def _text(self, block: bytes) -> Iterator[bytes]:
        if self._compressed:
            yield from self._unpacker.feed(block)
        elif len(block) <= _PIECE:
            yield block
        else:
            for start in range(0, len(block), _PIECE):
                yield block[start : start + _PIECE]

    def _check_text(self, piece: bytes) -> None:
        if self._source is None:
            self._head += piece[: TELLING_BYTES - len(self._head)]
            if len(self._head) == TELLING_BYTES:
                self._judge()
        if self._source in CONTAINERS:
            if self._n_bytes > self._max_container:
                raise LimitExceeded(
                    f"A workbook or Parquet file may have {self._max_container:,} bytes.",
                    next_step="Save the table as CSV and send that, also compressed with gzip.",
                )
            return
        self._utf8.feed(piece)

    def _judge(self) -> None:
        self._source = kind_of(self._head, self._given, packed=bool(self._compressed))


class _Utf8Check:
    """Finds the first byte that is not UTF-8, and keeps a sample of the text around it."""

    def __init__(self) -> None:
        self.seen = 0
        self.bad_byte: int | None = None
        self.bad_line: int | None = None
        self.sample = b""
        self.fits_cp1252 = True
        self._rest = b""  # the first bytes of a character whose other bytes are in the next block
        self._lines = LineCounter()
        self._before = b""

    def feed(self, block: bytes) -> None:
        self.seen += len(block)
        self.fits_cp1252 = self.fits_cp1252 and not any(byte in block for byte in NOT_IN_CP1252)
        if self.bad_byte is not None:
            self.sample += block[: _SAMPLE_BYTES - len(self.sample)]
            return
        self._decode(self._rest + block if self._rest else block, final=False)

    def finish(self) -> None:
        if self.bad_byte is None:
            self._decode(self._rest, final=True)

    def _decode(self, block: bytes, *, final: bool) -> None:
        start = self.seen - len(block)
        try:
            _, used = codecs.utf_8_decode(block, "strict", final)
        except UnicodeDecodeError as error:
            self.bad_byte = start + error.start
            self.bad_line = self._lines.line_after(block[: error.start])
            before = self._before + block[max(error.start - _SAMPLE_BEFORE, 0) : error.start]
            self.sample = (before[-_SAMPLE_BEFORE:] + block[error.start :])[:_SAMPLE_BYTES]
            return
        self._rest = block[used:]
        checked = block[:used] if self._rest else block
        self._lines.feed(checked)
        self._before = (self._before + checked[-_SAMPLE_BEFORE:])[-_SAMPLE_BEFORE:]
