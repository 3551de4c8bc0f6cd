"""Intervals for shares of a file that was sampled by strata. Pure: NumPy and nothing else.

A share in one stratum has Wilson's score interval with a correction for continuity (Newcombe 1998, method 4): it keeps
its promise with ten rows and with none of them counted, where "estimate ± 1.96 standard errors" says plus or minus
nothing. A weighted sum of such shares takes from each stratum the distance to its own limits and adds their squares
(Zou, Huang & Zhang 2009). A ratio of two sums has the ratios that such a sum does not tell from zero (Fieller 1954;
Donner & Zou 2012). docs/statistics.md has the references, and how often these intervals hold the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.intervals import Z95, limit

Floats = NDArray[np.float64]

_STEPS = 65
"""Ratios that are tried at once; between the last that is possible and the first that is not, as many again."""


@dataclass(frozen=True)
class Estimate:
    """A share of something, from 0 to 1, with its 95 % interval. `value` is None where nothing was seen of it."""

    value: float | None
    low: float
    high: float

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Estimate:
        """From floats; NaN is None."""
        return cls(None if np.isnan(value) else float(value), float(low), float(high))


UNKNOWN = Estimate(None, 0.0, 1.0)


def of_stratum(counted: NDArray[Any], asked: NDArray[Any], rows: NDArray[Any], z: float = Z95) -> tuple[Floats, Floats]:
    """Wilson's limits of the share of a stratum's rows, from a simple random sample of them without replacement.

    They are corrected for continuity and, since a file has an end, for the part of it that was seen.

    Args:
        counted: rows of the sample that count, of any shape.
        asked: rows of the sample, of a shape that fits; 0 gives the limits 0 and 1.
        rows: rows of the stratum, at least `asked`; where all of them were asked, nothing is left to be unsure of.
        z: the deviate.

    Returns:
        (low, high), each within [0, 1] and around ``counted / asked``.
    """
    counted, asked, rows = np.broadcast_arrays(
        np.asarray(counted, np.float64), np.asarray(asked, np.float64), np.asarray(rows, np.float64)
    )
    some, left = asked > 0, rows - asked
    with np.errstate(divide="ignore", invalid="ignore"):
        # A sample of a small stratum says as much as a larger one of an endless file (finite population correction).
        square = np.where(left > 0, z * z * left / (asked * (rows - 1)), 0.0)
        p = np.where(some, counted / asked, 0.5)
        step = np.where(some & (left > 0), 0.5 / asked, 0.0)
    with np.errstate(invalid="ignore"):
        low, high = limit(np.maximum(p - step, 0.0), square, -1), limit(np.minimum(p + step, 1.0), square, 1)
    low = np.where(some & (p > 0), np.clip(low, 0.0, p), 0.0)
    high = np.where(some & (p < 1), np.clip(high, p, 1.0), 1.0)
    return low, high


def shares(counted: Floats, asked: Floats, weights: Floats) -> Floats:
    """The share in each stratum; one that nobody was asked about is taken to be as the others are together.

    Args:
        counted: (..., h) rows that count.
        asked: (h,) rows of the sample.
        weights: (h,) shares of the strata in the file.
    """
    seen = asked > 0
    p = counted / np.where(seen, asked, 1.0)
    total = float((weights * seen).sum())
    usual = (p * weights * seen).sum(axis=-1, keepdims=True) / total if total > 0 else np.full_like(p[..., :1], 0.5)
    return np.where(seen, p, usual)


def total(counted: Floats, asked: Floats, rows: Floats, z: float = Z95) -> tuple[Floats, Floats, Floats]:
    """The share of the whole file that counts: the stratified estimate Σ W·p (Cochran 1977, 5.3) and its limits.

    Args:
        counted: (..., h) rows of each stratum's sample that count.
        asked: (h,) rows of the samples. A stratum with none is unknown: it may be anything from 0 to 1.
        rows: (h,) rows of the strata, together at least one.

    Returns:
        (value, low, high), each (...).
    """
    weights = rows / rows.sum()
    p = shares(counted, asked, weights)
    low, high = of_stratum(counted, asked, rows, z)
    value = (weights * p).sum(axis=-1)
    below = np.sqrt(((weights * (p - low)) ** 2).sum(axis=-1))
    above = np.sqrt(((weights * (high - p)) ** 2).sum(axis=-1))
    return value, np.clip(value - below, 0.0, 1.0), np.clip(value + above, 0.0, 1.0)


def ratio(
    inside: Floats,
    outside: Floats,
    may_be_inside: NDArray[np.bool_],
    may_be_outside: NDArray[np.bool_],
    asked: Floats,
    rows: Floats,
    z: float = Z95,
) -> tuple[float, float, float]:
    """Of all rows that are inside or outside, the share that is inside: Σ W·a / (Σ W·a + Σ W·b), with its limits.

    Recall asks it of the rows that a label is true of: inside are those that were said to have it, outside the others.

    Args:
        inside, outside: (h,) rows of each stratum's sample that are one or the other; the rest are neither.
        may_be_inside, may_be_outside: (h,) false where the stratum can hold none, so that having seen none is no news.
        asked, rows: (h,) as in `total`.

    Returns:
        (value, low, high); the value is NaN where neither was seen. Limits are right to a part in four thousand.
    """
    weights = rows / rows.sum()
    a = np.where(may_be_inside, shares(inside, asked, weights), 0.0)
    b = np.where(may_be_outside, shares(outside, asked, weights), 0.0)
    low_a, high_a = (np.where(may_be_inside, bound, 0.0) for bound in of_stratum(inside, asked, rows, z))
    low_b, high_b = (np.where(may_be_outside, bound, 0.0) for bound in of_stratum(outside, asked, rows, z))
    # Two shares of one sample: more of one leaves less for the other.
    with np.errstate(divide="ignore", invalid="ignore"):
        together = -np.sqrt(a * b / ((1 - a) * (1 - b)))
    together = np.where(np.isfinite(together), np.maximum(together, -1.0), -1.0)
    together = np.where(may_be_inside & may_be_outside, together, 0.0)

    top, bottom = (weights * a).sum(), (weights * b).sum()
    value = top / (top + bottom) if top + bottom > 0 else np.nan

    def possible(r: Floats) -> NDArray[np.bool_]:
        # θ(r) = (1 - r)·Σ W·a - r·Σ W·b is zero at the true ratio: those are possible where θ may still be zero.
        theta, r = (1 - r) * top - r * bottom, r[:, None]
        below = _distance((1 - r) * (a - low_a), r * (high_b - b), together, weights)
        above = _distance((1 - r) * (high_a - a), r * (b - low_b), together, weights)
        return (theta - below <= 0) & (theta + above >= 0)

    tried = np.linspace(0.0, 1.0, _STEPS)
    if not np.isnan(value):
        tried = np.sort(np.append(tried, value))
    found = np.flatnonzero(possible(tried))
    if not len(found):  # rounding: nothing is left to be unsure of
        return value, value, value
    first, last = int(found[0]), int(found[-1])
    low, high = tried[first], tried[last]
    if first > 0:
        finer = np.linspace(tried[first - 1], low, _STEPS)
        low = finer[possible(finer)].min(initial=low)
    if last < len(tried) - 1:
        finer = np.linspace(high, tried[last + 1], _STEPS)
        high = finer[possible(finer)].max(initial=high)
    if np.isnan(value):
        return value, float(low), float(high)
    return value, float(min(low, value)), float(max(high, value))


def _distance(first: Floats, second: Floats, together: Floats, weights: Floats) -> Floats:
    squares = first**2 + second**2 - 2 * together * first * second
    return np.sqrt((weights**2 * squares).sum(axis=-1))
