"""Fits what turns raw scores into honest probabilities, and the thresholds from which a label is said.

Both are fitted on dev, where a rare label has a handful of rows: `grief` has 13. Fitted freely they would describe
those rows. So a calibration is a maximum a posteriori estimate whose prior is what all labels of the taxonomy share,
and a threshold is chosen on a blend of two curves of F1: the one counted on gold labels, and the one that the
calibrated probabilities expect, which needs no labels and so does not wobble (Lipton et al. 2014 on F1 and thresholds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from core.taxonomy import Calibration, Taxonomy, logit, plain, sigmoid
from training.data import NEUTRAL, gather

Floats = NDArray[np.float64]

SLOPE_SD = 0.2  # how far a label's log slope may stand from the shared one, one standard deviation
OFFSET_SD = 0.3  # the same of its offset, in logits
PRIOR_ROWS = 300.0  # a label with this many gold rows trusts its own F1 curve as much as the expected one
MOST_GIVEN, STEP = 2.0, 0.05  # how far neutral may be lowered, in logits, and in what steps that is tried
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


@dataclass(frozen=True)
class Method:
    """How calibration and thresholds are fitted; recorded in training.json, so that a cross-fit repeats it.

    `platt` is `shrunk` (towards what all labels share), `free` (each label alone) or `none`. `thresholds` is `shrunk`
    (blended F1), `free` (the best F1 on gold) or `half` (0.5 for all). `neutral_give` is the accuracy, of the best of
    seven on rows with exactly one gold label, that neutral may cost by giving way: see `give_way`.
    """

    platt: str = "shrunk"
    thresholds: str = "shrunk"
    neutral_give: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("platt", ("shrunk", "free", "none")), ("thresholds", ("shrunk", "free", "half"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}.")


METHOD = Method()
_NO_PRIOR = (10.0, 10.0)  # standard deviations at which a prior says nothing


def fit_taxonomy(
    name: str,
    groups: Mapping[str, Sequence[int]],
    logits: NDArray[np.float16],
    gold: NDArray[np.int8],
    method: Method = METHOD,
) -> Taxonomy:
    """A taxonomy with calibration and thresholds fitted on labelled rows.

    Args:
        name: its name.
        groups: label -> indices of members, in output order.
        logits: (n, 28) as they would be stored.
        gold: (n, 28) 0 or 1.
        method: how.
    """
    bare = plain(name, {label: list(group) for label, group in groups.items()})
    raw, truth = bare.raw(logits), gather(gold, bare.members)
    columns = range(len(bare.labels))
    calibration = bare.calibration
    if method.platt != "none":
        shared = fit_platt(raw, truth)
        spread = (SLOPE_SD, OFFSET_SD) if method.platt == "shrunk" else _NO_PRIOR
        fitted = [fit_platt(raw[:, j], truth[:, j], shared, spread) for j in columns]
        calibration = tuple(Calibration(round(float(np.exp(s)), 6), round(b, 6)) for s, b in fitted)
    taxonomy = replace(bare, calibration=calibration)
    if method.thresholds != "half":
        scores = taxonomy.scores(logits)
        prior = PRIOR_ROWS if method.thresholds == "shrunk" else 0.0
        thresholds = tuple(round(fit_threshold(scores[:, j], truth[:, j], prior), 6) for j in columns)
        taxonomy = replace(taxonomy, thresholds=thresholds)
    return give_way(taxonomy, logits, truth, method.neutral_give) if method.neutral_give else taxonomy


def shifted(taxonomy: Taxonomy, label: str, by: float) -> Taxonomy:
    """The taxonomy with one label's calibrated logit moved by `by`, and its threshold with it: no list changes."""
    at = taxonomy.labels.index(label)
    old, threshold = taxonomy.calibration[at], float(sigmoid(logit(np.array(taxonomy.thresholds[at])) + by))
    calibration, thresholds = list(taxonomy.calibration), list(taxonomy.thresholds)
    calibration[at], thresholds[at] = (
        Calibration(old.slope, round(old.offset + by, 6)),
        round(min(max(threshold, 1e-6), 1 - 1e-6), 6),
    )
    return replace(taxonomy, calibration=tuple(calibration), thresholds=tuple(thresholds))


def give_way(taxonomy: Taxonomy, logits: NDArray[np.float16], truth: NDArray[np.int8], give: float) -> Taxonomy:
    """The taxonomy whose neutral score is lowered as far as costs no more than `give` of accuracy.

    Out of domain all scores fall, and what is left is neutral: it is the label of most rows, and what is said of a text
    that is not understood. On the domain it was fitted on, lowering it costs little for long, since as many rows turn
    right as wrong. So it is lowered to the edge of that plateau. The lists stay: neutral's threshold moves along.

    Args:
        truth: (n, k) gold of the taxonomy's labels; accuracy is the best label's on rows with exactly one.
        give: what may be lost of the best accuracy that any shift has.
    """
    single = truth.sum(axis=1) == 1
    if NEUTRAL not in taxonomy.labels or not single.any():
        return taxonomy
    at = taxonomy.labels.index(NEUTRAL)
    z, answer = logit(taxonomy.scores(logits[single])), truth[single].argmax(axis=1)
    rival = np.delete(z, at, axis=1)
    best, right = rival.max(axis=1), np.delete(np.arange(z.shape[1]), at)[rival.argmax(axis=1)] == answer
    shifts = -np.arange(0.0, MOST_GIVEN + STEP / 2, STEP)
    accuracy = np.array([np.where(z[:, at] + by >= best, answer == at, right).mean() for by in shifts])
    return shifted(taxonomy, NEUTRAL, float(shifts[np.flatnonzero(accuracy >= accuracy.max() - give)[-1]]))


def fit_all(
    groups: Mapping[str, Mapping[str, Sequence[int]]],
    logits: NDArray[np.float16],
    gold: NDArray[np.int8],
    method: Method = METHOD,
) -> dict[str, Taxonomy]:
    """Every taxonomy of `groups`, fitted: see `fit_taxonomy`."""
    return {name: fit_taxonomy(name, members, logits, gold, method) for name, members in groups.items()}
