"""A table of a job's rows: found by what is said of them, put in order, paged by key, and each one shown whole.

Which rows stand on a page is settled in arrays (`core.results.columns`); then these few are read as a download reads
them, from the file and from the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.flags import READ_OFF
from core.results.columns import NO_RESULT, JobColumns, Statuses
from core.results.labels import UNITS, Labeller
from core.results.query import FLAGS, STATUSES, Cursor, RowQuery, Sort
from core.results.reader import RowReader
from core.results.search import Hits, Needle
from core.results.walk import JobSource
from core.states import RowStatus
from core.storage import Storage

MAX_PAGE = 1_000

SEARCH_S = 1.0
"""How long one page looks through texts before it answers with what it has and where to go on."""

_BEFORE_ALL = -(2**31)
"""A key under every row's."""


@dataclass(frozen=True)
class Searched:
    """How far a search has looked.

    Attributes:
        rows: whose text was looked at, or need not be: another filter leaves them out.
        of: rows there are.
        done: whether the page is as it will be: full, or everything on its side was looked through. Until then more
            rows may come; where they are sorted by score, before those that are there.
    """

    rows: int
    of: int
    done: bool


@dataclass(frozen=True)
class Page:
    """Some rows of a table.

    Attributes:
        rows: in the table's order.
        total: rows like that; with a search that has not looked through everything, those found so far.
        before: how many of them stand before the page.
        next, previous: where the table goes on, as the text of a `Cursor`; None: nowhere.
        searched: None without a search.
    """

    rows: list[dict[str, Any]]
    total: int
    before: int
    next: str | None
    previous: str | None
    searched: Searched | None = None


