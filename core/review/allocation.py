"""How many rows of each label are asked about, and which: a random choice that is the same whenever it is made again.

A row's place in the draw is a hash of the seed and its number, so a pass over the file needs to keep only the lowest
hashes of each label, chunks may come in any order, and a larger sample holds the smaller one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST = 5
"""Rows of a label that are asked about at least, if the sample has room for as many of every label."""

POWER = 0.5
"""Of a label's share, in the allocation. 1 is best for what is said of the whole file, 0 for what is said of each
label; the square root is the usual compromise (Bankier 1988)."""

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]


def allocate(rows: NDArray[Any], size: int) -> Ints:
    """Divides a sample among labels: a few of each, the rest by the square root of how frequent a label is.

    Args:
        rows: (h,) rows of each label.
        size: rows of the sample; more than there are gives all.

    Returns:
        (h,) rows to ask about, each at most `rows`, together `size` if there are as many.
    """
    rows = np.asarray(rows, np.int64)
    present = int((rows > 0).sum())
    if not present:
        return np.zeros(len(rows), np.int64)
    fewest = min(FEWEST, max(1, size // (2 * present)))
    taken = np.minimum(rows, fewest)
    while (spare := size - int(taken.sum())) > 0 and (open_ := taken < rows).any():
        appeal = np.where(open_, rows.astype(np.float64) ** POWER, 0.0)
        wanted = spare * appeal / appeal.sum()
        more = np.minimum(np.floor(wanted).astype(np.int64), rows - taken)
        if not more.any():  # fewer than one for each: to those who come closest to one more
            order = np.argsort(-np.where(open_, wanted, -1.0), kind="stable")[:spare]
            more[order[open_[order]]] = 1
        taken = taken + more
    return taken


def hashes(seed: int, rows: NDArray[Any]) -> Hashes:
    """A random number for each row number, the same for the same seed (SplitMix64's finalizer; Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = np.asarray(rows).astype(np.uint64) + np.uint64(seed % 2**64) * np.uint64(0xD1342543DE82EF95)
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


class Draw:
    """Keeps, of each label, the rows with the lowest hashes among all that it is shown, and counts them.

    Args:
        labels: how many labels there are.
        seed: of the hashes.
        most: rows of a label that may be wanted in the end.
    """

    def __init__(self, labels: int, seed: int, most: int) -> None:
        self.counts: Ints = np.zeros(labels, np.int64)
        self._seed = seed
        self._most = most
        self._kept: list[list[tuple[Hashes, Ints]]] = [[] for _ in range(labels)]
        self._highest = np.full(labels, np.iinfo(np.uint64).max, np.uint64)

    def show(self, rows: NDArray[Any], labels: NDArray[Any]) -> None:
        """Some rows with their labels: (n,) row numbers, (n,) indices of labels; -1: it has none."""
        rows, labels = np.asarray(rows, np.int64), np.asarray(labels, np.int64)
        has_one = labels >= 0
        rows, labels = rows[has_one], labels[has_one]
        self.counts += np.bincount(labels, minlength=len(self.counts))
        hashed = hashes(self._seed, rows)
        low = hashed < self._highest[labels]
        rows, labels, hashed = rows[low], labels[low], hashed[low]
        for label in np.unique(labels).tolist():
            mine = labels == label
            self._kept[label].append((hashed[mine], rows[mine]))
            if sum(len(part) for part, _ in self._kept[label]) > 4 * self._most:
                self._prune(label)

    def _prune(self, label: int) -> None:
        parts = self._kept[label]
        if not parts:
            return
        hashed, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(hashed, kind="stable")[: self._most]
        self._kept[label] = [(hashed[order], rows[order])]
        if len(order) == self._most:
            self._highest[label] = hashed[order[-1]]

    def chosen(self, size: int) -> tuple[Ints, Ints]:
        """The sample, in the order in which to ask.

        Rows of one label stand in random order, and the labels take turns in proportion, so that whoever stops early
        has asked about all of them.

        Returns:
            (rows, labels), both (n,).
        """
        wanted = np.minimum(allocate(self.counts, size), self._most)
        rows, labels, turns, ties = [], [], [], []
        for label, n in enumerate(wanted.tolist()):
            if not n:
                continue
            self._prune(label)
            hashed, found = self._kept[label][0]
            rows.append(found[:n])
            labels.append(np.full(n, label, np.int64))
            turns.append((np.arange(n) + (hashes(self._seed, np.array([-label - 1]))[0] / 2.0**64)) / n)
            ties.append(hashed[:n])
        if not rows:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        order = np.lexsort((np.concatenate(ties), np.concatenate(turns)))
        return np.concatenate(rows)[order], np.concatenate(labels)[order]
