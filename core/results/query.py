"""Which rows of a table somebody wants, and in which order: the question alone. Pure; arrays in, arrays out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.mark import no_such_cursor, opaque, plain
from core.results.labels import UNITS
from core.results.search import Needle
from core.states import RowFlag, RowStatus

FLAGS = {flag.name.lower(): flag for flag in RowFlag if flag.name}
"""What a row may be found by, in words."""

STATUSES = {status.name.lower(): status for status in RowStatus}


class Sort(StrEnum):
    """What rows are ordered by."""

    ROW = "row"  # as in the file
    SCORE = "score"  # rows of one score as in the file


class Order(StrEnum):
    """Which end comes first."""

    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True)
class RowQuery:
    """Filters, all of which must hold, and an order.

    Attributes:
        label: the row's top label, in the taxonomy it is read in.
        listed: a label that is said of the row: at or over its threshold. The score that the table filters and sorts by
            is then that label's; else it is the top label's.
        status: ``ok``, ``empty`` or ``failed``.
        flag: a name in `FLAGS`.
        min_score, max_score: of the score as it is shown, both inclusive.
        search: what the text holds.
        order: None: by row ascending, by score descending.

    Raises:
        BadOption: on construction, for an unknown status or flag, or a score out of range. Whoever knows the taxonomy
            checks the labels.
    """

    label: str | None = None
    listed: str | None = None
    status: str | None = None
    flag: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    search: Needle | None = None
    sort: Sort = Sort.ROW
    order: Order | None = None

    def __post_init__(self) -> None:
        _one_of("status", self.status, STATUSES)
        _one_of("flag", self.flag, FLAGS)
        for name, score in (("min_score", self.min_score), ("max_score", self.max_score)):
            if score is not None and not 0 <= score <= 1:
                raise BadOption(f"{name}={score:g} is not a number from 0 to 1.", next_step="Use one such as 0.4.")

    @property
    def is_ascending(self) -> bool:
        """Whether small ones come first."""
        return (self.order or (Order.ASC if self.sort is Sort.ROW else Order.DESC)) is Order.ASC

    @property
    def needs_scores(self) -> bool:
        """Whether a score decides anything."""
        return self.sort is Sort.SCORE or self.min_score is not None or self.max_score is not None

    @property
    def is_scored_only(self) -> bool:
        """Whether rows without a score are left out: they have none to be compared."""
        return self.needs_scores or self.label is not None or self.listed is not None

    def units(self) -> tuple[int, int]:
        """The range of scores in units of the last decimal shown."""
        low = 0 if self.min_score is None else math.ceil(round(self.min_score * UNITS, 6))
        high = UNITS if self.max_score is None else math.floor(round(self.max_score * UNITS, 6))
        return low, high

    def keys(self, rows: NDArray[np.int64], units: NDArray[np.uint16] | None) -> NDArray[np.int64]:
        """Numbers that stand in the order wanted, for some data rows: no two are equal.

        Args:
            rows: (n,) data rows.
            units: (n,) their scores; not needed where rows are not sorted by them.
        """
        if self.sort is Sort.ROW:
            return rows if self.is_ascending else -rows
        assert units is not None, "they are sorted by it"
        rank = units.astype(np.int64)
        return ((rank if self.is_ascending else UNITS - rank) << 32) | rows

    def rows(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The data rows of `keys`."""
        return np.abs(keys) if self.sort is Sort.ROW else keys & 0xFFFFFFFF


def _one_of(name: str, value: str | None, known: dict[str, RowFlag] | dict[str, RowStatus]) -> None:
    if value is not None and value not in known:
        raise BadOption(f"{name}={value!r} is unknown.", next_step=f"Use one of: {', '.join(known)}.")


@dataclass(frozen=True)
class Cursor:
    """A place between two rows of an ordered table, and whether those before it or after it are wanted.

    It names the row by what it is sorted by, not by how many stand before: rows that come or go elsewhere move nothing.
    """

    order: str
    """Of the table it was made for."""
    key: int
    back: bool = False

    @classmethod
    def of(cls, query: RowQuery, key: int, *, back: bool = False) -> Cursor:
        """A place in the table of `query`."""
        return cls(_order_of(query), key, back)

    def encode(self) -> str:
        """As it stands in an address: opaque to whoever is given it."""
        return opaque(f"{'b' if self.back else 'f'}.{self.order}.{self.key}")

    @classmethod
    def decode(cls, given: str, query: RowQuery) -> Cursor:
        """The inverse of `encode`.

        Raises:
            BadOption: not one of ours, or of a table in another order.
        """
        try:
            way, order, key = plain(given).split(".")
            found = cls(order, int(key), {"b": True, "f": False}[way])
        except (ValueError, KeyError):
            raise no_such_cursor() from None
        if not -(2**31) <= found.key < 2**62:
            raise no_such_cursor()
        if found.order != _order_of(query):
            raise BadOption("cursor belongs to another order of rows.", next_step="Leave it out to begin anew.")
        return found


def _order_of(query: RowQuery) -> str:
    return f"{query.sort}-{'asc' if query.is_ascending else 'desc'}"
