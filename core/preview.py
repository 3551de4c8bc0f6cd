"""What an upload will be taken for, from its first bytes: before it is sent, with the functions that will read it.

The head of a file may end anywhere: within a character, a record, a gzip block. Whatever only the cut made wrong is not
told; what stands before it is exactly what the job will find there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import InputError, LimitExceeded, NoPreview, NoTextColumn, UnclosedQuote, UnknownColumn
from core.table import (
    CONTAINERS,
    CheckResult,
    Format,
    Overrides,
    Record,
    RecordReader,
    StreamCheck,
    TextColumn,
    Warning_,
    choose_text_column,
    detect,
    merge_warnings,
)
from core.table.canonical import canonical_head
from core.table.head import HEAD_BYTES, Head, read_head
from core.table.unpack import MAGIC, Unpacker

PREVIEW_BYTES = HEAD_BYTES + 1
"""What is to be sent of a file that is not shorter: one byte more than is read, so that it does not seem to end."""

SAMPLE = 200
"""Records from which the text column is guessed, as for a job."""

_TELLING_UNPACKED = 16 * 1024 * 1024
_BLOCK = 64 * 1024
_CHARACTER = 4  # bytes that one character may have in UTF-8

_LONG_RECORD = 64 * 1024
_QUOTE_OPEN = Warning_(
    "quote_open",
    "A quote opens here and is not closed in what was looked at. If it is no quote, correct it or switch quoting off.",
)

_PARTS = 8
_T_95 = 2.365
"""Student's t, two-sided 95 %, for the mean of eight parts (seven degrees of freedom)."""
_LEAST_DOUBT = 0.05
"""The rest of a file is never known better than this: its texts may be longer or shorter than the first ones."""


@dataclass(frozen=True)
class RowEstimate:
    """How many data rows the whole file has: the same number twice where that is known."""

    low: int
    high: int


@dataclass(frozen=True)
class Preview:
    """What the first bytes of a file say.

    Attributes:
        format: what was detected, overrides included.
        text_column: what would be labelled; None: see `problem`.
        problem: what would stop a job, here or while it reads; None: nothing so far.
        records: all whole data rows of the head, up to the problem.
        warnings: of the detection, then of the records.
        rows: how many the whole file has.
    """

    format: Format
    text_column: TextColumn | None
    problem: InputError | None
    records: list[Record]
    warnings: tuple[Warning_, ...]
    rows: RowEstimate

    def texts(self) -> list[str]:
        """What would be labelled of each record; none without a text column."""
        if self.text_column is None:
            return []
        at = self.text_column.index
        return [record.cells[at].strip() if at < len(record.cells) else "" for record in self.records]


def preview(
    head: bytes, *, n_bytes: int, overrides: Overrides, text_column: str | None = None, max_columns: int = 10_000
) -> Preview:
    """Looks at the head of a file as `core.uploads` looks at the whole of it.

    Args:
        head: the file's first bytes: `PREVIEW_BYTES` of them at least, or all.
        n_bytes: bytes of the whole file.
        overrides: what the user says about it.
        text_column: name, else number from 1; None: guess.
        max_columns: of a file that is allowed.

    Raises:
        InputError: nothing can be shown: no text, an encoding that does not fit, no row.
        LimitExceeded: too many columns, or the head ends before the first rows do.
    """
    whole = len(head) >= n_bytes
    source = _Source(head, whole)
    compression = "gzip" if head.startswith(MAGIC) else None
    text = read_head(source, compression)
    check = _check(text, compression, overrides.source)
    if check.source in CONTAINERS and compression is None:
        raise NoPreview(
            "A workbook or a Parquet file is looked at once it is uploaded.",
            next_step="Send it: the job's page shows what was found. A sheet or a column can be named in the options.",
        )
    found = detect(source, check, overrides)
    if len(found.header) > max_columns:
        raise LimitExceeded(
            f"The file has {len(found.header):,} columns; {max_columns:,} are allowed.",
            next_step="Remove columns, or set the delimiter if it was detected wrongly.",
        )
    records, warnings, problem, share = _read(text, found)
    column = None
    try:
        column = choose_text_column(found, [record.cells for record in records[:SAMPLE]], text_column)
    except (NoTextColumn, UnknownColumn) as error:
        problem = problem or error
    size = n_bytes if compression is None else n_bytes * _expansion(head)
    return Preview(
        format=found,
        text_column=column,
        problem=problem,
        records=records,
        warnings=merge_warnings(found.warnings, warnings),
        rows=RowEstimate(len(records), len(records))
        if text.complete
        else _estimate(records, size / len(text.data), share),
    )


