"""From the values of a column to the groups that figures are broken down by: few enough to be read.

Names: the commonest, and the others together. Days: themselves within a month, else months, else years. Numbers: each
value if they are few, else ranges with about as many rows each. Rows without a value are a group of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from core.figures.values import Kind

MOST_NAMES = 20
MOST_DAYS = 31
MOST_MONTHS = 60
FEW_NUMBERS = 12
RANGES = 5
"""Of numbers: fifths of the rows."""

BLANK, OTHER = 0, 1
"""Codes of cells that are blank, and of those that are not of the column's kind or came when there was no more room."""
FIRST = 2
"""Code of the first key."""


@dataclass(frozen=True)
class Grouping:
    """The groups of a column.

    Attributes:
        unit: what a group is: ``value``, ``day``, ``month``, ``year`` or ``range``.
        names: of the groups, in the order in which they are shown.
        of_code: (codes,) the group of each code.
    """

    unit: str
    names: tuple[str, ...]
    of_code: NDArray[np.int64]


def group(kind: Kind, keys: Sequence[str], counts: NDArray[np.int64]) -> Grouping:
    """Gathers a column's values.

    Args:
        keys: the key of each code from `FIRST` on.
        counts: (codes,) rows of each code, `BLANK` and `OTHER` included.
    """
    of_key: Sequence[str]
    if kind.is_date:
        unit, of_key = _dates(keys)
        ordered = sorted(set(of_key))
    elif kind is Kind.NUMBER:
        unit, of_key, ordered = _numbers(keys, counts[FIRST:])
    else:
        unit, of_key, ordered = "value", keys, _commonest(keys, counts[FIRST:])
    place = {name: at for at, name in enumerate(ordered)}
    names = list(ordered)
    rest = [name for name in dict.fromkeys(of_key) if name not in place]
    other = BLANK
    if rest or counts[OTHER]:
        other = len(names)
        names.append(_rest_name(kind, len(rest), bool(counts[OTHER])))
    blank = len(names)
    if counts[BLANK]:
        names.append("(blank)")
    codes = [min(blank, len(names) - 1), other, *(place.get(name, other) for name in of_key)]
    return Grouping(unit, tuple(names), np.array(codes, dtype=np.int64))


def _commonest(keys: Sequence[str], counts: NDArray[np.int64]) -> list[str]:
    by_count = sorted(range(len(keys)), key=lambda at: (-counts[at], keys[at]))
    return [keys[at] for at in by_count[:MOST_NAMES]]


def _dates(keys: Sequence[str]) -> tuple[str, list[str]]:
    if not keys:
        return "month", []
    first, last = date.fromisoformat(min(keys)), date.fromisoformat(max(keys))
    if (last - first).days < MOST_DAYS:
        return "day", list(keys)
    months = 12 * (last.year - first.year) + last.month - first.month + 1
    unit, length = ("month", 7) if months <= MOST_MONTHS else ("year", 4)
    return unit, [key[:length] for key in keys]


def _numbers(keys: Sequence[str], counts: NDArray[np.int64]) -> tuple[str, list[str], list[str]]:
    value: Callable[[str], float] = float
    if len(keys) <= FEW_NUMBERS:
        return "value", list(keys), sorted(keys, key=value)
    values = np.array([value(key) for key in keys])
    order = values.argsort(kind="stable")
    # A value's rows stay together: it goes where the middle one of them falls.
    middle = counts[order].cumsum() - counts[order] / 2
    fifth = np.minimum(RANGES - 1, (RANGES * middle / counts.sum()).astype(int))
    of_key, ordered = [""] * len(keys), []
    for number in np.unique(fifth):
        members = order[fifth == number]
        low, high = keys[members[0]], keys[members[-1]]
        name = low if low == high else f"{low} to {high}"
        ordered.append(name)
        for at in members:
            of_key[at] = name
    return "range", of_key, ordered


def _rest_name(kind: Kind, n_rest: int, more: bool) -> str:
    if kind.is_date:
        return "(no date)"
    if kind is Kind.NUMBER:
        return "(no number)"
    return f"({'over ' if more else ''}{n_rest:,} others)"
