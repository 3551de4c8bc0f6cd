"""The few rows that come first in each label, kept while all rows pass by.

Rows of the same text have the same score, and a file may hold a thousand of them: of equal values the first row stands
for all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KEPT = 5
"""Rows of each label."""

ROW = np.dtype(
    [
        ("label", "<u2"),
        ("value", "<f8"),  # what they are ordered by, ascending
        ("row", "<i8"),
        ("score", "<f8"),
        ("second", "<u2"),
        ("second_score", "<f8"),
    ]
)
"""One row: its best label, and the one after it."""

Rows = NDArray[np.void]


class Leaders:
    """The `KEPT` rows of lowest value of each of k labels.

    Attributes:
        rows: of all labels, by label and value.
    """

    def __init__(self, n_labels: int, rows: Rows | None = None) -> None:
        self.rows: Rows = np.empty(0, dtype=ROW) if rows is None else rows
        self._n_labels = n_labels
        self._worst = self._find_worst()

    def candidates(self, labels: NDArray[np.integer], values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Which of some rows may belong to the first: indices."""
        return np.flatnonzero(values < self._worst[labels])

    def add(self, rows: Rows) -> None:
        """Takes rows in, those of higher numbers later, and lets those go that no longer are among the first."""
        if not len(rows):
            return
        every = np.concatenate([self.rows, rows])
        every = every[np.lexsort((every["row"], every["value"], every["label"]))]
        again = (every["label"][1:] == every["label"][:-1]) & (every["value"][1:] == every["value"][:-1])
        every = every[np.append(True, ~again)]
        begins = np.searchsorted(every["label"], np.arange(self._n_labels))
        place = np.arange(len(every)) - begins[every["label"]]
        self.rows = every[place < KEPT]
        self._worst = self._find_worst()

    def of(self, label: int) -> Rows:
        """The rows of one label, the first first."""
        return self.rows[self.rows["label"] == label]

    def _find_worst(self) -> NDArray[np.float64]:
        """The value that a row must be under, for each label."""
        worst = np.full(self._n_labels, np.inf)
        for label in range(self._n_labels):
            values = self.rows["value"][self.rows["label"] == label]
            if len(values) == KEPT:
                worst[label] = values[-1]
        return worst
