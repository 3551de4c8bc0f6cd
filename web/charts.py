"""Charts as SVG: bars with their intervals, dots with theirs, and stacked bars.

pygal was tried first. It colours everything by a `<style>` element inside the SVG and adds a script; the pages' CSP
allows neither, and without its style a chart is black on black. It also has no room for an interval in words, and its
text cannot follow the page's theme. So these are drawn here: every colour stands as an attribute, for the file that
somebody saves and opens anywhere, and as a class, by which the page's stylesheet gives it the colours of the theme.
No script, no style, no id but those that title and description need.

A phone is not shown the same drawing smaller, for nobody could read it: in the narrow shape names and figures stand
above their bars.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

_FIGURES, _PAD = 158, 8
_LETTER = 7.4
"""Width of a letter of a name, on average and with something to spare."""
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif"
_INK, _QUIET, _TRACK, _PAGE, _LINE = "#1f2430", "#5b6275", "#eceef5", "#ffffff", "#c9cede"

COLOURS = {
    "joy": "#efab22",
    "sadness": "#4a86c5",
    "anger": "#d8484b",
    "disgust": "#6d9a45",
    "fear": "#8660b5",
    "surprise": "#ee8147",
    "neutral": "#8e97aa",
    "positive": "#2f9e77",
    "negative": "#d8484b",
    "ambiguous": "#ee8147",
    "plain": "#3b3a8f",
    "s0": "#3b6fb6",
    "s1": "#efab22",
    "s2": "#2f9e77",
    "s3": "#d8484b",
    "s4": "#8660b5",
    "s5": "#ee8147",
    "s6": "#52a9c9",
    "s7": "#b5578e",
}
"""Colours by name; those of labels are the stylesheet's. ``s0`` … are for labels whose own do not tell them apart."""

PALETTE = tuple(name for name in COLOURS if re.fullmatch(r"s\d", name))

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Shape:
    """How wide a chart is drawn, in pixels where it is not scaled, and how high each of its rows is."""

    width: int
    row: int
    narrow: bool


WIDE = Shape(width=520, row=28, narrow=False)
NARROW = Shape(width=330, row=44, narrow=True)
"""As wide as a panel is on a phone of 390 pixels."""


@dataclass(frozen=True)
class Mark:
    """One bar or dot: a share from 0 to 1, the ends of its interval, and what is said of it."""

    name: str
    share: float
    low: float
    high: float
    colour: str
    words: str


@dataclass(frozen=True)
class Stack:
    """One stacked bar: shares, in the order of the legend, that add up to at most 1."""

    name: str
    shares: Sequence[float]
    words: str


def bars(
    name: str,
    title: str,
    about: str,
    marks: Sequence[Mark],
    *,
    dots: bool = False,
    most: float | None = None,
    shape: Shape = WIDE,
) -> str:
    """Horizontal bars, or dots, each with its interval as a whisker.

    Args:
        name: of the chart, unique on its page.
        title, about: what it shows, and how it is to be read, for those who do not see it too.
        most: the share at the right end; by default that of the furthest interval.
    """
    root, plot = _frame(name, title, f"{about} {_list(marks)}", len(marks), shape)
    left, width = _room([mark.name for mark in marks], shape, _FIGURES, 2 * _PAD if dots else 1)
    furthest = max((mark.high for mark in marks), default=1.0)
    most = min(1.0, max(furthest, most or 0.0)) or 1.0
    if dots:
        _axis(plot, left, width, most, len(marks), shape)
    for number, mark in enumerate(marks):
        row = Xml.SubElement(plot, "g")
        Xml.SubElement(row, "title").text = _clean(f"{mark.name}: {mark.words}")
        y = _words(row, _PAD + number * shape.row, left, width, mark.name, mark.words, shape)
        low, high, at = (left + width * value / most for value in (mark.low, mark.high, mark.share))
        if not dots:
            _rect(row, left, y - 8, width, 16, _TRACK, "track")
            _rect(row, left, y - 8, at - left, 16, COLOURS[mark.colour], f"c-{mark.colour}")
        _line(row, low, y, high, y)
        for end in (low, high):
            _line(row, end, y - 4, end, y + 4)
        if dots:
            circle = {"cx": _n(at), "cy": _n(y), "r": "4.5", "fill": COLOURS[mark.colour]}
            Xml.SubElement(row, "circle", circle | {"class": f"c-{mark.colour}"})
    return _written(root)


def stacks(
    name: str,
    title: str,
    about: str,
    legend: Sequence[tuple[str, str]],
    parts: Sequence[Stack],
    *,
    shape: Shape = WIDE,
) -> str:
    """Stacked bars of one length.

    Args:
        name, title, about: as for `bars`.
        legend: names and colours of the shares.
    """
    above = 22 * (1 + max((line for line, _ in _places([label for label, _ in legend], shape)), default=0)) + 6
    said = "; ".join(f"{part.name}: {_shares(legend, part)}" for part in parts)
    root, plot = _frame(name, title, f"{about} {said}", len(parts), shape, above)
    _legend(plot, legend, shape)
    left, width = _room([part.name for part in parts], shape, 90)
    for number, part in enumerate(parts):
        row = Xml.SubElement(plot, "g")
        y = _words(row, _PAD + above + number * shape.row, left, width, part.name, part.words, shape)
        _rect(row, left, y - 9, width, 18, _TRACK, "track")
        x = float(left)
        for (label, colour), share in zip(legend, part.shares, strict=True):
            if share <= 0:
                continue
            piece = Xml.SubElement(row, "g")
            Xml.SubElement(piece, "title").text = _clean(f"{part.name}: {label} {share:.1%}")
            _rect(piece, x, y - 9, max(0.5, width * share - 1), 18, COLOURS[colour], f"c-{colour}", round_=0)
            x += width * share
    return _written(root)


