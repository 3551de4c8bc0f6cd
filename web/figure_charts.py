"""Which charts a job's figures have: the data of each as a table, and drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from core.figures import Figures
from core.figures.report import Group, LabelShare
from core.intervals import Share
from web.charts import COLOURS, NARROW, PALETTE, Mark, Stack, bars, stacks

NAMES = ("top", "said", "sentiment", "together", "groups", "label")
"""Of all charts, in the order of the page."""

SHOWN_PAIRS = 12
SHOWN_LABELS = 8
"""Of a stacked bar; the others are one piece."""

OTHERS = "others"


@dataclass(frozen=True)
class Chart:
    """A chart: its data, with a header, and its SVG; that for a phone too."""

    name: str
    title: str
    table: list[list[str]]
    svg: str
    narrow: str

    def csv(self) -> str:
        """The data as a CSV, in UTF-8 with CRLF as RFC 4180 has it."""
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows(self.table)
        return buffer.getvalue()


def charts_of(figures: Figures, colours: Mapping[str, str], label: str | None = None) -> dict[str, Chart]:
    """The charts that there are for some figures, by name.

    Args:
        colours: the name of each label's colour.
        label: whose share the chart ``label`` shows by group; by default the commonest that is not neutral.
    """
    shown = _ordered(figures.labels)
    # One scale for the shares of all rows, so that charts beside each other can be compared.
    most = max(share.interval[1] for one in figures.labels for share in (one.top, one.said, figures.none))
    threshold = at_threshold(figures.threshold)
    found = [
        _bars("top", "Most likely label of each row", [(one.label, one.top) for one in shown], colours, most=most),
        _bars(
            "said",
            f"Labels said {threshold}",
            [*((one.label, one.said) for one in shown), ("none", figures.none)],
            colours,
            most=most,
        ),
    ]
    if figures.sentiment:
        found.append(_bars("sentiment", "Sentiment", figures.sentiment, {}, most=most))
    if figures.together:
        pairs = [(" + ".join(pair.labels), pair.share) for pair in figures.together]
        together = _bars("together", f"Labels said together {threshold}", pairs[:SHOWN_PAIRS], {}, "plain")
        table = [["label", "other_label", *_HEAD, "lift"]]
        for pair in figures.together:
            table.append([*pair.labels, *_cells(pair.share), f"{pair.lift:.3f}"])
        found.append(replace(together, table=table))
    if figures.by:
        found.append(_mix(figures, colours))
        found.append(_one_label(figures, colours, label or leading(figures.labels)))
    return {chart.name: chart for chart in found}


def leading(labels: Sequence[LabelShare]) -> str:
    """The commonest label that says something."""
    ranked = sorted(labels, key=lambda one: (one.label == "neutral", -one.top.count))
    return ranked[0].label


def at_threshold(threshold: float | None) -> str:
    """A threshold in words."""
    return "at their fitted thresholds" if threshold is None else f"at a threshold of {threshold:g}"


def in_words(share: Share) -> str:
    """A share with its interval: ``41.2 % (39.8 to 42.6)``."""
    if share.share is None:
        return "no rows"
    low, high = share.interval
    return f"{100 * share.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


_HEAD = ["rows", "of", "share", "low95", "high95"]


def _cells(share: Share) -> list[str]:
    low, high = share.interval
    return [str(share.count), str(share.of), "" if share.share is None else _six(share.share), _six(low), _six(high)]


def _six(value: float) -> str:
    return f"{value:.6f}"


def _ordered(labels: Sequence[LabelShare]) -> list[LabelShare]:
    """Few in their own order, many by how common they are."""
    return list(labels) if len(labels) <= 10 else sorted(labels, key=lambda one: -one.top.count)


def _bars(
    name: str,
    title: str,
    shares: Sequence[tuple[str, Share]],
    colours: Mapping[str, str],
    otherwise: str = "neutral",
    most: float | None = None,
) -> Chart:
    colour_of = {label: colours.get(label, label if label in COLOURS else otherwise) for label, _ in shares}
    marks = [_mark(label, share, colour_of[label]) for label, share in shares]
    table = [["label", *_HEAD], *([label, *_cells(share)] for label, share in shares)]
    about = "Shares of the labelled rows, with 95 % intervals."
    draw = partial(bars, name, title, about, marks, most=most)
    return Chart(name, title, table, draw(), draw(shape=NARROW))


def _mark(name: str, share: Share, colour: str) -> Mark:
    low, high = share.interval
    return Mark(name, share.share or 0.0, low, high, colour if colour in COLOURS else "neutral", in_words(share))


def _mix(figures: Figures, colours: Mapping[str, str]) -> Chart:
    """The most likely labels of the rows of each group."""
    if figures.by is None:
        raise ValueError("There are no groups.")
    by = figures.by
    title = f"Most likely label by {_heading(by.column, by.unit)}"
    labels = [one.label for one in figures.labels]
    many = len(labels) > SHOWN_LABELS + 1
    shown = [one.label for one in _ordered(figures.labels)][: SHOWN_LABELS if many else None]
    own = [colours.get(label, "neutral") for label in shown]
    distinct = len(set(own)) == len(own)
    legend = list(zip(shown, own if distinct else [*PALETTE, "neutral"], strict=False))
    legend += [(OTHERS, "neutral")] if many else []
    parts, table = [], [[by.column, "label", *_HEAD]]
    for group in by.groups:
        tops = {one.label: one.top for one in group.labels}
        shares = [tops[label].share or 0.0 for label in shown]
        parts.append(Stack(group.name, [*shares, max(0.0, 1 - sum(shares))] if many else shares, _rows(group)))
        table += [[group.name, label, *_cells(tops[label])] for label in labels]
    draw = partial(stacks, "groups", title, "Shares of the rows of each group.", legend, parts)
    return Chart("groups", title, table, draw(), draw(shape=NARROW))


def _one_label(figures: Figures, colours: Mapping[str, str], label: str) -> Chart:
    """How often one label is said in each group."""
    if figures.by is None:
        raise ValueError("There are no groups.")
    by = figures.by
    title = f"{label} by {_heading(by.column, by.unit)}, {at_threshold(figures.threshold)}"
    marks, table = [], [[by.column, "label", *_HEAD]]
    for group in by.groups:
        said = {one.label: one.said for one in group.labels}
        marks.append(_mark(group.name, said[label], colours.get(label, "plain")))
        table += [[group.name, one, *_cells(share)] for one, share in said.items()]
    about = f"The share of the rows of each group in which {label} is said, with 95 % intervals."
    draw = partial(bars, "label", title, about, marks, dots=True)
    return Chart("label", title, table, draw(), draw(shape=NARROW))


def _heading(column: str, unit: str) -> str:
    return f"{unit} of {column}" if unit in ("day", "month", "year", "range") else column


def _rows(group: Group) -> str:
    return f"{group.rows:,} rows" if group.rows != 1 else "1 row"
