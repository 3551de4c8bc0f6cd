"""What goes in and out of the API about samples, answers and corrections."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from core.review import corrections, reviews
from core.review.figures import Trade
from core.review.intervals import Estimate
from core.review.report import Report
from core.review.tables import Verdict
from web.paging import RowPageOptions
from web.schemas import NEXT, Query, Word

TAXONOMY = "`ekman` (default), `goemotions` or `sentiment`."

_ESTIMATE: dict[str, Any] = {"value": 0.84, "low": 0.75, "high": 0.91}


class TaxonomyOptions(Query):
    """Which taxonomy is meant."""

    taxonomy: Word | None = Field(default=None, description=TAXONOMY)


class NextOptions(TaxonomyOptions):
    """Which rows of a sample to read."""

    limit: int = Field(default=10, ge=1, le=100)


class CorrectionsOptions(TaxonomyOptions, RowPageOptions):
    """Which corrections to list."""

    limit: int = Field(default=100, ge=1, le=1000, description="How many at most.")


class DrawIn(BaseModel):
    """A sample to be drawn."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"size": 70}]})

    taxonomy: Word | None = Field(default=None, description=TAXONOMY)
    size: int | None = Field(
        default=None,
        ge=reviews.LEAST,
        le=1000,
        description="Rows to ask about; by default ten for each label of the file, within 50 and 100.",
    )
    seed: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="The same seed draws the same rows; by default a random one."
    )


class AnswerIn(BaseModel):
    """What is true of a row: its labels (an empty list: none of them), or that it cannot be told, or is skipped."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"labels": ["joy"]}]})

    labels: list[Word] | None = Field(default=None, max_length=28)
    verdict: Literal["unsure", "skipped"] | None = Field(default=None, description="In place of labels.")


class CorrectionIn(BaseModel):
    """What is true of a row; an empty list: none of the taxonomy's labels."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"labels": ["sadness"]}]})

    labels: list[Word] = Field(max_length=28)


class StratumOut(BaseModel):
    """The rows with one label as their best one."""

    label: str
    rows: int = Field(description="In the file.")
    asked: int = Field(description="In the sample.")
    answered: int


class ReviewOut(BaseModel):
    """A sample, and how far it is."""

    taxonomy: str
    seed: int
    size: int = Field(description="Rows in the sample.")
    answered: int
    unsure: int
    skipped: int = Field(description="They come again at the end.")
    left: int = Field(description="Rows that wait for an answer.")
    rows_labelled: int = Field(description="Rows of the file that the sample speaks of.")
    outdated: bool = Field(description="More rows have labels by now: draw again to have them in.")
    drawn_at: datetime
    strata: list[StratumOut]

    @classmethod
    def of(cls, found: reviews.Progress) -> Self:
        """As the core has it."""
        strata = [StratumOut.model_validate(vars(stratum)) for stratum in found.strata]
        return cls.model_validate(vars(found) | {"left": found.left, "outdated": found.outdated, "strata": strata})


class AskedRow(BaseModel):
    """A row to be answered. What the model says of it is kept back until then, so that it sways nobody."""

    row: int
    line: int
    text: str


class AskedRowsOut(BaseModel):
    """The next rows to answer, in order; none: the sample is done."""

    rows: list[AskedRow]


class AnswerOut(BaseModel):
    """An answer, and what had been said of the row."""

    row: int
    verdict: Verdict
    labels: list[str]
    said: str
    said_score: float


class EstimateOut(BaseModel):
    """A share with its 95 % interval; no value where nothing was seen of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ESTIMATE]})

    value: float | None
    low: float
    high: float

    @classmethod
    def of(cls, found: Estimate) -> Self:
        """Rounded: no digit beyond these means anything."""
        value = None if found.value is None else round(found.value, 4)
        return cls(value=value, low=round(found.low, 4), high=round(found.high, 4))


class LabelFiguresOut(BaseModel):
    """One label."""

    label: str
    said: int = Field(description="Rows of the file with this label as their best one: exact.")
    said_share: float
    asked: int = Field(description="Of those, how many were answered.")
    named: int = Field(description="Answers that name it.")
    precision: EstimateOut
    recall: EstimateOut
    prevalence: EstimateOut = Field(description="The share of rows it is true of, corrected for the known errors.")


class TradeOut(BaseModel):
    """What listing every label at or over a threshold gives and costs."""

    threshold: float | None = Field(description="Null: the fitted threshold of each label.")
    precision: EstimateOut = Field(description="Of the labels listed, the share that is true.")
    recall: EstimateOut = Field(description="Of the labels that are true, the share that is listed.")
    listed: float = Field(description="Labels listed for a row, on average.")
    bare: float = Field(description="Share of rows for which none is listed.")

    @classmethod
    def of(cls, found: Trade) -> Self:
        """As the core has it."""
        return cls(
            threshold=found.threshold,
            precision=EstimateOut.of(found.precision),
            recall=EstimateOut.of(found.recall),
            listed=round(found.listed, 4),
            bare=round(found.bare, 4),
        )


class ReportOut(BaseModel):
    """What the answers say of the file, in one taxonomy."""

    taxonomy: str
    sample: ReviewOut = Field(description="What the figures rest on; its taxonomy may be a finer one.")
    rows: int
    asked: int
    accuracy: EstimateOut
    labels: list[LabelFiguresOut]
    matrix: list[list[int]] = Field(description="Answers: said × true, in the order of `labels`.")
    fitted: TradeOut | None
    thresholds: list[TradeOut]

    @classmethod
    def of(cls, found: Report) -> Self:
        """As the core has it."""
        figures = found.figures
        labels = [
            LabelFiguresOut(
                label=one.label,
                said=one.said,
                said_share=round(one.said_share, 4),
                asked=one.asked,
                named=one.named,
                precision=EstimateOut.of(one.precision),
                recall=EstimateOut.of(one.recall),
                prevalence=EstimateOut.of(one.prevalence),
            )
            for one in figures.labels
        ]
        return cls(
            taxonomy=found.taxonomy.name,
            sample=ReviewOut.of(found.sample),
            rows=figures.rows,
            asked=figures.asked,
            accuracy=EstimateOut.of(figures.accuracy),
            labels=labels,
            matrix=[list(row) for row in figures.matrix],
            fitted=TradeOut.of(found.fitted) if found.fitted else None,
            thresholds=[TradeOut.of(one) for one in found.trades],
        )


class CorrectionOut(BaseModel):
    """What a person says of a row."""

    row: int
    labels: list[str]
    given_in: Literal["review", "rows"] = Field(description="As an answer about a sample, or to any row.")
    given_at: datetime

    @classmethod
    def of(cls, given: corrections.Given) -> Self:
        """As the core has it."""
        return cls.model_validate(vars(given) | {"labels": list(given.labels)})


class CorrectionsOut(BaseModel):
    """Corrections in the file's order."""

    taxonomy: str
    corrections: list[CorrectionOut]
    next: str | None = Field(description=NEXT)
