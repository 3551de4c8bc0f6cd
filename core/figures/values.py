"""What a column of the user's file is good for when figures are broken down by it: days, numbers, or names.

A guess from some records, as everything about a file is, and said wherever it is used. Cells become keys: a day, a
number of three digits, or the cell itself; of each column there are some ten thousand of them at most, however many
rows there are, and what they are gathered into (months, ranges) is decided once all are counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from core.table.values import Kind as Look
from core.table.values import kind as look

MOSTLY = 0.9
"""Of the cells that are not empty: so many must be days for a column to be one of days; the same for numbers."""

LONGEST_KEY = 80
"""Characters of a cell that tell it from others."""

_FEW_CELLS = 40
"""In so few cells, different ones are no sign that every row of the file has another."""

_MONTHS = {name: at for at, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?!\d)")
_DAY_NAMED = re.compile(r"(?:[A-Za-z]{3,9},?\s+)?(\d{1,2})[-. ]+([A-Za-z]{3})[a-z]*[-., ]+(\d{4})(?!\d)")
_MONTH_NAMED = re.compile(r"(?:[A-Za-z]{3,9},?\s+)?([A-Za-z]{3})[a-z]*\.?\s+(\d{1,2}),?\s+(\d{4})(?!\d)")


class Kind(StrEnum):
    """What the cells of a column are."""

    DAY = "date"  # year, month, day in that order, or the month by name
    DAY_MONTH = "date, day first"
    MONTH_DAY = "date, month first"
    NUMBER = "number"
    NAME = "name"  # products, countries, ratings in words: values that come again
    UNLIKE = "unlike"  # nearly every row has another value, or a text: nothing to break down by
    EMPTY = "empty"

    @property
    def is_date(self) -> bool:
        """Whether keys are days."""
        return self in DATES

    @property
    def usable(self) -> bool:
        """Whether rows can be gathered by it."""
        return self not in (Kind.UNLIKE, Kind.EMPTY)


DATES: Final = (Kind.DAY, Kind.DAY_MONTH, Kind.MONTH_DAY)


def kind_of(cells: Sequence[str]) -> Kind:
    """What a column is, from some of its cells."""
    cells = [cell.strip() for cell in cells]
    cells = [cell for cell in cells if look(cell) is not Look.EMPTY]
    if not cells:
        return Kind.EMPTY
    for found in DATES:
        if _share(cells, key_of(found)) >= MOSTLY:
            return _order(cells) if found is Kind.DAY_MONTH else found
    if _share(cells, key_of(Kind.NUMBER)) >= MOSTLY:
        whole = len(set(cells)) == len(cells) > _FEW_CELLS and all(cell.isdecimal() for cell in cells)
        return Kind.UNLIKE if whole else Kind.NUMBER  # every row has another whole number: a key
    different = len(set(cells))
    long = sum(map(len, cells)) / len(cells) > LONGEST_KEY
    return Kind.UNLIKE if long or (different > 0.5 * len(cells) and len(cells) > _FEW_CELLS) else Kind.NAME


def key_of(kind: Kind) -> Callable[[str], str | None]:
    """A function from a cell that is not blank to its key; None where the cell is not of this kind."""
    if kind is Kind.NUMBER:
        return _number
    if kind is Kind.DAY:
        return _day
    if kind.is_date:
        return _day_first if kind is Kind.DAY_MONTH else _month_first
    return lambda cell: cell[:LONGEST_KEY]


def _share(cells: Sequence[str], key: Callable[[str], str | None]) -> float:
    return sum(key(cell) is not None for cell in cells) / len(cells)


def _order(cells: Sequence[str]) -> Kind:
    """Whether 3/4/2026 is in April or in March: as most cells that can be one only say.

    Where none says it, a slash means the American order, with the month first, and any other sign the other.
    """
    day_first, month_first = _share(cells, _day_first), _share(cells, _month_first)
    if day_first == month_first:
        return Kind.MONTH_DAY if sum("/" in cell for cell in cells) > len(cells) / 2 else Kind.DAY_MONTH
    return Kind.DAY_MONTH if day_first > month_first else Kind.MONTH_DAY


def _number(cell: str) -> str | None:
    try:
        value = float(cell)
    except ValueError:
        # A decimal comma; a thousands separator would be three digits from the end.
        whole, comma, part = cell.partition(",")
        if not comma or len(part) == 3 or not part.isdecimal():
            return None
        try:
            value = float(f"{whole}.{part}")
        except ValueError:
            return None
    if not math.isfinite(value):
        return None
    return f"{value:.3g}" if value % 1 or abs(value) >= 100_000 else f"{value:.0f}"


def _day(cell: str) -> str | None:
    if found := _YEAR_FIRST.match(cell):
        return _iso(*found.groups())
    if found := _DAY_NAMED.match(cell):
        day, month, year = found.groups()
    elif found := _MONTH_NAMED.match(cell):
        month, day, year = found.groups()
    else:
        return None
    number = _MONTHS.get(month.lower())
    return _iso(year, number, day) if number else None


def _day_first(cell: str) -> str | None:
    found = _YEAR_LAST.match(cell)
    return _iso(found[3], found[2], found[1]) if found else None


def _month_first(cell: str) -> str | None:
    found = _YEAR_LAST.match(cell)
    return _iso(found[3], found[1], found[2]) if found else None


def _iso(year: str | int, month: str | int, day: str | int) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