class RowTable:
    """The rows of one job, read with one choice of options.

    Args:
        reader: reads the few that stand on a page.
    """

    def __init__(
        self, storage: Storage, source: JobSource, labeller: Labeller, columns: JobColumns, reader: RowReader
    ) -> None:
        self.reader = reader
        self._storage = storage
        self._source = source
        self._labeller = labeller
        self._columns = columns

    @property
    def n_rows(self) -> int:
        """Rows that are cut so far."""
        return self._columns.places.n_rows

    @property
    def is_active(self) -> bool:
        """Whether rows without a result may still get one."""
        return self._source.missing is None

    def tops(self) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
        """(n_rows,) top labels, ``""`` where a row has none, and their scores as they are shown."""
        column, labels = self._columns.tops(self._labeller.taxonomy), self._labeller.taxonomy.labels
        known, n = column.label[: self.n_rows], len(labels)
        return np.array([*labels, ""])[np.minimum(known, n)], column.units[: self.n_rows] / UNITS

    # --- a page -----------------------------------------------------------------------------------------------

    def page(self, query: RowQuery, limit: int, cursor: str | None, after: int, search_s: float) -> Page:
        """At most `limit` rows from a place on; see `JobResults.page`."""
        self._check(query, limit)
        place = Cursor.decode(cursor, query) if cursor else Cursor.of(query, after or _BEFORE_ALL)
        if after and (cursor or query.sort is not Sort.ROW or not query.is_ascending):
            raise BadOption("after goes with the file's own order alone.", next_step="Go on with cursor instead.")
        units, mask = self._filtered(query)
        searched = stopped = None
        if query.search:
            mask, searched, stopped = self._search(query, query.search, mask, place, limit, search_s)
        rows = np.flatnonzero(mask) + 1
        keys = query.keys(rows, None if units is None else units[rows - 1])
        chosen, n_before, n_left = _cut(keys, place, limit)
        numbers = query.rows(chosen)
        found = self.reader.read(numbers)
        if query.listed and units is not None:
            for row, score in zip(found, units[numbers - 1].tolist(), strict=True):
                row["listed_score"] = score / UNITS
        first, last = (int(chosen[0]), int(chosen[-1])) if len(chosen) else (place.key + 1, place.key - 1)
        onward: Cursor | None
        back: Cursor | None
        if searched and not searched.done and query.sort is Sort.SCORE:
            # The order is not known before the end: whoever goes on asks for this page again.
            onward, back = place, None
        elif place.back:
            onward = Cursor.of(query, last)
            back = _back(query, first) if n_before else _back(query, stopped)
        else:
            # Where a search stopped before the page was full, its next page begins there.
            onward = Cursor.of(query, last) if n_left else None if stopped is None else Cursor.of(query, stopped)
            back = _back(query, first) if n_before else None
        return Page(
            rows=found,
            total=len(rows),
            before=n_before,
            next=onward.encode() if onward else None,
            previous=back.encode() if back else None,
            searched=searched,
        )

    def neighbours(self, query: RowQuery, row: int) -> tuple[int | None, int | None]:
        """The rows before and after a row in the table of `query`; of a search, among those found so far."""
        units, mask = self._filtered(query)
        if query.search:
            mask &= self._hits(query.search).hit[: len(mask)]
        rows = np.flatnonzero(mask) + 1
        keys = query.keys(rows, None if units is None else units[rows - 1])
        here = query.keys(np.array([row]), None if units is None else units[[row - 1]])[0]
        before, after = keys[keys < here], keys[keys > here]
        ends = (before.max() if len(before) else None, after.min() if len(after) else None)
        back, on = (None if key is None else int(query.rows(np.array([key]))[0]) for key in ends)
        return back, on

    def _check(self, query: RowQuery, limit: int) -> None:
        labels = self._labeller.taxonomy.labels
        if not 1 <= limit <= MAX_PAGE:
            raise BadOption(f"limit={limit} is out of range.", next_step=f"Use 1 to {MAX_PAGE}.")
        for name, label in (("label", query.label), ("listed", query.listed)):
            if label is not None and label not in labels:
                raise BadOption(f"{name}={label!r} is unknown.", next_step=f"Use one of: {', '.join(labels)}.")

    def _filtered(self, query: RowQuery) -> tuple[NDArray[np.uint16] | None, NDArray[np.bool_]]:
        """The scores that the table is about, if any is needed; and which rows pass every filter but the search."""
        n = self._columns.places.n_rows
        taxonomy = self._labeller.taxonomy
        statuses = self._columns.statuses()
        status = statuses.status[:n]
        mask = np.ones(n, dtype=np.bool_) if self._source.missing else status != NO_RESULT
        units = None
        if query.status:
            wanted = status == STATUSES[query.status]
            if query.status == "failed":
                wanted |= status == NO_RESULT  # of a job that is over, or the mask has left them out
            mask &= wanted
        if query.flag:
            mask &= (self._flags(query.flag, statuses)[:n] & FLAGS[query.flag]) != 0
        if query.is_scored_only:
            mask &= status == RowStatus.OK
        if query.label or (query.needs_scores and not query.listed):
            tops = self._columns.tops(taxonomy)
            units = tops.units[:n]
            if query.label:
                mask &= tops.label[:n] == taxonomy.labels.index(query.label)
        if query.listed:
            scores = self._columns.scores(taxonomy, query.listed)
            units = scores.units[:n]
            threshold = self._labeller.options.threshold
            if threshold is None:
                threshold = taxonomy.thresholds[taxonomy.labels.index(query.listed)]
            mask &= scores.score[:n] >= threshold
        if units is not None and (query.min_score is not None or query.max_score is not None):
            low, high = query.units()
            mask &= (units >= low) & (units <= high)
        return units, mask

    def _flags(self, flag: str, statuses: Statuses) -> NDArray[np.int32]:
        """(n,) bits among which a flag's is: those stored, or those that are read off the logits."""
        if not FLAGS[flag] & READ_OFF:
            return statuses.flags
        labeller = self._labeller
        return self._columns.doubts(labeller.taxonomy, labeller.trust, labeller.neutral).flags

    def _search(
        self, query: RowQuery, needle: Needle, mask: NDArray[np.bool_], place: Cursor, limit: int, budget_s: float
    ) -> tuple[NDArray[np.bool_], Searched, int | None]:
        """Looks on through the texts of rows in `mask`: those found so far, how far that was, the key of where it
        stopped (None: at the end).

        In the file's order only the side that the page is on is looked through, until the page is full; rows beyond the
        place where it stopped are not given, or the page would have a gap. By score every text is, since the last one
        may be the first; what has been found is given meanwhile.
        """
        places = self._columns.places
        hits = self._hits(needle)
        by_row = query.sort is Sort.ROW
        counts = places.counts(mask)
        wanted = np.flatnonzero(counts)
        # Towards larger keys unless the page goes back, and larger keys are later rows only in ascending order.
        downwards = by_row and query.is_ascending == place.back
        if downwards:
            wanted = wanted[::-1]
        if by_row:
            on_side = _on_side(query, place, places.first_row, places.rows)
            wanted = wanted[on_side[wanted]]
        frontier: int | None = None

        def look() -> bool:
            """Finds where unlooked chunks begin; whether the rows before that fill the page."""
            nonlocal frontier
            left = wanted[~hits.has[wanted]]
            frontier = None if not len(left) else _edge(query, places.first_row, places.rows, int(left[0]), downwards)
            if frontier is None:
                return True
            if not by_row:
                return False
            keys = query.keys(np.flatnonzero(mask & hits.hit[: len(mask)]) + 1, None)
            low, high = (frontier, place.key - 1) if place.back else (place.key + 1, frontier)
            return int(np.count_nonzero((keys >= low) & (keys <= high))) >= limit

        with hits.lock:
            left = wanted[~hits.has[wanted]].tolist()
            hits.scan(left, self._storage, self._source, places, budget_s=budget_s, enough=look)
            is_done = look()
        known = counts == 0
        known |= hits.has[: len(places)]
        searched = Searched(int(places.rows[known].sum()), places.n_rows, is_done)
        found = mask & hits.hit[: len(mask)]
        if not by_row:
            return found, searched, None
        if frontier is not None:
            # The chunk that the place itself is in may not have been looked through yet.
            frontier = min(frontier, place.key) if place.back else max(frontier, place.key)
            keys = query.keys(np.arange(1, len(mask) + 1), None)
            found &= (keys >= frontier) if place.back else (keys <= frontier)
        return found, searched, frontier

    def _hits(self, needle: Needle) -> Hits:
        return self._columns.of(("hits", needle.folded, needle.whole_word), lambda: Hits(needle))


