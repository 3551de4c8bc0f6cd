"""Whether the first record names the columns or is data already.

People expect a header, so there is one unless the first record clearly looks like the records below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.table.names import names_a_column
from core.table.values import TYPED, Kind, kind
from core.table.warning import Warning_

_SAMPLE = 200
_LONG_TEXT = 120
_SENTENCE_WORDS = 4
_SENTENCE_ENDS = (".", "!", "…", "。", "！")


@dataclass(frozen=True)
class Verdict:
    """The answer, and whether it was clear."""

    has_header: bool
    clear: bool


def find_header(rows: Sequence[Sequence[str]]) -> Verdict:
    """Judges the first of the records of the head."""
    first, body = rows[0], rows[1 : 1 + _SAMPLE]
    for_header, for_data = _votes(first, body)
    if for_header >= max(for_data, 1):
        return Verdict(True, True)
    if not any(cell.strip() for cell in first):
        return Verdict(True, False)
    repeated = list(first) in [list(row) for row in body] and len(first) > 1  # files with headers, one after another
    if not repeated and any(_recurs(cell, column, body) for column, cell in enumerate(first)):
        return Verdict(False, True)
    if any(names_a_column(cell) for cell in first):
        return Verdict(True, True)
    if for_data and not _are_years(first):
        return Verdict(False, True)
    return Verdict(not _has_sentence(first), False)


def header_warnings(header: Sequence[str], line: int, widths: Sequence[int]) -> list[Warning_]:
    """What is odd about a header: blank or repeated names, another width than the records below have.

    Args:
        header: its cells.
        line: file line where it starts.
        widths: how many cells each of the records below has.
    """
    warnings = []
    blank = [str(number) for number, name in enumerate(header, start=1) if not name.strip()]
    if blank:
        warnings.append(
            Warning_("blank_header", f"The header has no name for column {_some(blank)}.", line=line)
        )  # fmt: skip
    repeated = [name for name, count in Counter(header).items() if count > 1 and name.strip()]
    if repeated:
        names = _some([repr(name) for name in repeated])
        warnings.append(Warning_("duplicate_header", f"The header names several columns {names}.", line=line))
    common, count = Counter(widths).most_common(1)[0] if widths else (len(header), 0)
    if common != len(header) and count >= 3 and count > 0.5 * len(widths):
        warnings.append(
            Warning_(
                "header_width",
                f"The header has {len(header):,} cells, but most rows have {common:,}. If it is not the first line of"
                " the table, remove what stands above it.",
                line=line,
            )
        )
    return warnings


def _votes(first: Sequence[str], body: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Columns whose first cell is of another kind than the typed cells below; and those where it is of their kind."""
    for_header = for_data = 0
    for column, cell in enumerate(first):
        own = kind(cell)
        if own is Kind.EMPTY:
            continue
        if not body:
            for_data += own in TYPED
            continue
        kinds = Counter(kind(row[column]) for row in body if column < len(row))
        del kinds[Kind.EMPTY]
        if not kinds:
            continue
        common, count = kinds.most_common(1)[0]
        if common in TYPED and count >= 0.8 * kinds.total():
            if own is common:
                for_data += 1
            else:
                for_header += 1
    return for_header, for_data


def _recurs(cell: str, column: int, body: Sequence[Sequence[str]]) -> bool:
    """Whether a cell stands in its column again, as values do and names do not. One letter may do so by chance."""
    return len(cell.strip()) > 1 and any(column < len(row) and row[column] == cell for row in body)


def _are_years(first: Sequence[str]) -> bool:
    """Whether the numbers of a record are years, two or more: a table with a column for each year."""
    numbers = [cell.strip() for cell in first if kind(cell) is Kind.NUMBER]
    return len(set(numbers)) == len(numbers) > 1 and all(
        number.isdecimal() and 1900 <= int(number) <= 2100 for number in numbers
    )


def _has_sentence(first: Sequence[str]) -> bool:
    """Whether a cell is rather a text than a name. Questions are names: of the columns of a survey."""
    for cell in first:
        text = cell.strip()
        if text.endswith(("?", "？", ":", "：")):
            continue
        words = len(text.split())
        if len(text) > _LONG_TEXT or (words >= _SENTENCE_WORDS and (len(first) == 1 or text.endswith(_SENTENCE_ENDS))):
            return True
    return False


def _some(items: Sequence[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
