"""What the API says of a file before it is sent."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field

from core.preview import Preview
from web.forecast import SHOWN, Forecast
from web.schemas import TextColumn


class PreviewRowOut(BaseModel):
    """One data row as it will be read, and what is said of it."""

    row: int = Field(description="Data row, from 1.")
    line: int = Field(description="Line of the file where it starts, from 1.")
    cells: list[str]
    labels: dict[str, Any] | None = Field(
        description="As the rows of a job have them; null where none were asked for, or the text is long."
    )


class RangeOut(BaseModel):
    """A range; the same number twice where it is known."""

    low: int | float
    high: int | float


class PreviewOut(BaseModel):
    """What a file will be taken for. Nothing of it is kept."""

    format: dict[str, Any] = Field(description="What was detected about the file, overrides included.")
    text_column: TextColumn | None = Field(description="What would be labelled; null: `problem` says why.")
    problem: dict[str, Any] | None = Field(
        description="What would stop a job: code, what, next_step, row, line, column; null: nothing so far."
    )
    warnings: list[dict[str, Any]] = Field(description="What is odd: code, message, row, line, count.")
    rows: list[PreviewRowOut] = Field(description="The first data rows, 20 at most.")
    rows_total: RangeOut = Field(description="How many data rows the whole file has.")
    seconds: RangeOut | None = Field(description="Work of the workers alive now; null where it is not known.")
    labels_missing: str | None = Field(description="Why there are no labels, if they were asked for.")

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "format": {"encoding": "utf-8", "delimiter": ";", "has_header": True, "header": ["id", "text"]},
                    "text_column": {"index": 1, "name": "text", "guessed": True, "reason": "its name says so"},
                    "problem": None,
                    "warnings": [],
                    "rows": [{"row": 1, "line": 2, "cells": ["1", "I love this!"], "labels": {"emotion": "joy"}}],
                    "rows_total": {"low": 900, "high": 1100},
                    "seconds": {"low": 0.5, "high": 1.2},
                    "labels_missing": None,
                }
            ]
        }
    }

    @classmethod
    def of(cls, preview: Preview, forecast: Forecast | None, missing: str | None) -> Self:
        """A look at a file, with labels or without."""
        labels = forecast.results if forecast else [None] * SHOWN
        return cls.model_validate(
            {
                "format": preview.format.to_dict(),
                "text_column": vars(preview.text_column) if preview.text_column else None,
                "problem": preview.problem.to_dict() if preview.problem else None,
                "warnings": [warning.to_dict() for warning in preview.warnings],
                "rows": [
                    {"row": record.row, "line": record.line, "cells": record.cells, "labels": said}
                    for record, said in zip(preview.records[:SHOWN], labels, strict=False)
                ],
                "rows_total": vars(preview.rows),
                "seconds": vars(forecast.duration) if forecast and forecast.duration else None,
                "labels_missing": missing,
            }
        )
