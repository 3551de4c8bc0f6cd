"""A job's figures as they go out of the API, and what may be asked of them."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field

from core.figures import Figures, Progress
from core.figures import report as core_report
from core.intervals import Share
from web.schemas import TAXONOMY, Query, Word, YesNo


class FigureQuery(Query):
    """How the figures are read, and what they are broken down by."""

    taxonomy: Word | None = Field(default=None, description=TAXONOMY)
    threshold: Word | None = Field(
        default=None, description="A number from 0 to 1 for every label, or `auto` (fitted)."
    )
    by: Word | None = Field(default=None, description="A column to break down by: its name, else its number from 1.")


class SummaryQuery(FigureQuery):
    """The same, with rows that stand for the labels."""

    examples: YesNo = Field(default="no", description="`yes`: typical and uncertain rows of each label.")


class ChartQuery(FigureQuery):
    """The same for one chart."""

    label: Word | None = Field(default=None, description="Whose share the chart `label` shows by group.")


class ShareOut(BaseModel):
    """Some rows of others, with Wilson's 95 % interval of their share."""

    count: int
    of: int
    share: float | None = Field(description="From 0 to 1; null of no rows.")
    low: float
    high: float

    @classmethod
    def from_share(cls, share: Share) -> Self:
        """A share as the API shows it."""
        low, high = share.interval
        return cls(count=share.count, of=share.of, share=share.share, low=low, high=high)


class LabelSharesOut(BaseModel):
    """One label."""

    label: str
    threshold: float = Field(description="The score from which it is said.")
    top: ShareOut = Field(description="Rows whose most likely label it is: over all labels they add up to all rows.")
    said: ShareOut = Field(description="Rows in which its score reaches the threshold: several labels may, or none.")


class SentimentFiguresOut(BaseModel):
    """One label of sentiment, and the rows whose most likely one it is."""

    label: str
    top: ShareOut


class TogetherOut(BaseModel):
    """Two labels that are said of the same rows."""

    labels: list[str] = Field(min_length=2, max_length=2)
    rows: ShareOut
    lift: float = Field(description="How many times as often as if they had nothing to do with each other.")


class GroupOut(BaseModel):
    """The rows of one group of a column."""

    group: str
    rows: int
    labels: list[LabelSharesOut]
    none: ShareOut


class BreakdownOut(BaseModel):
    """The figures by a column of the file."""

    column: str
    kind: str = Field(description="What the column was taken for: date (and its order), number, name.")
    unit: str = Field(description="What a group is: value, day, month, year or range.")
    groups: list[GroupOut]


class ExampleOut(BaseModel):
    """A row, with its best and its second label."""

    row: int
    line: int | None
    text: str | None
    score: float
    second: str
    second_score: float
    margin: float


class ExamplesOut(BaseModel):
    """Rows of one label: of equal texts, the first."""

    label: str
    typical: list[ExampleOut] = Field(description="Its highest scores.")
    uncertain: list[ExampleOut] = Field(description="Where it only just came first.")


class FiguresOut(BaseModel):
    """The figures of all labelled rows, in one taxonomy at one threshold."""

    taxonomy: str = Field(description="Its name; of your own taxonomies, with its version.")
    threshold: float | None = Field(description="Null: each label's own, as in `labels`.")
    rows: int
    labels: list[LabelSharesOut]
    none: ShareOut = Field(description="Rows in which no label is said.")
    sentiment: list[SentimentFiguresOut] = Field(description="Empty if that is the taxonomy.")
    together: list[TogetherOut]
    by: BreakdownOut | None
    examples: list[ExamplesOut]

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """Figures as the API shows them."""
        return cls(
            taxonomy=figures.taxonomy,
            threshold=figures.threshold,
            rows=figures.rows,
            labels=_labels(figures.labels),
            none=ShareOut.from_share(figures.none),
            sentiment=[
                SentimentFiguresOut(label=label, top=ShareOut.from_share(share)) for label, share in figures.sentiment
            ],
            together=[
                TogetherOut(labels=list(pair.labels), rows=ShareOut.from_share(pair.share), lift=pair.lift)
                for pair in figures.together
            ],
            by=None if figures.by is None else _breakdown(figures.by),
            examples=[
                ExamplesOut(
                    label=one.label,
                    typical=[_example(row) for row in one.typical],
                    uncertain=[_example(row) for row in one.uncertain],
                )
                for one in figures.examples
            ],
        )


class ProgressOut(BaseModel):
    """How far counting has come."""

    rows_done: int
    rows: int
    of: str = Field(description="`labels`: the job's labels are counted; `column`: the column's values are read.")

    @classmethod
    def from_progress(cls, progress: Progress) -> Self:
        """A progress as the API shows it."""
        return cls(rows_done=progress.rows_done, rows=progress.rows, of=progress.what)


class SummaryOut(BaseModel):
    """One job in figures."""

    rows: dict[str, int] = Field(description="By status; also while the job is running.")
    taxonomies: dict[str, dict[str, int]] = Field(description="Rows by most likely label; also while it is running.")
    flags: dict[str, int] = Field(description="Rows by what else is known of them, such as `windowed`.")
    figures: FiguresOut | None = Field(description="Null until the job is finished, and while they are counted.")
    progress: ProgressOut | None = Field(description="While they are counted: ask again, and counting goes on.")


def _labels(labels: tuple[core_report.LabelShare, ...]) -> list[LabelSharesOut]:
    return [
        LabelSharesOut(
            label=one.label,
            threshold=one.threshold,
            top=ShareOut.from_share(one.top),
            said=ShareOut.from_share(one.said),
        )
        for one in labels
    ]


def _breakdown(by: core_report.Breakdown) -> BreakdownOut:
    groups = [
        GroupOut(group=group.name, rows=group.rows, labels=_labels(group.labels), none=ShareOut.from_share(group.none))
        for group in by.groups
    ]
    return BreakdownOut(column=by.column, kind=by.kind, unit=by.unit, groups=groups)


def _example(row: core_report.Example) -> ExampleOut:
    fields: dict[str, Any] = vars(row) | {"margin": row.margin}
    return ExampleOut.model_validate(fields)
