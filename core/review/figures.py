"""What the answers about a sample say of the whole file: how often a label is right, how much is missed, how much there
really is. Pure: arrays in, estimates out.

The sample is stratified by what was said of a row, and how many rows each label was said of is known exactly. So the
share of rows that a label is true of is Σ W·p, with W the share of rows that were said to be h, and p the share among
the answers there that name the label: what was said, corrected for its known errors (Cochran 1977; Olofsson et al. 2014
do the same with maps). docs/statistics.md tells it at length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.review.intervals import UNKNOWN, Estimate, Floats, of_stratum, ratio, total
from core.taxonomy import Taxonomy

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""At which the trade of the slider is told."""


@dataclass(frozen=True)
class Answers:
    """A stratified sample with what a person said of it.

    Attributes:
        rows: (h,) rows of the file in each stratum.
        said: (h,) index of the label that was said of the rows of a stratum: their best one.
        stratum: (n,) of each answered row.
        truth: (n, k) bool: the labels that the person gave it; none, one or several.
    """

    rows: NDArray[np.int64]
    said: NDArray[np.int64]
    stratum: NDArray[np.int64]
    truth: NDArray[np.bool_]

    @property
    def asked(self) -> Floats:
        """(h,) answers in each stratum."""
        return np.bincount(self.stratum, minlength=len(self.rows)).astype(np.float64)

    @property
    def counted(self) -> Floats:
        """(k, h) answers in each stratum that name each label."""
        named = np.zeros((self.truth.shape[1], len(self.rows)))
        np.add.at(named.T, self.stratum, self.truth.astype(np.float64))
        return named

    @property
    def weights(self) -> Floats:
        """(n,) rows of the file that each answer stands for."""
        return self.rows[self.stratum] / self.asked[self.stratum]


@dataclass(frozen=True)
class LabelFigures:
    """One label: `said` rows of the file got it as their best one (exact), `asked` of them were answered."""

    label: str
    said: int
    said_share: float
    asked: int
    named: int
    """Answers that name it, whatever was said."""
    precision: Estimate
    """Of the rows it was said of, the share that it is true of."""
    recall: Estimate
    """Of the rows it is true of, the share that it was said of."""
    prevalence: Estimate
    """The share of all rows that it is true of."""


@dataclass(frozen=True)
class Figures:
    """What the answers say of the file."""

    rows: int
    asked: int
    accuracy: Estimate
    """The share of rows whose best label is among those that are true of them."""
    labels: tuple[LabelFigures, ...]
    matrix: tuple[tuple[int, ...], ...]
    """(k, k) answers: said × true; a row with several true labels counts once for each."""


def figures(labels: Sequence[str], answers: Answers) -> Figures:
    """All figures of a sample, for the labels of its taxonomy, in order."""
    rows, asked, counted = answers.rows.astype(np.float64), answers.asked, answers.counted
    everything = float(rows.sum())
    if not everything:
        blank = tuple(LabelFigures(label, 0, 0.0, 0, 0, UNKNOWN, UNKNOWN, UNKNOWN) for label in labels)
        return Figures(0, 0, UNKNOWN, blank, tuple((0,) * len(labels) for _ in labels))
    right = counted[answers.said, np.arange(len(rows))]
    accuracy = Estimate.of(*(float(x) for x in total(right, asked, rows))) if asked.any() else UNKNOWN
    value, low, high = total(counted, asked, rows)
    found = []
    for at, label in enumerate(labels):
        mine = answers.said == at
        hit, missed = np.where(mine, counted[at], 0.0), np.where(mine, 0.0, counted[at])
        wrong = np.where(mine, asked - counted[at], 0.0)
        found.append(
            LabelFigures(
                label=label,
                said=int(rows[mine].sum()),
                said_share=float(rows[mine].sum()) / everything,
                asked=int(asked[mine].sum()),
                named=int(counted[at].sum()),
                precision=Estimate.of(*ratio(hit, wrong, mine, mine, asked, rows)) if asked[mine].any() else UNKNOWN,
                recall=Estimate.of(*ratio(hit, missed, mine, ~mine, asked, rows)) if asked.any() else UNKNOWN,
                prevalence=Estimate.of(value[at], low[at], high[at]) if asked.any() else UNKNOWN,
            )
        )
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(matrix, answers.said, counted.T.astype(np.int64))
    return Figures(int(everything), len(answers.stratum), accuracy, tuple(found), tuple(map(tuple, matrix.tolist())))


@dataclass(frozen=True)
class Trade:
    """What a threshold gives and costs: of the labels that are listed for a row, every one at or over it."""

    threshold: float | None
    """None: the fitted threshold of each label."""
    precision: Estimate
    """Of the labels listed, the share that is true."""
    recall: Estimate
    """Of the labels that are true, the share that is listed."""
    listed: float
    """Labels listed for a row, on average."""
    bare: float
    """The share of rows for which none is listed."""


def trade(taxonomy: Taxonomy, answers: Answers, scores: Floats, threshold: float | None) -> Trade:
    """The trade at one threshold, from the (n, k) scores of the answered rows."""
    listed = taxonomy.selected(scores, threshold)
    hits = (listed & answers.truth).sum(axis=1).astype(np.float64)
    n_listed, n_true = listed.sum(axis=1).astype(np.float64), answers.truth.sum(axis=1).astype(np.float64)
    weights = answers.weights / answers.weights.sum()
    return Trade(
        threshold=threshold,
        precision=_share(hits, n_listed, answers),
        recall=_share(hits, n_true, answers),
        listed=float(weights @ n_listed),
        bare=float(weights @ (n_listed == 0)),
    )


def _share(part: Floats, whole: Floats, answers: Answers) -> Estimate:
    """Σ w·part / Σ w·whole over rows, with the limits that a simple random sample as telling as this one would have.

    How telling it is comes from the linearized variance of the ratio over the strata (Korn & Graubard 1998).
    """
    weights = answers.weights
    bottom = float(weights @ whole)
    if not bottom:
        return UNKNOWN
    p = float(weights @ part) / bottom
    off = (part - p * whole) / bottom
    variance = 0.0
    for stratum in np.unique(answers.stratum):
        mine = off[answers.stratum == stratum]
        n, rows = len(mine), float(answers.rows[stratum])
        if n > 1:
            variance += rows * (rows - n) * float(mine.var(ddof=1)) / n
    load = weights * whole
    telling = float(load.sum() ** 2 / (load**2).sum())  # as many items of equal weight (Kish 1965)
    if variance > 0:
        telling = min(p * (1 - p) / variance, float(whole.sum()))
    low, high = of_stratum(np.array(p * telling), np.array(telling), np.array(1e12))
    return Estimate(p, float(low), float(high))


def coarser(fine: Taxonomy, coarse: Taxonomy) -> tuple[int, ...] | None:
    """For each label of `fine` the label of `coarse` that it is a part of; -1: of none; None: they cut across.

    What was answered in `fine` then says what would have been answered in `coarse`.
    """
    home = {member: at for at, members in enumerate(coarse.members) for member in members}
    found = []
    for members in fine.members:
        homes = {home.get(member, -1) for member in members}
        if len(homes) > 1:
            return None
        found.append(homes.pop())
    return tuple(found)


def gathered(truth: NDArray[Any], homes: Sequence[int], labels: int) -> NDArray[np.bool_]:
    """(n, fine) answers as (n, `labels`) answers in a coarser taxonomy, by what `coarser` found."""
    out = np.zeros((len(truth), labels), np.bool_)
    for at, home in enumerate(homes):
        if home >= 0:
            out[:, home] |= truth[:, at].astype(np.bool_)
    return out
