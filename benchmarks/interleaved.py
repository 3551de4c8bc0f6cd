"""Rounds: every contestant once in each, in an order that rotates, so that the machine's mood favours nobody.

Pure but for the calls themselves; medians and ratios are computed here and nowhere else.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """What one thing measured in each round: at least one number, in the order of the rounds."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("A figure needs at least one round.")

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """A figure from the rounds' numbers."""
        return cls(tuple(float(value) for value in values))

    @property
    def median(self) -> float:
        """The middle one; of an even number, the mean of the middle two."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The lowest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest."""
        return max(self.values)

    def quantile(self, share: float) -> float:
        """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
        ordered = sorted(self.values)
        place = math.ceil(round(share * len(ordered), 9))  # rounded: 0.07 * 100 is a little over 7
        return ordered[max(place, 1) - 1]

    def over(self, other: Figure) -> Figure:
        """Ratios round by round: both were measured under the same mood of the machine."""
        return Figure.of(mine / theirs for mine, theirs in zip(self.values, other.values, strict=True))

    def rate(self, amount: float) -> Figure:
        """`amount` per second, this figure being seconds."""
        return Figure.of(amount / seconds for seconds in self.values)


def rotated(names: Sequence[str], by: int) -> list[str]:
    """`names` beginning with another one each time."""
    at = by % len(names)
    return [*names[at:], *names[:at]]


def rounds(
    contestants: Mapping[str, Callable[[], T]],
    count: int,
    *,
    warm_up: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, list[T]]:
    """Runs every contestant once a round and returns what each gave, in the order of the rounds.

    Args:
        contestants: by name.
        count: rounds that count, at least 1.
        warm_up: rounds before them, whose results are dropped.
        say: is told which round begins.
    """
    found: dict[str, list[T]] = {name: [] for name in contestants}
    for number in range(1 - warm_up, count + 1):
        say(f"round {number} of {count}" if number > 0 else "warm-up round")
        for name in rotated(list(contestants), number):
            result = contestants[name]()
            if number > 0:
                found[name].append(result)
    return found
