"""What goes in and out of the API about model versions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from core.registry import KnownModel
from core.results.comparison import Change
from web.paging import RowPageOptions
from web.schemas import NEXT, Query, Word

MODEL = "A model version that a living worker holds: its name, `name@version`, or 8 or more digits of its sha256."


class AgainOptions(Query):
    """With which model version."""

    model: Word | None = Field(default=None, description=f"{MODEL} Left out: the installation's.")


class CompareOptions(Query):
    """How two jobs are read."""

    taxonomy: Word | None = Field(default=None, description="`ekman` (default), `goemotions` or `sentiment`.")


class ChangesOptions(CompareOptions, RowPageOptions):
    """Which changed rows to show."""

    limit: int = Field(default=50, ge=1, le=500, description="How many at most.")


class LabelOut(BaseModel):
    """One label and the fitted score from which it is said."""

    label: str
    threshold: float


class ModelOut(BaseModel):
    """A model version."""

    name: str
    version: str
    sha256: str
    default: bool = Field(description="New jobs are labelled with it unless they name another.")
    workers: int = Field(description="Living workers that hold it; 0: it cannot label anything now.")
    slots: int = Field(description="Chunks that these work on at once.")
    first_seen: datetime
    default_taxonomy: str
    taxonomies: dict[str, list[LabelOut]]

    @classmethod
    def of(cls, model: KnownModel, default_sha256: str) -> Self:
        """A version as the registry has it."""
        taxonomies = {
            name: [LabelOut(label=row["label"], threshold=row["threshold"]) for row in fields["labels"]]
            for name, fields in model.manifest["taxonomies"].items()
        }
        return cls(
            name=model.name,
            version=model.version,
            sha256=model.sha256,
            default=model.sha256 == default_sha256,
            workers=model.workers,
            slots=model.slots,
            first_seen=model.first_seen,
            default_taxonomy=model.manifest["default_taxonomy"],
            taxonomies=taxonomies,
        )


class ModelsOut(BaseModel):
    """Model versions: the default one first, then the newest."""

    models: list[ModelOut]
    next: str | None = Field(description=NEXT)

    @classmethod
    def of(cls, models: Iterable[KnownModel], default_sha256: str, following: str | None) -> Self:
        """Versions as the registry has them, in their order."""
        return cls(models=[ModelOut.of(model, default_sha256) for model in models], next=following)


class PairOut(BaseModel):
    """How many rows one label became another in."""

    before: str
    after: str
    rows: int


class ChangeOut(BaseModel):
    """A row whose label differs."""

    row: int
    line: int
    text: str
    label_before: str
    score_before: float
    label_after: str
    score_after: float

    @classmethod
    def of(cls, change: Change) -> Self:
        """A change as `core.results.comparison` found it."""
        return cls(
            row=change.row,
            line=change.line,
            text=change.text,
            label_before=change.before,
            score_before=change.before_score,
            label_after=change.after,
            score_after=change.after_score,
        )


class ComparisonOut(BaseModel):
    """Two jobs of one upload: `before` is the first one of the address, `after` the second."""

    taxonomy: str
    rows: int = Field(description="Rows that both jobs have labelled.")
    same: int = Field(description="Of these, rows with the same label.")
    changed: int
    agreement: float | None = Field(description="`same` of `rows`; null where there is no row.")
    pairs: list[PairOut] = Field(description="What became what, the most frequent first.")
    changes: list[ChangeOut]
    next: str | None = Field(description=NEXT)