def _cut(keys: NDArray[np.int64], place: Cursor, limit: int) -> tuple[NDArray[np.int64], int, int]:
    """The keys of a page in order, how many stand before it, and how many after."""
    if place.back:
        side = keys[keys < place.key]
        if len(side) > limit:
            side = np.partition(side, len(side) - limit)[-limit:]
    else:
        side = keys[keys > place.key]
        if len(side) > limit:
            side = np.partition(side, limit - 1)[:limit]
    chosen = np.sort(side)
    edge = int(chosen[0]) if len(chosen) else place.key + (not place.back)
    before = int(np.count_nonzero(keys < edge))
    return chosen, before, len(keys) - before - len(chosen)


def _back(query: RowQuery, key: int | None) -> Cursor | None:
    return None if key is None else Cursor.of(query, key, back=True)


def _on_side(
    query: RowQuery, place: Cursor, first_row: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which chunks have a row on the side of a place that its page is on, in a table in the file's order."""
    last_row = first_row + rows - 1
    nearest, farthest = (first_row, last_row) if query.is_ascending else (-last_row, -first_row)
    return nearest < place.key if place.back else farthest > place.key


def _edge(
    query: RowQuery, first_row: NDArray[np.int64], rows: NDArray[np.int64], chunk_no: int, downwards: bool
) -> int:
    """The key of the last row that comes before a chunk, on the way there."""
    row = int(first_row[chunk_no] + rows[chunk_no]) if downwards else int(first_row[chunk_no]) - 1
    return row if query.is_ascending else -row
