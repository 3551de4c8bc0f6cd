"""From the head of an upload to its `Format`: everything about the file that has to be decided before it is cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import NoRows, RecordTooLong
from core.table.canonical import canonical_head
from core.table.check import CheckResult
from core.table.delimiter import Dialect, Parsed, find_dialect
from core.table.encoding import find_encoding
from core.table.format import CONTAINERS, JSONL, Format, Overrides
from core.table.head import HEAD_BYTES, BinarySource, Head, read_head
from core.table.header import find_header, header_warnings
from core.table.jsonl import MAX_LINE_BYTES, header_of
from core.table.lines import text_lines
from core.table.nottext import refuse_if_not_text
from core.table.records import MAX_RECORD_BYTES
from core.table.transcode import transcoded
from core.table.warning import Warning_

# Longer than the longest record and its successor's start, whatever the encoding.
_LONG_HEAD_BYTES = 4 * MAX_RECORD_BYTES + HEAD_BYTES

_LITERAL_QUOTES = Warning_(
    "literal_quotes",
    'Quotes (") do not enclose cells in this file and were taken as ordinary characters.'
    " If they do enclose cells, switch quoting on.",
)
_NO_HEADER = Warning_(
    "no_header",
    "The first row looks like data, so the columns were named column_1, column_2 … If it is a header, say so.",
)
_COMMENT = Warning_(
    "comment_line", "This line starts with #. Lines of comments are not skipped: each is a record like any other."
)
_HEADER_ASSUMED = Warning_(
    "header_assumed", "The first row was taken as the header. If it is data, say that there is none."
)


def detect(source: BinarySource, check: CheckResult, overrides: Overrides) -> Format:
    """Finds out how a stored upload is to be read. Reads its head only: as quick for 8 GB as for 8 KB.

    Args:
        source: ranges of the stored bytes.
        check: what `StreamCheck` learnt while they passed.
        overrides: what the user says; wins over anything detected.

    Raises:
        NotText: an image, an archive …
        NoRows: nothing, or nothing but a header.
        EncodingFailed: not the encoding that the user or the file's byte order mark names; or none known.
        RecordTooLong: the first record does not end.
        UploadDamaged: broken gzip.
    """
    kind = overrides.source or check.source
    if kind in CONTAINERS:
        return _unread(kind, overrides)
    head = read_head(source, check.compression)
    refuse_if_not_text(head.data)
    if kind == JSONL:
        return _json_lines(source, head, check, overrides)
    text = _HeadText(head, check, overrides)
    if len(text.dialect.records) < 2 and not head.complete:
        head = read_head(source, check.compression, _LONG_HEAD_BYTES)
        text = _HeadText(head, check, overrides)
        if len(text.dialect.records) < 2 and not head.complete:
            raise RecordTooLong(
                f"The first record of the file is longer than {MAX_RECORD_BYTES:,} bytes.",
                line=1,
                next_step="Most often a quote in it is never closed, or the file has no line ends.",
            )
    records = text.dialect.records
    if not records:
        raise NoRows("The file is empty.", next_step="Send a CSV with at least one row.")
    rows = [record.cells for record in records]
    has_header, warnings = _header(rows, overrides)
    if has_header:
        header = tuple(rows[0])
        warnings += header_warnings(header, records[0].line, [len(row) for row in rows[1:]])
    else:
        width = Counter(map(len, rows)).most_common(1)[0][0]
        header = tuple(f"column_{number}" for number in range(1, width + 1))
    if rows[0][0].lstrip().startswith("#"):
        warnings.append(replace(_COMMENT, line=records[0].line))
    if head.complete and len(rows) == int(has_header):
        raise NoRows(
            "The file has a header but no rows.",
            next_step="Send at least one row; or, if the first line is data, say that there is no header.",
        )
    return Format(
        compression=check.compression,
        encoding=text.encoding,
        delimiter=text.dialect.delimiter,
        quoting=text.dialect.quoting,
        line_end=_line_end(records),
        has_header=has_header,
        header=header,
        warnings=(*text.warnings, *warnings),
        sep_line=text.sep_line,
    )


def canonical_format(source: str, warnings: Sequence[Warning_] = (), **fields: Any) -> Format:
    """The format of the canonical CSV that something else was turned into."""
    return Format(
        compression=None,
        encoding="utf-8",
        delimiter=",",
        quoting=True,
        line_end="\n",
        has_header=True,
        warnings=tuple(warnings),
        source=source,
        **fields,
    )


def _unread(kind: str, overrides: Overrides) -> Format:
    """Of a container, before the worker has opened it."""
    return canonical_format(kind, header=(), sheet=overrides.sheet, first_line=0)


def _json_lines(source: BinarySource, head: Head, check: CheckResult, overrides: Overrides) -> Format:
    if not head.complete and b"\n" not in head.data:
        head = read_head(source, check.compression, MAX_LINE_BYTES + HEAD_BYTES)
    found = find_encoding(head, check, overrides.encoding)
    text = b"".join(transcoded([head.data], found.encoding, complete=head.complete)).decode()
    lines = text.split("\n")
    header = header_of(lines if head.complete else lines[:-1] or lines)
    fmt = canonical_format(JSONL, found.warnings, header=header, first_line=0)
    fmt = replace(fmt, compression=check.compression, encoding=found.encoding)
    if not header:
        raise canonical_head(head, fmt).problem or NoRows(
            "The file has no JSON object with a key.", next_step="Send one on a line of its own."
        )
    return fmt


@dataclass(init=False)
class _HeadText:
    """The head as text, cut into records."""

    encoding: str
    dialect: Dialect
    sep_line: bool
    warnings: list[Warning_]

    def __init__(self, head: Head, check: CheckResult, overrides: Overrides) -> None:
        found = find_encoding(head, check, overrides.encoding)
        self.encoding = found.encoding
        self.warnings = list(found.warnings)
        text = b"".join(transcoded([head.data], found.encoding, complete=head.complete)).decode()
        lines = text_lines(text)
        separator = _excel_separator(lines)
        self.sep_line = separator is not None
        self.dialect = find_dialect(
            lines[1:] if self.sep_line else lines,
            complete=head.complete,
            delimiter=separator if overrides.delimiter is None else overrides.delimiter,
            quoting=overrides.quoting,
            first_line=2 if self.sep_line else 1,
        )
        if self.dialect.doubtful:
            self.warnings.append(
                Warning_(
                    "delimiter_doubtful",
                    f"The file was read as one column, since {self.dialect.doubtful!r} does not split its rows alike."
                    " If it separates cells, name the delimiter.",
                )
            )
        if overrides.quoting is None and not self.dialect.quoting:
            self.warnings.append(_LITERAL_QUOTES)


def _excel_separator(lines: Sequence[str]) -> str | None:
    """The delimiter that a first line such as ``sep=;`` tells Excel."""
    if not lines:
        return None
    first = lines[0].rstrip("\r\n")
    if len(first) == 5 and first[:4].lower() == "sep=" and first[4].isascii() and not first[4].isalnum():
        return first[4]
    return None


def _header(rows: list[list[str]], overrides: Overrides) -> tuple[bool, list[Warning_]]:
    if overrides.has_header is not None:
        return overrides.has_header, []
    verdict = find_header(rows)
    if not verdict.has_header:
        return False, [_NO_HEADER]
    return True, ([] if verdict.clear else [_HEADER_ASSUMED])


def _line_end(records: list[Parsed]) -> str:
    ends = Counter(record.line_end for record in records if record.line_end)
    return ends.most_common(1)[0][0] if ends else "\n"
