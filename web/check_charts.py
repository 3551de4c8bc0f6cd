"""The two drawings of a check, as places on an SVG: how much of each label there is, and what a threshold trades."""

from __future__ import annotations

from dataclasses import dataclass

from core.review.figures import Figures, LabelFigures, Trade
from core.review.intervals import Estimate
from core.review.report import Report

WIDTH, NARROW, HEIGHT = 640, 330, 240
"""Of the trade of thresholds, in pixels where it is not scaled: on a wide page, and on a phone."""
LEFT, RIGHT, TOP, BOTTOM = 44, 76, 12, 34
"""Margins: the names of the curves stand to the right of their ends."""


@dataclass(frozen=True)
class Share:
    """One label's row of the table: its figures, and their places on a line to the largest limit, in per cent."""

    label: LabelFigures
    said: float
    low: float
    value: float
    high: float

    @property
    def off(self) -> bool:
        """Whether what was said lies outside of the interval: the count of labels is wrong by more than chance."""
        return not self.low <= self.said <= self.high


def shares_of(figures: Figures) -> list[Share]:
    """The labels that were said or named, most frequent first if there are many."""
    found = [one for one in figures.labels if one.said or one.named]
    if len(found) > 10:
        found = sorted(found, key=lambda one: -(one.prevalence.value or 0))
    most = max((max(one.said_share, one.prevalence.high) for one in found), default=1.0) or 1.0

    def place(share: float) -> float:
        return round(100 * share / most, 2)

    return [
        Share(
            one,
            place(one.said_share),
            place(one.prevalence.low),
            place(one.prevalence.value or 0.0),
            place(one.prevalence.high),
        )
        for one in found
    ]


@dataclass(frozen=True)
class Curve:
    """One curve with the band of its interval: attributes of SVG elements."""

    name: str
    line: str
    band: str
    end_y: float


@dataclass(frozen=True)
class Chart:
    """Precision and recall against the threshold."""

    curves: tuple[Curve, ...]
    across: tuple[tuple[float, str], ...]
    """Marks of the threshold: place and words."""
    up: tuple[tuple[float, str], ...]
    width: int
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM

    @property
    def right(self) -> int:
        """Where the curves end."""
        return self.width - RIGHT

    @property
    def narrow(self) -> bool:
        """Whether it is the one for a phone."""
        return self.width == NARROW


def charts_of(found: Report) -> tuple[Chart, ...]:
    """The trade of thresholds drawn, for a wide page and for a phone; none before there is one."""
    return tuple(_chart(found.trades, width) for width in (WIDTH, NARROW)) if found.trades else ()


def _chart(trades: tuple[Trade, ...], width: int) -> Chart:
    curves = [_curve("precision", trades, width), _curve("recall", trades, width)]
    first, last = curves
    if abs(first.end_y - last.end_y) < 16:  # their names would lie on each other
        upper = min(first.end_y, last.end_y) - 8
        moved = [upper, upper + 18] if first.end_y <= last.end_y else [upper + 18, upper]
        curves = [Curve(one.name, one.line, one.band, y) for one, y in zip(curves, moved, strict=True)]
    return Chart(
        curves=tuple(curves),
        across=tuple((_x(at / 10, width), f"{at / 10:.1f}") for at in range(1, 10, 2)),
        up=tuple((_y(at / 4), f"{25 * at} %") for at in range(5)),
        width=width,
    )


def _x(threshold: float, width: int) -> float:
    return round(LEFT + threshold * (width - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def _curve(name: str, trades: tuple[Trade, ...], width: int) -> Curve:
    points: list[tuple[float, Estimate]] = []
    for one in trades:
        estimate = one.precision if name == "precision" else one.recall
        if one.threshold is not None and estimate.value is not None:
            points.append((_x(one.threshold, width), estimate))
    upper = [f"{x},{_y(estimate.high)}" for x, estimate in points]
    lower = [f"{x},{_y(estimate.low)}" for x, estimate in reversed(points)]
    line = [f"{x},{_y(estimate.value or 0.0)}" for x, estimate in points]
    end = _y(points[-1][1].value or 0.0) if points else _y(0)
    return Curve(name, " ".join(line), " ".join(upper + lower), end)
