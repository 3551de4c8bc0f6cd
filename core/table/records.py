"""The cutter: canonical bytes in, records with their exact places out.

A chunk is a byte range of a file, read again by another process on another day, so every record must know where it
starts and ends, and be cut there and nowhere else. Python's `csv` does all the parsing. It reads from an iterator of
physical lines and never takes a line more than the record needs, so the lines it has taken say where the record ended.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain

from core.errors import EncodingFailed, InputError, RecordTooLong, UnclosedQuote
from core.table.format import CSV, Format
from core.table.lines import LineSplitter
from core.table.quotes import has_stray_quote, looks_swallowed, opening_line
from core.table.warning import Warning_, WarningCounter

MAX_RECORD_BYTES = 1024 * 1024

_SWALLOWED = (
    "This record spans several lines, each of which looks like a row of its own: a quote may be missing. They were"
    " read as one row. If they are several, correct the quote, or switch quoting off."
)
_STRAY = (
    "In this record over several lines, text follows a closing quote: a quote may be missing or not doubled, and"
    " several rows may have been read as one."
)
_SHORT = "This row has fewer cells than the header; the missing ones are taken as empty."
_LONG = "This row has more cells than the header; the additional ones are kept, after the added columns."
_MORE = "This line has something that no column of the first ones holds; it is kept after the added columns."
_NUL = "This row contains NUL characters; they are kept."


@dataclass(slots=True)
class Record:
    """One CSV record.

    Attributes:
        row: data row, from 1.
        line: physical line of the file where it starts, from 1.
        start: byte offset of its first byte in the canonical file.
        end: byte offset after its last byte, its line end included.
        cells: its cells as `csv` reads them.
        data: its bytes in the canonical file, line end included; None: the cells come from elsewhere.
    """

    row: int
    line: int
    start: int
    end: int
    cells: list[str]
    data: bytes | None = None


class RecordReader:
    """Iterates over the records of a canonical file, from its start or from any record boundary.

    Of a canonical form that was made of something else, `line` is where a record stood in that: one for each record.

    At the start of the file (`offset` 0) a byte order mark, Excel's ``sep=`` line and the header are read over.
    Physical lines that hold nothing but their line end are no records, and are counted. Memory is constant.

    Args:
        blocks: the file's bytes from `offset` on, in blocks of any size: UTF-8, with or without BOM.
        fmt: how to read them.
        offset: byte offset of the first byte of `blocks`: 0, or the `end` of some record.
        row: data row of the first record there.
        line: physical line of the first line there.
        max_record_bytes: longest record allowed, line end included.

    While iterating, `offset`, `row` and `line` are those after the record that was given last: with them, a new reader
    carries on. Iterating raises:
        RecordTooLong: naming row and line where the record starts.
        UnclosedQuote: the file ends within quotes; naming row and line where the quote opens.
        EncodingFailed: bytes that are not UTF-8; naming the line.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        fmt: Format,
        *,
        offset: int = 0,
        row: int = 1,
        line: int = 1,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self.offset = offset
        self.row = row
        self.line = line
        self._made = fmt.source != CSV
        self._at_line = line  # the physical one, which is `line` itself in a file that is CSV
        self.n_blank = 0
        self._blocks = iter(blocks)
        self._fmt = fmt
        self._max_record_bytes = max_record_bytes
        self._counter = WarningCounter()
        self._in_header = offset == 0 and fmt.has_header
        self._at_start = offset == 0
        if self._made and self._at_start:
            self.line = fmt.first_line
        # The lines handed to `csv` last: their bytes, where each ends, and how many were handed over before them.
        self._lines: list[bytes] = []
        self._ends = [offset]
        self._n_before = 0
        self._earlier: list[bytes] = []  # lines of the record in hand that came in earlier blocks
        self._first_line = line  # of the file; `csv` counts from the first line it was given
        self._last_nul_line = 0
        self._exhausted = False
        self._records = self._cut()

    def __iter__(self) -> Iterator[Record]:
        """The records that are left; every call gives the same iterator."""
        return self._records

    @property
    def warnings(self) -> tuple[Warning_, ...]:
        """What was noticed so far, one entry for each kind: lost quotes, ragged rows, NULs."""
        return self._counter.found()

    def _cut(self) -> Iterator[Record]:
        width = self._fmt.n_columns
        limit = self._max_record_bytes
        parser = csv.reader(chain.from_iterable(self._line_lists()), **self._fmt.reader_args)
        taken = 0  # physical lines `csv` has taken for the records before
        try:
            for cells in parser:
                taken_before, taken = taken, parser.line_num
                start, line, at_line = self.offset, self.line, self._at_line
                end = self._ends[taken - self._n_before]
                # The rare cases, in one test: this loop is what limits the speed of ingest.
                if (
                    len(cells) != width
                    or taken - taken_before > 1
                    or at_line <= self._last_nul_line
                    or end - start > limit
                    or self._exhausted
                    or self._in_header
                ):
                    self._examine(cells, end, taken, taken_before)
                self.offset = end
                self._at_line = self._first_line + taken
                self.line = line + 1 if self._made else self._at_line
                if not cells:
                    self.n_blank += 1
                elif self._in_header:
                    self._in_header = False
                else:
                    row = self.row
                    self.row = row + 1
                    n_lines = taken - taken_before
                    data = (
                        self._lines[taken - self._n_before - 1]
                        if n_lines == 1
                        else b"".join(self._lines_of_record(taken, n_lines))
                    )
                    yield Record(row, line, start, end, cells, data)
        except UnicodeDecodeError as error:
            raise EncodingFailed(
                f"The bytes from {error.object[error.start : error.end]!r} on are not UTF-8.",
                line=self._first_line + parser.line_num,
                next_step="Send the file again.",
            ) from error
        except csv.Error as error:
            raise InputError(f"The row cannot be read: {error}.", row=self._row, line=self.line) from error

    def _line_lists(self) -> Iterator[Iterator[str]]:
        """The file's physical lines as text, a block's worth at a time, with the books kept on where they end."""
        splitter = LineSplitter()
        fed = self.offset
        for block in self._blocks:
            # Asked for more lines: the record in hand (or the one that starts here) reaches to the end of what was fed.
            if fed - self.offset > self._max_record_bytes:
                raise self._too_long()
            fed += len(block)
            lines = splitter.feed(block)
            if lines:
                yield self._hand_over(lines)
        lines = splitter.finish()
        if lines:
            yield self._hand_over(lines)
        self._exhausted = True

    def _hand_over(self, lines: list[bytes]) -> Iterator[str]:
        begin = self._ends[-1]
        if self._at_start:
            self._at_start = False
            begin += self._skip_preamble(lines)
        n_open = self._n_before + len(self._lines) - (self._at_line - self._first_line)
        if n_open:
            self._earlier = (self._earlier + self._lines)[-n_open:]
        else:
            self._earlier = []
        self._n_before += len(self._lines)
        self._lines = lines
        self._ends = list(accumulate(map(len, lines), initial=begin))
        if b"\0" in b"".join(lines):
            self._last_nul_line = self._first_line + self._n_before + len(lines) - 1
        return map(bytes.decode, lines)

    def _skip_preamble(self, lines: list[bytes]) -> int:
        """Takes BOM and ``sep=`` line off the first lines, in place; the number of bytes taken."""
        skipped = 0
        if lines[0].startswith(codecs.BOM_UTF8):
            skipped = len(codecs.BOM_UTF8)
            lines[0] = lines[0][skipped:]
        if self._fmt.sep_line:
            skipped += len(lines.pop(0))
            self._first_line += 1
            self._at_line += 1
            self.line += 1
        self.offset += skipped
        return skipped

    def _examine(self, cells: list[str], end: int, taken: int, taken_before: int) -> None:
        """Looks at a record that is not plain: one of many lines, ragged, with NULs, too long, the header."""
        if end - self.offset > self._max_record_bytes:
            raise self._too_long()
        if not cells:
            return
        n_lines = taken - taken_before
        if not self._made and (n_lines > 1 or self._exhausted):
            self._examine_lines(cells, [line.decode() for line in self._lines_of_record(taken, n_lines)])
        if self._in_header:
            return
        if len(cells) != self._fmt.n_columns:
            short = len(cells) < self._fmt.n_columns
            self._warn("short_row" if short else "long_row", _SHORT if short else _MORE if self._made else _LONG)
        if self._at_line <= self._last_nul_line and any("\0" in cell for cell in cells):
            self._warn("nul", _NUL)

    def _examine_lines(self, cells: list[str], lines: list[str]) -> None:
        if self._exhausted:  # `csv` asked for a line after the last one, to close a quote
            opened = self.line + opening_line(lines, cells[-1])
            raise UnclosedQuote(
                "A quote opens here and is never closed.",
                row=self._row,
                line=opened,
                next_step="Close or double the quote, or switch quoting off.",
            )
        # Names and data differ in kind: a header is judged by the lines it may have swallowed.
        suspects = lines[1:] if self._in_header else lines
        if looks_swallowed(suspects, self._fmt.delimiter, self._fmt.n_columns):
            self._warn("lines_swallowed", _SWALLOWED)
        elif has_stray_quote(lines, self._fmt.delimiter):
            self._warn("stray_quote", _STRAY)

    def _lines_of_record(self, taken: int, n_lines: int) -> list[bytes]:
        in_block = taken - self._n_before
        if in_block >= n_lines:
            return self._lines[in_block - n_lines : in_block]
        return self._earlier + self._lines[:in_block]

    @property
    def _row(self) -> int | None:
        return None if self._in_header else self.row

    def _warn(self, code: str, message: str) -> None:
        self._counter.add(code, message, row=self._row, line=self.line)

    def _too_long(self) -> RecordTooLong:
        return RecordTooLong(
            f"The record that starts here is longer than {self._max_record_bytes:,} bytes.",
            row=self._row,
            line=self.line,
            next_step="Most often a quote in it is never closed: correct it, or switch quoting off.",
        )
