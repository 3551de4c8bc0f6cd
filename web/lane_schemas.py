"""What goes in and out of the API where somebody waits for a worker: texts, and the first rows of a file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.classify_requests import Answer
from core.registry import ModelVersion
from core.results import ResultOptions
from core.results.labels import Labeller, StoredChunk
from web.schemas import TAXONOMY, CreateOptions, Word, YesNo

_RESULT: dict[str, Any] = {
    "emotion": "joy",
    "emotion_score": 0.9731,
    "emotions": ["joy"],
    "sentiment": "positive",
    "sentiment_score": 0.9964,
    "row_status": "ok",
    "flags": [],
}


class PreviewOptions(CreateOptions):
    """What may be said about a file before it is sent, and how its first rows are to be labelled."""

    bytes: int | None = Field(
        default=None, ge=1, description="Size of the whole file, if the body is only its beginning."
    )
    taxonomy: Word | None = Field(default=None, description=TAXONOMY)
    threshold: Word | None = Field(
        default=None, description="A number from 0 to 1 for every label, or `auto` (fitted)."
    )
    labels: YesNo = Field(default="yes", description="`no`: only what is detected; no worker is asked.")

    @property
    def reading(self) -> ResultOptions:
        """How labels are read. Raises BadOption for a threshold that is no number from 0 to 1."""
        return ResultOptions.parse(self.taxonomy, self.threshold)


class ClassifyIn(BaseModel):
    """Texts to be labelled at once, and how to read the answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"texts": ["I love this!", "Where is my parcel?"], "taxonomy": "ekman"}]},
    )

    texts: list[str] = Field(min_length=1, max_length=64, description="1 to 64, together as long as a chunk (32 KiB).")
    taxonomy: str | None = Field(default=None, description=TAXONOMY)
    threshold: float | str | None = Field(
        default=None, description="A number from 0 to 1 for every label, or `auto` (fitted)."
    )
    scores: str | None = Field(default=None, description="`none`, `top` (default) or `all`.")

    @field_validator("texts")
    @classmethod
    def _must_be_text(cls, given: list[str]) -> list[str]:
        for text in given:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ValueError("half of a surrogate pair is no text") from None
        return given

    @field_validator("threshold", mode="before")
    @classmethod
    def _must_be_no_bool(cls, given: Any) -> Any:
        if isinstance(given, bool):  # pydantic would take false for 0
            raise ValueError("use a number from 0 to 1, or auto")
        return given

    @property
    def options(self) -> ResultOptions:
        """Raises BadOption for a threshold out of range or an unknown word."""
        threshold = None if self.threshold is None else str(self.threshold)
        return ResultOptions.parse(self.taxonomy, threshold, self.scores)


class TextOut(BaseModel):
    """What is said of one text, in the words of a file's rows. Emotions are left out with `sentiment`."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_RESULT]})

    sentiment: str | None
    sentiment_score: float | None
    row_status: str
    flags: list[str]


class ClassifyOut(BaseModel):
    """Labels, in the order of the texts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model_version": "1.0.0", "model_sha256": "9f0c…", "taxonomy": "ekman", "results": [_RESULT]}]
        }
    )

    model_version: str
    model_sha256: str
    taxonomy: str
    results: list[TextOut]

    @classmethod
    def of(cls, model: ModelVersion, options: ResultOptions, answer: Answer) -> ClassifyOut:
        """An answer of the lane, read with some options. Raises BadOption for an unknown taxonomy."""
        labeller = Labeller(model, options)
        return cls.model_validate(
            {
                "model_version": model.version,
                "model_sha256": model.sha256,
                "taxonomy": labeller.taxonomy.name,
                "results": results_of(labeller, answer),
            }
        )


def results_of(labeller: Labeller, answer: Answer) -> list[dict[str, Any]]:
    """What is said of each text; with `scores=all` also the scores of the model's labels, as in the rows of a job."""
    results = []
    for labels in labeller.rows(StoredChunk(answer.logits, answer.status, answer.flags, answer.detail)):
        said = labeller.as_dict(labels)
        if labels.all_scores:
            said["scores"] = labeller.scores_of(labels)
        results.append(said)
    return results
