"""Which character separates the cells, and whether quotes enclose them: by trying each on the head of the file.

`csv.Sniffer` counts characters, and falls for decimal commas, commas in texts and quoted line ends. Here each
candidate parses the head as it would parse the file, and the one wins under which the records agree in width.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.table.format import reader_args
from core.table.values import TYPED, kind

CANDIDATES = (",", ";", "\t", "|")
_MAX_RECORDS = 1000
_MAX_TYPED_CELLS = 2000


@dataclass(frozen=True)
class Parsed:
    """A record of the head."""

    cells: list[str]
    line: int
    """Physical line where it starts, from 1."""
    line_end: str


@dataclass(frozen=True)
class Dialect:
    """What the head was found to be."""

    delimiter: str
    quoting: bool
    records: list[Parsed]
    doubtful: str = ""
    """A character that separates cells in many records but not in enough to be believed."""


def parse(lines: Sequence[str], delimiter: str, quoting: bool, *, complete: bool, first_line: int = 1) -> list[Parsed]:
    """The first records of some lines, blank lines left out; the last one too, unless the lines are `complete`."""
    reader = csv.reader(lines, **reader_args(delimiter, quoting))
    records = []
    before = 0
    whole = True
    for cells in reader:
        if cells:
            last = lines[reader.line_num - 1]
            line_end = last[len(last.rstrip("\r\n")) :]
            records.append(Parsed(cells, first_line + before, line_end))
        before = reader.line_num
        if len(records) == _MAX_RECORDS:
            whole = before == len(lines)
            break
    if whole and not complete and records:
        records.pop()
    return records


def find_dialect(
    lines: Sequence[str], *, complete: bool, delimiter: str | None, quoting: bool | None, first_line: int = 1
) -> Dialect:
    """Delimiter and quoting, from the lines of the head.

    Args:
        lines: physical lines with their line ends.
        complete: whether they are the whole file; if not, the last record may be cut.
        delimiter, quoting: the user's word; None to detect.
        first_line: file line of the first of `lines`.
    """
    doubtful = ""
    if delimiter is None:
        delimiter, doubtful = _find_delimiter(lines, complete, quoting is not False)
    if quoting is None:
        quoting = not _quotes_are_literal(lines, delimiter, complete)
    records = parse(lines, delimiter, quoting, complete=complete, first_line=first_line)
    return Dialect(delimiter, quoting, records, doubtful)


def _find_delimiter(lines: Sequence[str], complete: bool, quoting: bool) -> tuple[str, str]:
    believed: list[tuple[float, str]] = []
    doubted: list[tuple[float, str]] = []
    for delimiter in CANDIDATES:
        fit = _Fit([record.cells for record in parse(lines, delimiter, quoting, complete=complete)])
        if fit.believable:
            believed.append((fit.score, delimiter))
        elif fit.width > 1 and not fit.prose:
            doubted.append((fit.score, delimiter))
    if believed:
        return max(believed)[1], ""
    return "", (max(doubted)[1] if doubted else "")  # one column


class _Fit:
    """How well the records of one candidate agree.

    Attributes:
        width: cells in a record: those of the first record, or of nearly all others if the first has but one.
        believable: whether this may be a delimiter at all.
        prose: whether it stands where prose has it: before a space.
        score: compares candidates.
    """

    def __init__(self, rows: list[list[str]]) -> None:
        self.width, self.score, self.believable, self.prose = 1, 0.0, False, False
        if not rows:
            return
        widths = [len(row) for row in rows]
        split_widths = Counter(width for width in widths if width > 1)
        common, n_common = next(iter(split_widths.most_common(1)), (1, 0))
        headed = widths[0] > 1
        if headed:
            self.width = widths[0]
        elif common > 1 and n_common >= 0.3 * len(rows):
            self.width = common
        if self.width == 1:
            return
        agreeing = sum(1 for width in widths if width == self.width) / len(rows)
        split = split_widths.total() / len(rows)
        self.prose = self._like_prose(rows)
        if headed:
            # Commas of prose come with a space and in any number; of a ragged table, without and in most lines.
            self.believable = agreeing >= 0.8 or (not self.prose and (agreeing >= 0.3 or split >= 0.9))
        else:
            # A title over the table; or one column whose texts happen to have a comma each.
            self.believable = agreeing >= 0.9 and len(rows) >= 5 and not self.prose
        self.score = agreeing * (1 + math.log2(self.width)) * (0.5 + self._typed(rows))
        self.score *= (0.5 if self.prose else 1.0) * (1.0 if headed else 0.5)

    @staticmethod
    def _like_prose(rows: list[list[str]]) -> bool:
        followers = [cell for row in rows for cell in row[1:] if cell]
        spaced = sum(1 for cell in followers if cell[0] == " ")
        return bool(followers) and spaced > 0.5 * len(followers)

    @staticmethod
    def _typed(rows: list[list[str]]) -> float:
        """Share of numbers, dates and the like: halves of a decimal number keep company with foreign delimiters."""
        cells = [cell for row in rows[1:] or rows for cell in row][:_MAX_TYPED_CELLS]
        return sum(1 for cell in cells if kind(cell) in TYPED) / len(cells)


def _quotes_are_literal(lines: Sequence[str], delimiter: str, complete: bool) -> bool:
    """Whether ``"`` is an ordinary character: every line then splits alike without quotes, and quotes do not pair."""
    if not delimiter or not any('"' in line for line in lines):
        return False
    # The last line may be cut.
    rows = [record.cells for record in parse(lines, delimiter, False, complete=False)] or [
        record.cells for record in parse(lines, delimiter, False, complete=True)
    ]
    cells = [cell for row in rows for cell in row]
    if delimiter == "\t" and "\\N" in cells:  # NULL of PostgreSQL's TEXT and MySQL's exports, which never quote
        return True
    if len({len(row) for row in rows}) > 1:
        return False
    quoted = [cell for cell in cells if cell.startswith('"')]
    paired = sum(1 for cell in quoted if _is_quoted(cell))
    unpaired = len(quoted) - paired
    # A tab is rare in prose, so one lone quote tells. With other delimiters every line of a quoted text may well split
    # like a row: then only a quote that cannot be an enclosing one tells.
    if delimiter == "\t":
        return unpaired > paired
    return unpaired > paired and unpaired >= 3 and not _reads_strictly(lines, delimiter, complete)


def _reads_strictly(lines: Sequence[str], delimiter: str, complete: bool) -> bool:
    """Whether the lines are well-formed under enclosing quotes: no text after a closing one, none left open."""
    parser = csv.reader(lines, **(reader_args(delimiter, True) | {"strict": True}))
    try:
        for _ in parser:
            pass
    except csv.Error:
        return not complete and parser.line_num >= len(lines)  # the cut alone leaves a quote open
    return True


def _is_quoted(cell: str) -> bool:
    inside = cell[1:-1].replace('""', "")
    return len(cell) > 1 and cell.endswith('"') and '"' not in inside
