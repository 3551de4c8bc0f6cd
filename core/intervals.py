"""Shares and how sure they are: the score interval of Wilson.

E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927). For a share p of n
rows, with z the normal quantile (1.96 for 95 %):

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

Unlike p ± 1.96 √(p(1 − p)/n) it covers as often as it says for small n and for shares near 0 and 1 (Brown, Cai and
DasGupta, "Interval Estimation for a Binomial Proportion", Statistical Science 16, 2001, who recommend it), never leaves
0 to 1, and needs no special case when nothing was counted.

A share of all rows is judged with it as it stands; a share of a sample by strata with corrections of what goes into it
(`core.review.intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])

Z95 = 1.959963984540054
"""The 97.5 % point of the normal distribution: two sides of a 95 % interval."""


@dataclass(frozen=True)
class Share:
    """A part of some rows, with the 95 % interval of its share.

    Attributes:
        count: rows of which something holds.
        of: rows looked at.
    """

    count: int
    of: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None of no rows."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, within 0 and 1; all of it where nothing was looked at."""
        return wilson(self.count, self.of)


def wilson(count: int, of: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a share of `count` in `of` rows: lower and upper end, within 0 and 1."""
    if not of:
        return 0.0, 1.0
    p, square = count / of, z * z / of
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if count == 0 else limit(p, square, -1)
    high = 1.0 if count == of else limit(p, square, 1)
    return low, high


def limit(p: Number, square: Number, side: int) -> Number:
    """One end of the interval: the share that is z of its own standard errors away from `p`.

    Args:
        p: a share, or an array of them.
        square: z² / n, of the same shape.
        side: -1 for the lower end, 1 for the upper one.
    """
    reach: Number = (p * (1 - p) * square + square * square / 4) ** 0.5
    return (p + square / 2 + side * reach) / (1 + square)