def _frame(
    name: str, title: str, about: str, rows: int, shape: Shape, above: float = 0
) -> tuple[Xml.Element, Xml.Element]:
    height = 2 * _PAD + above + rows * shape.row + 18
    name = f"{name}-narrow" if shape.narrow else name
    root = Xml.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "chart narrow" if shape.narrow else "chart",
            "viewBox": f"0 0 {shape.width} {_n(height)}",
            "width": str(shape.width),
            "height": _n(height),
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-about",
            "font-family": _FONT,
            "font-size": "13",
        },
    )
    Xml.SubElement(root, "title", {"id": f"{name}-title"}).text = _clean(title)
    Xml.SubElement(root, "desc", {"id": f"{name}-about"}).text = _clean(about)
    Xml.SubElement(root, "rect", {"class": "chart-page", "width": "100%", "height": "100%", "fill": _PAGE})
    return root, Xml.SubElement(root, "g", {"aria-hidden": "true"})


def _room(names: Sequence[str], shape: Shape, figures: int, edge: int = 1) -> tuple[float, float]:
    """Where bars begin and how long they can be: beside the names and figures, or beneath them.

    Names have the same room in most charts, so that these line up, and more if they are long. Beneath them bars have
    an edge, for half a whisker's end, or half the words of an axis.
    """
    if shape.narrow:
        return edge, shape.width - 2 * edge
    left = max(126.0, 18 + _LETTER * max((len(_short(name)) for name in names), default=0))
    return left, shape.width - left - figures


def _words(row: Xml.Element, y: float, left: float, width: float, name: str, words: str, shape: Shape) -> float:
    """Writes a row's name and figures; the middle of its bar."""
    if shape.narrow:
        _text(row, left, y + 10, _short(name, 24), "start", _INK, "ink")
        _text(row, left + width, y + 10, words, "end", _QUIET, "quiet-ink", size=12)
        return y + 28
    middle = y + shape.row / 2
    _text(row, left - 10, middle, _short(name), "end", _INK, "ink")
    _text(row, left + width + 12, middle, words, "start", _QUIET, "quiet-ink", size=12)
    return middle


def _axis(plot: Xml.Element, left: float, width: float, most: float, rows: int, shape: Shape) -> None:
    """Thin lines at round shares, so that dots can be compared."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.25, 0.5) if most / step <= 6)
    bottom = _PAD + rows * shape.row
    at = 0.0
    while at <= most + 1e-9:
        x = left + width * at / most
        Xml.SubElement(
            plot,
            "line",
            {"class": "grid", "x1": _n(x), "x2": _n(x), "y1": str(_PAD), "y2": _n(bottom), "stroke": _TRACK},
        )
        _text(plot, x, bottom + 11, f"{at:.0%}", "middle", _QUIET, "quiet-ink", size=11)
        at += step


def _places(labels: Sequence[str], shape: Shape) -> list[tuple[int, float]]:
    """(line, x) of each entry of a legend."""
    found, line, x = [], 0, 0.0
    for label in labels:
        room = 34 + 7.2 * len(_short(label))
        if x and x + room > shape.width - 2 * _PAD:
            line, x = line + 1, 0.0
        found.append((line, x))
        x += room
    return found


def _legend(plot: Xml.Element, legend: Sequence[tuple[str, str]], shape: Shape) -> None:
    places = _places([label for label, _ in legend], shape)
    edge = 1 if shape.narrow else _PAD
    for (label, colour), (line, x) in zip(legend, places, strict=True):
        y = _PAD + line * 22
        _rect(plot, edge + x, y + 4, 11, 11, COLOURS[colour], f"c-{colour}")
        _text(plot, edge + x + 17, y + 9.5, _short(label), "start", _INK, "ink", size=12)


def _shares(legend: Sequence[tuple[str, str]], part: Stack) -> str:
    return ", ".join(f"{label} {share:.0%}" for (label, _), share in zip(legend, part.shares, strict=True))


def _list(marks: Sequence[Mark]) -> str:
    return "; ".join(f"{mark.name}: {mark.words}" for mark in marks)


def _text(into: Xml.Element, x: float, y: float, words: str, anchor: str, fill: str, kind: str, size: int = 13) -> None:
    attributes = {"x": _n(x), "y": _n(y), "dy": "0.34em", "text-anchor": anchor, "fill": fill, "class": kind}
    Xml.SubElement(into, "text", attributes | {"font-size": str(size)}).text = _clean(words)


def _rect(
    into: Xml.Element, x: float, y: float, width: float, height: float, fill: str, kind: str, round_: int = 3
) -> None:
    place = {"x": _n(x), "y": _n(y), "width": _n(max(0.0, width)), "height": _n(height), "rx": str(round_)}
    Xml.SubElement(into, "rect", place | {"fill": fill, "class": kind})


def _line(into: Xml.Element, x1: float, y1: float, x2: float, y2: float) -> None:
    place = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)}
    Xml.SubElement(into, "line", place | {"stroke": _INK, "stroke-width": "1.3", "class": "whisker"})


def _short(words: str, most: int = 18) -> str:
    words = " ".join(words.split())
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def _clean(words: str) -> str:
    """Without the characters that XML cannot hold, which cells of a file can."""
    return _NOT_XML.sub("\ufffd", words)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _written(root: Xml.Element) -> str:
    return Xml.tostring(root, encoding="unicode")
