"""Fits what turns raw scores into honest probabilities, and the thresholds from which a label is said.

Both are fitted on dev, where a rare label has a handful of rows: `grief` has 13. Fitted freely they would describe
those rows. So a calibration is a maximum a posteriori estimate whose prior is what all labels of the taxonomy share,
and a threshold is chosen on a blend of two curves of F1: the one counted on gold labels, and the one that the
calibrated probabilities expect, which needs no labels and so does not wobble (Lipton et al. 2014 on F1 and thresholds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from core.taxonomy import Calibration, Taxonomy, logit, plain, sigmoid
from training.data import gather

Floats = NDArray[np.float64]

SLOPE_SD = 0.2  # how far a label's log slope may stand from the shared one, one standard deviation
OFFSET_SD = 0.3  # the same of its offset, in logits
PRIOR_ROWS = 300.0  # a label with this many gold rows trusts its own F1 curve as much as the expected one
PLATEAU = 0.02  # thresholds whose F1 is within this share of the best are not told apart


def fit_platt(
    raw: Floats, gold: NDArray[np.int8], centre: tuple[float, float] = (0.0, 0.0), sd: tuple[float, float] = (1.0, 1.0)
) -> tuple[float, float]:
    """The log slope and offset of sigmoid(exp(s) · logit(raw) + b), by maximum a posteriori.

    Args:
        raw: scores between 0 and 1, any shape.
        gold: 0 or 1, the same shape.
        centre, sd: mean and standard deviation of the normal prior on (log slope, offset).
    """
    x, y = logit(raw).ravel(), np.asarray(gold, dtype=np.float64).ravel()

    def loss(theta: Floats) -> tuple[float, Floats]:
        slope = np.exp(theta[0])
        z = slope * x + theta[1]
        gap = sigmoid(z) - y
        away = (theta - centre) / np.asarray(sd)
        value = np.sum(np.logaddexp(0.0, z) - y * z) + 0.5 * np.sum(away**2)
        return float(value), np.array([np.sum(gap * x) * slope, np.sum(gap)]) + away / np.asarray(sd)

    result = minimize(loss, np.asarray(centre, dtype=np.float64), jac=True, method="L-BFGS-B")
    return float(result.x[0]), float(result.x[1])


def f1_curves(score: Floats, gold: NDArray[np.int8]) -> tuple[Floats, Floats, Floats]:
    """F1 of one label at every threshold that its scores (n,) allow.

    Returns:
        The sorted thresholds (m,), descending; F1 against gold (m,); F1 as the scores themselves expect it (m,).
    """
    order = np.argsort(-score, kind="stable")
    ranked, truth = score[order], gold[order].astype(np.float64)
    said = np.arange(1, len(ranked) + 1, dtype=np.float64)
    counted = 2 * np.cumsum(truth) / (said + truth.sum())
    expected = 2 * np.cumsum(ranked) / (said + ranked.sum())
    last = np.append(ranked[1:] < ranked[:-1], True)  # equal scores are said together
    return ranked[last], counted[last], expected[last]


def fit_threshold(score: Floats, gold: NDArray[np.int8], prior_rows: float = PRIOR_ROWS) -> float:
    """The calibrated score from which a label is best said, by blended F1.

    The gold curve weighs n / (n + prior_rows) for n gold rows. The answer is the middle, in logits, of the plateau of
    thresholds that are as good as the best: the argmax of such a curve is chance. Of the values tried for both
    constants (0 to infinity, 0 to 2 %), all around these cross-fit alike; the plain argmax is 0.005 to 0.01 worse.
    """
    thresholds, counted, expected = f1_curves(score, gold)
    weight = gold.sum() / (gold.sum() + prior_rows)
    blend = weight * counted + (1 - weight) * expected
    near = thresholds[blend >= (1 - PLATEAU) * blend.max()]
    middle = float(sigmoid(logit(near[[0, -1]]).mean()))
    return min(max(middle, 0.005), 0.95)


def fit_taxonomy(
    name: str, groups: Mapping[str, Sequence[int]], logits: NDArray[np.float16], gold: NDArray[np.int8]
) -> Taxonomy:
    """A taxonomy with calibration and thresholds fitted on labelled rows.

    Args:
        name: its name.
        groups: label -> indices of members, in output order.
        logits: (n, 28) as they would be stored.
        gold: (n, 28) 0 or 1.
    """
    bare = plain(name, {label: list(group) for label, group in groups.items()})
    raw, truth = bare.raw(logits), gather(gold, bare.members)
    shared = fit_platt(raw, truth)
    fitted = [fit_platt(raw[:, j], truth[:, j], shared, (SLOPE_SD, OFFSET_SD)) for j in range(len(bare.labels))]
    calibration = tuple(Calibration(round(float(np.exp(s)), 6), round(b, 6)) for s, b in fitted)
    calibrated = Taxonomy(bare.name, bare.labels, bare.members, calibration, bare.thresholds)
    scores = calibrated.scores(logits)
    thresholds = tuple(round(fit_threshold(scores[:, j], truth[:, j]), 6) for j in range(len(bare.labels)))
    return Taxonomy(bare.name, bare.labels, bare.members, calibration, thresholds)


def fit_all(
    groups: Mapping[str, Mapping[str, Sequence[int]]], logits: NDArray[np.float16], gold: NDArray[np.int8]
) -> dict[str, Taxonomy]:
    """Every taxonomy of `groups`, fitted: see `fit_taxonomy`."""
    return {name: fit_taxonomy(name, members, logits, gold) for name, members in groups.items()}
