"""The figures by which a model is judged, and their 95 % intervals.

What a taxonomy says of labelled rows is worked out once (`Judged`); every figure is then a weighted count over those
rows. So a slice of the rows (short texts, rows that also stand in train) is a weight of 0 or 1, a bootstrap resample is
how often each row was drawn, and one function serves the figure, its slices and its interval.

The intervals are of the rows: how far the figure would move with other rows of the same kind. The model, and what was
fitted for it, are held still; another seed of training would move it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.taxonomy import Taxonomy
from training.data import NEUTRAL, gather

Floats = NDArray[np.float64]

FIGURES = (
    "macro_f1_28",
    "macro_f1_ekman7",
    "accuracy_ekman7_single",
    "accuracy_six",
    "macro_f1_six",
    "macro_f1_sentiment",
    "ece",
    "n",
)
ECE_BINS = 15
RESAMPLES = 1000
_LISTS = {"28": "goemotions", "ekman7": "ekman", "sentiment": "sentiment"}


@dataclass(frozen=True)
class Best:
    """The best label of the seven against gold, on n rows.

    Attributes:
        single: (n,) rows whose gold is exactly one of the seven; `right` (n,) and `score` (n,) of the best label.
        one: (n,) the single rows that are not neutral; `guess` and `answer`, (n,) indices among `emotions` of them.
    """

    single: NDArray[np.bool_]
    right: NDArray[np.bool_]
    score: Floats
    one: NDArray[np.bool_]
    guess: NDArray[np.int64]
    answer: NDArray[np.int64]
    emotions: int


@dataclass(frozen=True)
class Judged:
    """What taxonomies say of n rows, beside what is so.

    Attributes:
        lists: by taxonomy, (n, k) bool of the labels said and of the gold ones.
        best: the best of the seven; None without an ekman taxonomy.
    """

    n: int
    lists: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]
    best: Best | None = None


def judge(taxonomies: Mapping[str, Taxonomy], logits: NDArray[np.float16], gold: NDArray[np.int8]) -> Judged:
    """Judges (n, labels) logits against (n, labels) gold."""
    lists = {}
    for key, name in _LISTS.items():
        if taxonomy := taxonomies.get(name):
            said = taxonomy.selected(taxonomy.scores(logits))
            lists[key] = (said, gather(gold, taxonomy.members).astype(bool))
    ekman = taxonomies.get("ekman")
    if ekman is None:
        return Judged(len(gold), lists)
    truth, scores = gather(gold, ekman.members), ekman.scores(logits)
    single = truth.sum(axis=1) == 1
    top, score = ekman.top(scores)
    emotions = [j for j, label in enumerate(ekman.labels) if label != NEUTRAL]
    best = Best(
        single=single,
        right=top == truth.argmax(axis=1),
        score=score,
        one=single & truth[:, emotions].any(axis=1),
        guess=scores[:, emotions].argmax(axis=1),
        answer=truth[:, emotions].argmax(axis=1),
        emotions=len(emotions),
    )
    return Judged(len(gold), lists, best)


def f1_by_label(said: NDArray[np.bool_], truth: NDArray[np.bool_], weights: Floats) -> Floats:
    """F1 of each label, (b, k), for b weightings (b, n) of rows (n, k); 0 where a label is neither said nor so."""
    both, sum_said, sum_truth = (weights @ m.astype(np.float64) for m in (said & truth, said, truth))
    return 2 * both / np.maximum(sum_said + sum_truth, 1e-12)


def weighted_figures(judged: Judged, weights: Floats) -> dict[str, Floats]:
    """All of FIGURES but n, each (b,), for b weightings (b, n) of the rows; NaN for a figure of no rows at all.

    Macro-F1 of 28, of seven and of sentiment is of the thresholded lists. The single-label figures look only at rows
    whose gold is exactly one of the seven; `six` bars neutral and leaves out the neutral rows.
    """
    out = {key: np.full(len(weights), np.nan) for key in FIGURES[:-1]}
    for key, (said, truth) in judged.lists.items():
        out[f"macro_f1_{key}"] = f1_by_label(said, truth, weights).mean(axis=1)
    best = judged.best
    if best is None:
        return out
    out["accuracy_ekman7_single"] = _share(best.right, weights * best.single)
    out["accuracy_six"] = _share(best.guess == best.answer, weights * best.one)
    each = np.arange(best.emotions)
    six = f1_by_label(best.guess[:, None] == each, best.answer[:, None] == each, weights * best.one)
    out["macro_f1_six"] = np.where((weights * best.one).sum(axis=1) > 0, six.mean(axis=1), np.nan)
    rows = np.flatnonzero(best.single)
    score, right = best.score[rows], best.right[rows]
    order = np.argsort(score, kind="stable")
    for b, weight in enumerate(weights[:, rows].astype(np.int64)):
        drawn = np.repeat(order, weight[order])  # rising in score, however often each row was drawn
        out["ece"][b] = _binned_gap(score[drawn], right[drawn]) if len(drawn) else np.nan
    return out


def _share(right: NDArray[np.bool_], weights: Floats) -> Floats:
    total = weights.sum(axis=1)
    return np.where(total > 0, weights @ right.astype(np.float64) / np.maximum(total, 1e-12), np.nan)


def expected_calibration_error(score: Floats, right: NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    """The mean gap between score and accuracy over bins of equal count, weighed by count (Naeini et al. 2015).

    `score` (n,) is the top label's score, `right` (n,) whether that label is the gold one.
    """
    order = np.argsort(score, kind="stable")
    return _binned_gap(score[order], right[order], bins)


def _binned_gap(score: Floats, right: NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    # Cumulative sums instead of a loop over bins: a bootstrap asks this ten thousand times.
    edges = np.cumsum([0] + [len(part) for part in np.array_split(np.empty(len(score)), bins)])
    gap = np.concatenate([[0.0], np.cumsum(score - right)])[edges]
    return float(np.abs(np.diff(gap)).sum() / len(score))


def ece_of_chance(score: Floats, seed: int = 0, draws: int = 200) -> float:
    """The calibration error that scores (n,) would show were they exactly true: what a finite sample alone makes."""
    random = np.random.default_rng(seed)
    order = np.sort(score)
    return float(np.mean([_binned_gap(order, random.random(len(order)) < order) for _ in range(draws)]))


def figures(taxonomies: Mapping[str, Taxonomy], logits: NDArray[np.float16], gold: NDArray[np.int8]) -> dict[str, Any]:
    """All of FIGURES for (n, labels) logits and gold; None for a figure on no rows at all."""
    found = weighted_figures(judge(taxonomies, logits, gold), np.ones((1, len(gold))))
    return {key: none_if_nan(value[0]) for key, value in found.items()} | {"n": len(gold)}


def none_if_nan(value: float) -> float | None:
    """The value as JSON can hold it."""
    return None if np.isnan(value) else float(value)


def resamples(n: int, count: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each of n rows is drawn, with replacement, in `count` bootstrap resamples: (count, n)."""
    random = np.random.default_rng(seed)
    return np.stack([np.bincount(random.integers(0, n, n), minlength=n) for _ in range(count)]).astype(np.float64)


def interval(value: float, drawn: Floats, share: float = 0.95) -> tuple[float, float] | None:
    """The basic bootstrap interval of a figure between 0 and 1 (Davison & Hinkley 1997, 5.2); None without draws.

    It is the percentiles' distance turned around the value, so it also takes back the bias of a figure that resampling
    inflates, as it does a calibration error.
    """
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn) or np.isnan(value):
        return None
    low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2])
    return max(0.0, float(2 * value - high)), min(1.0, float(2 * value - low))


def with_intervals(figures_at: Any, n: int, keys: Sequence[str], mask: NDArray[np.bool_] | None = None) -> dict:
    """Figures and intervals on n rows or the part of them in `mask` (n,): key -> [value, low, high], and `n`.

    `figures_at` maps weights (b, n) to a dict of (b,) arrays.
    """
    part = np.ones(n) if mask is None else mask.astype(np.float64)
    value = figures_at(part[None, :])
    drawn = figures_at(resamples(n) * part)
    out: dict[str, Any] = {"n": int(part.sum())}
    for key in keys:
        found = interval(float(value[key][0]), drawn[key])
        out[key] = None if found is None else [round(float(value[key][0]), 4), *(round(edge, 4) for edge in found)]
    return out
