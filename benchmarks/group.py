"""One group of measurements as it is reported: lines with a figure, a unit and a target, and how it was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.interleaved import Figure


@dataclass(frozen=True)
class Target:
    """What a median should reach: at least, or at most, `limit`."""

    sign: str
    limit: float

    def met(self, value: float) -> bool:
        """Whether `value` reaches it."""
        return value >= self.limit if self.sign == "≥" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {show(self.limit)}"


def at_least(limit: float) -> Target:
    """The target of what should be large."""
    return Target("≥", limit)


def at_most(limit: float) -> Target:
    """The target of what should be small."""
    return Target("≤", limit)


@dataclass(frozen=True)
class Line:
    """One thing measured. `key` names it in the JSON."""

    key: str
    what: str
    figure: Figure
    unit: str
    target: Target | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in results.json."""
        found: dict[str, Any] = {
            "what": self.what,
            "unit": self.unit,
            "median": self.figure.median,
            "low": self.figure.low,
            "high": self.figure.high,
            "rounds": list(self.figure.values),
        }
        if self.target:
            found |= {"target": str(self.target), "met": self.target.met(self.figure.median)}
        return found


@dataclass
class Group:
    """A letter's measurements. Without lines, `skipped` says why there are none."""

    letter: str
    title: str
    how: str = ""
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""
    series: dict[str, Any] = field(default_factory=dict)
    """What only the plot and the JSON show: curves over time."""

    def add(self, key: str, what: str, figure: Figure, unit: str, target: Target | None = None) -> Figure:
        """Adds a line; its figure again."""
        self.lines.append(Line(key, what, figure, unit, target))
        return figure

    def line(self, key: str) -> Line | None:
        """The line of that key, if it was measured."""
        return next((line for line in self.lines if line.key == key), None)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in results.json."""
        found: dict[str, Any] = {"title": self.title, "how": self.how}
        if self.skipped:
            return found | {"skipped": self.skipped}
        found |= {"notes": self.notes, "figures": {line.key: line.to_dict() for line in self.lines}}
        return found | ({"series": self.series} if self.series else {})


def show(value: float) -> str:
    """A number as people read it: three digits that matter, thousands with a comma."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 and size < 9.995 else f"{value:.4f}"
