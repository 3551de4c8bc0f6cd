"""Two jobs of one upload side by side: how often they agree, and every row whose label they do not agree on.

Rows are matched by their number: chunks may be cut differently, since settings change between two jobs. Labels are
compared as columns (`core.results.columns`), a million rows in some milliseconds; only rows that are shown are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.results.service import JobResults
from core.table import TableWriter
from core.table.output import unclashed

COLUMNS = ("label_before", "score_before", "label_after", "score_after")

BLOCK = 256
"""Rows of the CSV read and written at once."""


@dataclass(frozen=True)
class Change:
    """A row whose label differs: its data row and file line, its text and cells, and what each job says."""

    row: int
    line: int
    text: str
    cells: list[str]
    before: str
    before_score: float
    after: str
    after_score: float


@dataclass(frozen=True)
class Agreement:
    """How two jobs agree on the rows that both have labelled.

    Attributes:
        rows: how many these are.
        changed: of these, how many have another label.
        pairs: label before and label after → rows, where they differ.
    """

    rows: int
    changed: int
    pairs: Counter[tuple[str, str]]

    @property
    def same(self) -> int:
        """Rows with the same label."""
        return self.rows - self.changed

    @property
    def share(self) -> float | None:
        """Of the rows, those with the same label; None where there is no row."""
        return self.same / self.rows if self.rows else None


class Comparison:
    """Two jobs opened with the same options.

    Raises:
        BadOption: they are not made from the same upload, or do not label the same column of it.
    """

    def __init__(self, before: JobResults, after: JobResults) -> None:
        if before.upload_id != after.upload_id or before.text_column != after.text_column:
            raise BadOption(
                "The two jobs are not made from the same column of the same upload.",
                next_step="Label a job's file again with another model, and compare these two.",
            )
        self.before, self.after = before, after
        self._table = before.table

    @cached_property
    def _said(self) -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.str_], NDArray[np.float64]]:
        """(rows,) labels and scores of both jobs, for the rows that both have cut."""
        (old, old_score), (new, new_score) = self._table.tops(), self.after.table.tops()
        n = min(len(old), len(new))
        return old[:n], old_score[:n], new[:n], new_score[:n]

    @cached_property
    def _changed(self) -> NDArray[np.int64]:
        """The data rows whose label differs, ascending."""
        old, _, new, _ = self._said
        return np.flatnonzero((old != "") & (new != "") & (old != new)) + 1

    def agreement(self) -> Agreement:
        """Counts over all rows."""
        old, _, new, _ = self._said
        at = self._changed - 1
        pairs = Counter(zip(old[at].tolist(), new[at].tolist(), strict=True))
        return Agreement(int(np.count_nonzero((old != "") & (new != ""))), len(at), pairs)

    def changes(self, after_row: int = 0, limit: int = 50) -> list[Change]:
        """Rows whose label differs, in order, from the one after `after_row`, at most `limit`."""
        old, old_score, new, new_score = self._said
        wanted = self._changed[self._changed > after_row][:limit]
        return [
            Change(
                row=row["row"],
                line=row["line"],
                text=row["text"],
                cells=_cells(row),
                before=str(old[number - 1]),
                before_score=float(old_score[number - 1]),
                after=str(new[number - 1]),
                after_score=float(new_score[number - 1]),
            )
            for number, row in zip(wanted.tolist(), self._table.reader.read(wanted), strict=True)
        ]

    def csv(self) -> Iterator[bytes]:
        """The changed rows as a CSV in blocks: the row's number, its own cells, and both labels with their scores."""
        header = self.before.format.header
        added = unclashed(("row", *COLUMNS), header)
        writer = TableWriter(self.before.format)
        rows: list[list[str]] = [[added[0], *header, *added[1:]]]
        after = 0
        while found := self.changes(after, BLOCK):
            for change in found:
                cells = [*change.cells[: len(header)], *[""] * (len(header) - len(change.cells))]
                said = [change.before, f"{change.before_score:.4f}", change.after, f"{change.after_score:.4f}"]
                rows.append([str(change.row), *cells, *said])
            yield writer.write(rows)
            rows, after = [], found[-1].row
        if rows:
            yield writer.write(rows)


def _cells(row: dict[str, Any]) -> list[str]:
    return [*row["cells"].values(), *row.get("overflow", ())]