class _Source:
    """Ranges of the head, which refuses to be read beyond where it was cut."""

    def __init__(self, head: bytes, whole: bool) -> None:
        self._head = head
        self._whole = whole
        self._packed = head.startswith(MAGIC)

    def __call__(self, start: int, length: int) -> bytes:
        block = self._head[start : start + length]
        if not self._whole and (not block or (len(block) < length and not self._packed)):
            raise LimitExceeded(
                "The first rows are longer than what was sent for a preview.",
                next_step="Upload the file: it is looked over as a whole.",
            )
        return block


def _check(head: Head, compression: str | None, kind: str | None) -> CheckResult:
    """What `StreamCheck` says of the head, but for a character that the cut went through."""
    checker = StreamCheck(source=kind)
    checker.feed(head.data)
    check = checker.finish()
    if not head.complete and check.first_bad_byte is not None and check.first_bad_byte > len(head.data) - _CHARACTER:
        check = replace(check, utf8_valid=True, first_bad_byte=None, first_bad_line=None, sample=b"")
    return replace(check, compression=compression)


def _read(head: Head, found: Format) -> tuple[list[Record], Sequence[Warning_], InputError | None, float]:
    """The head's whole records, what was odd about them, what stopped the reading, and their share of the head."""
    made = canonical_head(head, found)
    canonical, wrong, odd = made.text, made.problem, made.warnings
    reader = RecordReader([canonical], found)
    records: list[Record] = []
    problem: InputError | None = None
    try:
        records.extend(reader)
    except InputError as error:
        problem = error
    problem = problem or wrong
    if head.complete or wrong or not (problem is None or isinstance(problem, UnclosedQuote)):
        return records, odd + reader.warnings, problem, _share(records, canonical)
    if problem is None:
        # Once more without the last record: what is odd about that one may be the cut.
        reader = RecordReader([canonical[: records[-2].end if len(records) > 1 else 0]], found)
        records = list(reader)
        return records, odd + reader.warnings, None, _share(records, canonical)
    # The cut goes through quotes. The record in hand is the one that is cut: all that were given are whole.
    warnings = odd + reader.warnings
    if len(canonical) - (records[-1].end if records else 0) > _LONG_RECORD and problem.line:
        warnings += (replace(_QUOTE_OPEN, row=problem.row, line=problem.line, lines=(problem.line,)),)
    return records, warnings, None, _share(records, canonical)


def _share(records: Sequence[Record], canonical: bytes) -> float:
    return records[-1].end / len(canonical) if records else 1.0


def _expansion(head: bytes) -> float:
    """Bytes of text for each byte of a gzip file, from its first ones."""
    unpacker = Unpacker(max_unpacked_bytes=2**62, max_compression_ratio=2**31)
    packed = unpacked = 0
    while packed < len(head) and unpacked < _TELLING_UNPACKED:
        block = head[packed : packed + _BLOCK]
        packed += len(block)
        unpacked += sum(map(len, unpacker.feed(block)))
    return unpacked / packed


def _estimate(records: Sequence[Record], heads: float, share: float) -> RowEstimate:
    """Rows of a file that is `heads` times as long as its head, of which `records` fill that `share`.

    The bytes of a row are taken as the mean over eight parts of the head, with the interval that belongs to it.
    """
    if not records:
        return RowEstimate(0, 0)
    rows = len(records) / share * heads
    doubt = _LEAST_DOUBT
    if len(records) >= 2 * _PARTS:
        size = len(records) // _PARTS
        lengths = [
            (part[-1].end - part[0].start) / len(part)
            for part in (records[at : at + size] for at in range(0, _PARTS * size, size))
        ]
        mean = statistics.fmean(lengths)
        doubt = max(doubt, _T_95 * statistics.stdev(lengths) / math.sqrt(_PARTS) / mean)
    return RowEstimate(max(len(records), round(rows / (1 + doubt))), round(rows * (1 + doubt)))
