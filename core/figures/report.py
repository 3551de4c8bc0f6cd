"""The figures of a job as plain records, each share with its interval. Counts in, records out; nothing is read here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.figures.grouping import Grouping
from core.figures.leaders import Rows
from core.figures.tally import Tally
from core.intervals import Share


@dataclass(frozen=True)
class Progress:
    """A count that is not complete yet."""

    rows_done: int
    rows: int
    what: str
    """``labels`` or ``column``: what is being gone through."""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.rows_done / self.rows if self.rows else 1.0


@dataclass(frozen=True)
class LabelShare:
    """One label: rows whose best label it is, and rows in which it is said."""

    label: str
    threshold: float
    top: Share
    said: Share


@dataclass(frozen=True)
class Together:
    """Two labels and the rows in which both are said."""

    labels: tuple[str, str]
    share: Share
    lift: float
    """How many times as often as if they had nothing to do with each other."""


@dataclass(frozen=True)
class Group:
    """The rows of one group of a column."""

    name: str
    rows: int
    labels: tuple[LabelShare, ...]
    none: Share


@dataclass(frozen=True)
class Breakdown:
    """The figures by a column of the file."""

    column: str
    kind: str
    unit: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Example:
    """A row that stands for a label. `text` is None where it was not asked for."""

    row: int
    line: int | None
    text: str | None
    score: float
    second: str
    second_score: float

    @property
    def margin(self) -> float:
        """How far the best label is before the second."""
        return self.score - self.second_score


@dataclass(frozen=True)
class Examples:
    """Rows that stand for one label: its highest scores, and where it only just came first."""

    label: str
    typical: tuple[Example, ...]
    uncertain: tuple[Example, ...]


@dataclass(frozen=True)
class Figures:
    """All figures of one job in one taxonomy, at one threshold.

    Attributes:
        taxonomy: its name; with its version, if it is a user's.
        threshold: None: the fitted one of each label.
        rows: rows that were labelled; all shares are of them, or of a group of them.
        none: rows in which no label reaches its threshold.
        sentiment: rows by their best label of sentiment; empty where that is the taxonomy.
        together: each two labels that are said together in some row, the commonest first.
    """

    taxonomy: str
    threshold: float | None
    rows: int
    labels: tuple[LabelShare, ...]
    none: Share
    sentiment: tuple[tuple[str, Share], ...]
    together: tuple[Together, ...]
    by: Breakdown | None
    examples: tuple[Examples, ...]


def labels_of(tally: Tally, threshold: float | None, at: int = 0) -> tuple[LabelShare, ...]:
    """The labels of one group of a tally."""
    rows, top, said = int(tally.rows[at]), tally.top[at], tally.said(threshold)[at]
    taxonomy = tally.taxonomy
    return tuple(
        LabelShare(
            label,
            fitted if threshold is None else threshold,
            Share(int(top[number]), rows),
            Share(int(said[number]), rows),
        )
        for number, (label, fitted) in enumerate(zip(taxonomy.labels, taxonomy.thresholds, strict=True))
    )


def none_of(tally: Tally, threshold: float | None, at: int = 0) -> Share:
    """The rows of a group in which no label is said."""
    return Share(int(tally.none(threshold)[at]), int(tally.rows[at]))


def together_of(tally: Tally, threshold: float | None) -> tuple[Together, ...]:
    """Each two labels that are said together, the commonest first."""
    rows, said, labels = int(tally.rows[0]), tally.said(threshold)[0], tally.taxonomy.labels
    found = [
        Together((labels[one], labels[other]), Share(count, rows), count * rows / (int(said[one]) * int(said[other])))
        for one, other, count in tally.together(threshold)
        if count
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.share.count, pair.labels)))


def breakdown_of(tally: Tally, threshold: float | None, grouping: Grouping, column: str, kind: str) -> Breakdown:
    """The groups of a column that have labelled rows."""
    groups = tuple(
        Group(name, int(tally.rows[at]), labels_of(tally, threshold, at), none_of(tally, threshold, at))
        for at, name in enumerate(grouping.names)
        if tally.rows[at]
    )
    return Breakdown(column, kind, grouping.unit, groups)


def examples_of(tally: Tally, texts: dict[int, tuple[int, str]], only: Sequence[str] | None = None) -> list[Examples]:
    """The rows that stand for each label, or for some of them.

    Args:
        texts: file line and text of rows.
    """
    labels = tally.taxonomy.labels

    def examples(rows: Rows) -> tuple[Example, ...]:
        return tuple(
            Example(
                row=int(row["row"]),
                line=texts.get(int(row["row"]), (None, None))[0],
                text=texts.get(int(row["row"]), (None, None))[1],
                score=float(row["score"]),
                second=labels[row["second"]] if len(labels) > 1 else "",
                second_score=float(row["second_score"]) if len(labels) > 1 else 0.0,
            )
            for row in rows
        )

    return [
        Examples(label, examples(tally.typical.of(at)), examples(tally.uncertain.of(at)))
        for at, label in enumerate(labels)
        if only is None or label in only
    ]
