"""What goes in and out of the API about single rows: which ones, in which order, and what is known of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.results import RowDetail, RowQuery
from core.results.query import FLAGS, Order, Sort
from core.results.search import LONGEST, Needle
from web.schemas import NEXT, ReadOptions, Word, YesNo

Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _column_numbers(value: str) -> str:
    for number in value.split(","):
        if not (number.isdecimal() and number.isascii() and 1 <= int(number) <= 100_000):
            raise ValueError("use numbers of columns from 1, joined by commas")
    return value


class RowsOptions(ReadOptions):
    """Which rows to show, and in which order. All filters must hold."""

    label: Word | None = Field(default=None, description="Only rows whose top label this is, in the chosen taxonomy.")
    listed: Word | None = Field(
        default=None,
        description="Only rows of which this label is said: at or over its threshold. `min_score`, `max_score` and "
        "`sort=score` are about this label's score then, else about the top label's.",
    )
    status: Literal["ok", "empty", "failed"] | None = None
    flag: Word | None = Field(default=None, description=f"Only rows with this flag: {', '.join(map(repr, FLAGS))}.")
    min_score: Score | None = Field(default=None, description="Only rows with at least this score, as it is shown.")
    max_score: Score | None = Field(default=None, description="Only rows with at most this score.")
    search: Annotated[str, Field(max_length=LONGEST)] | None = Field(
        default=None, description="Only rows whose text holds this, upper or lower case alike."
    )
    whole_word: YesNo = Field(default="no", description="`yes`: what is searched for must be a word of its own.")
    sort: Literal["row", "row-desc", "score", "score-asc"] = Field(
        default="row",
        description="`row`: as in the file; `score`: highest first. Rows without a score are left out then.",
    )
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="`next` or `previous` of an earlier answer, with the same filters and order."
    )
    after: int = Field(
        default=0, ge=0, le=2**31 - 1, description="In the file's order, to begin with: what comes after this data row."
    )
    columns: Annotated[Word, AfterValidator(_column_numbers)] | None = Field(
        default=None, description="Only these columns of the file in `cells`: numbers from 1, joined by commas."
    )

    @property
    def query(self) -> RowQuery:
        """What is asked for. Raises BadOption for an unknown flag, or a search for nothing."""
        return RowQuery(
            label=self.label,
            listed=self.listed,
            status=self.status,
            flag=self.flag,
            min_score=self.min_score,
            max_score=self.max_score,
            search=None if self.search is None else Needle(self.search, self.whole_word == "yes"),
            sort=Sort(self.sort.partition("-")[0]),
            order=Order(self.sort.partition("-")[2]) if "-" in self.sort else None,
        )

    @property
    def column_numbers(self) -> list[int] | None:
        """The columns asked for, from 1, each once; None: no choice was made."""
        return None if self.columns is None else list(dict.fromkeys(map(int, self.columns.split(","))))


class WordsOptions(ReadOptions):
    """Of which label the words are looked for."""

    label: Word | None = Field(default=None, description="By default the row's top label, in the chosen taxonomy.")


_ROW: dict[str, Any] = {
    "row": 17,
    "line": 18,
    "text": "I love this!",
    "emotion": "joy",
    "emotion_score": 0.9731,
    "emotions": ["joy"],
    "sentiment": "positive",
    "sentiment_score": 0.9964,
    "row_status": "ok",
    "flags": [],
    "cells": {"id": "17", "text": "I love this!"},
}


class RowOut(BaseModel):
    """One row of the file with what is said of it; `scores` come with `scores=all`, emotions not with `sentiment`.

    `listed_score` comes with `listed`.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_ROW]})

    row: int
    line: int
    text: str
    sentiment: str | None
    sentiment_score: float | None
    row_status: str
    flags: list[str] = Field(description="What speaks against the label; see `docs/flags.md`.")
    cells: dict[str, str]


class SearchedOut(BaseModel):
    """How far a search looked through the texts."""

    rows: int = Field(description="Rows looked through, or left out by another filter.")
    of: int
    done: bool = Field(
        description="False: time was up before the page was full; go on with `next`. Sorted by score, rows are given "
        "only when every text was looked through."
    )


class RowsOut(BaseModel):
    """Some rows, in the order asked for."""

    rows: list[RowOut]
    total: int = Field(description="Rows like that; in a search that is not done, those found so far.")
    next: str | None = Field(description=NEXT)
    previous: str | None = Field(description="Give it as `cursor` to go back; null at the beginning.")
    searched: SearchedOut | None


class ReadingOut(BaseModel):
    """What one taxonomy says of a row."""

    label: str
    score: float
    labels: list[str] = Field(description="All at or over their threshold.")
    scores: dict[str, float]


class RowDetailOut(RowOut):
    """One row, whole. `flags` are those of its record too: `ragged`, `windowed`, `capped`."""

    taxonomies: dict[str, ReadingOut] = Field(description="By taxonomy; none where the row was not scored.")

    @classmethod
    def of(cls, detail: RowDetail) -> RowDetailOut:
        """A row, and what every taxonomy says of it."""
        readings = {
            name: ReadingOut(
                label=reading.label, score=reading.score, labels=list(reading.labels), scores=dict(reading.scores)
            )
            for name, reading in detail.readings.items()
        }
        return cls.model_validate(detail.row | {"flags": list(detail.flags), "taxonomies": readings})


class WordOut(BaseModel):
    """A word, or some words in a row of a long text."""

    text: str
    start: int = Field(description="Where it begins in the row's text: characters, from 0.")
    end: int
    score: float = Field(description="Of the label, without it.")
    change: float = Field(description="What it adds to the label's score: above 0 it spoke for the label.")


class WordsOut(BaseModel):
    """Which words mattered for a label."""

    row: int
    taxonomy: str
    label: str
    score: float
    words: list[WordOut]
