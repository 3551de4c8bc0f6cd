"""What a lost quote looks like, and where it was lost.

One quote that is never closed makes `csv` read everything up to the next quote as one cell: rows vanish without an
error. Nothing here changes how records are cut; it only notices.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence

from core.table.format import reader_args
from core.table.lines import text_lines
from core.table.values import Kind, kind


def looks_swallowed(lines: Sequence[str], delimiter: str, width: int) -> bool:
    """Whether a record over several physical lines is rather several records and a lost quote.

    It is, if each of its lines (of ten or more, nine in ten) by itself would split to the header's `width` of two
    columns or more, and the lines agree column by column on what looks like a number, a date or words. Without that
    second half, every other review with a comma in its second line would be suspected.
    """
    if width < 2 or not delimiter:
        return False
    tolerated = len(lines) // 10
    # Counting first spares `csv` nearly every record, where all have line ends in a cell.
    if sum(line.count(delimiter) + 1 < width for line in lines) > tolerated:
        return False
    rows = [row for line in lines if (row := _split(line, delimiter, width)) is not None]
    if len(rows) < len(lines) - tolerated:
        return False
    looks = [[kind(cell.strip().strip('"')) for cell in row] for row in rows]
    odd = sum(1 for look in looks[1:] if _differing(looks[0], look) > width // 4)
    return odd <= tolerated


def has_stray_quote(lines: Sequence[str], delimiter: str) -> bool:
    """Whether text follows a closing quote within a cell, which a well-formed file never has.

    The lines are one whole record, so that nothing else can displease the strict reader.
    """
    try:
        list(csv.reader(lines, **(reader_args(delimiter, True) | {"strict": True})))
    except csv.Error:
        return True
    return False


def opening_line(lines: Sequence[str], last_cell: str) -> int:
    """Index of the line where the quote opened that the file ends without closing.

    Args:
        lines: the physical lines of the unfinished record.
        last_cell: its last cell as `csv` read it: all that follows the open quote.
    """
    inside = sum(1 for line in text_lines(last_cell) if line.endswith(("\n", "\r")))
    ends = sum(1 for line in lines if line.endswith(("\n", "\r")))
    return ends - inside


def _differing(one: Sequence[Kind], other: Sequence[Kind]) -> int:
    """In how many columns two rows differ in kind; empty cells agree with all."""
    return sum(1 for a, b in zip(one, other, strict=True) if a is not b and Kind.EMPTY not in (a, b))


def _split(line: str, delimiter: str, width: int) -> list[str] | None:
    """The line as a record of `width` cells, quotes heeded or not; None if it is not one."""
    for quoting in (True, False):
        row = next(csv.reader([line], **reader_args(delimiter, quoting)), [])
        if len(row) == width:
            return row
    return None
