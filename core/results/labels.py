"""From the stored numbers of a chunk to what is said of each row. Pure: arrays in, strings and floats out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import BadOption
from core.registry import ModelVersion
from core.results.options import ResultOptions, Scores
from core.states import RowFlag, RowStatus
from core.taxonomy import Taxonomy

SENTIMENT = "sentiment"
FINE = "goemotions"
"""The taxonomy of the model's own labels: ``score_<label>`` are its scores."""

DIGITS = 4
"""Decimals of a score: float16 logits carry no more."""


@dataclass(frozen=True)
class RowLabels:
    """What is said of one row. Scores are rounded; None and empty where the row was not scored."""

    emotion: str = ""
    emotion_score: float | None = None
    emotions: tuple[str, ...] = ()
    sentiment: str = ""
    sentiment_score: float | None = None
    status: str = ""
    all_scores: tuple[float, ...] = ()


class Labeller:
    """Reads chunks of one model version with one choice of options.

    Raises:
        BadOption: the model has no such taxonomy.
    """

    def __init__(self, model: ModelVersion, options: ResultOptions) -> None:
        name = options.taxonomy or model.default_taxonomy
        if name not in model.taxonomies:
            raise BadOption(f"taxonomy={name!r} is unknown.", next_step=f"Use one of: {', '.join(model.taxonomies)}.")
        self.taxonomy = model.taxonomies[name]
        self.fine = model.taxonomies[FINE]
        self.options = options
        self._model = model
        self._sentiment = model.taxonomies[SENTIMENT]

    @property
    def has_emotions(self) -> bool:
        """Whether the emotion columns are there: with sentiment chosen they would only repeat it."""
        return self.taxonomy.name != SENTIMENT

    def filler(self, columns: Sequence[str]) -> Callable[[RowLabels], list[str]]:
        """A function from a row's labels to its added cells, one for each of `OutputLayout.columns`."""
        score_at = {f"score_{label}": index for index, label in enumerate(self.fine.labels)}
        getters = [_CELLS[name] if name in _CELLS else _score_cell(score_at[name]) for name in columns]
        return lambda row: [get(row) for get in getters]

    def rows(
        self, logits: bytes, status: list[int], flags: list[int], detail: Mapping[str, Any]
    ) -> Iterator[RowLabels]:
        """What is said of each row of a stored chunk.

        Args:
            logits: n × labels float16, little-endian, as stored.
            status, flags: one per row.
            detail: sparse, by index within the chunk.
        """
        numbers = np.frombuffer(logits, dtype="<f2").reshape(len(status), len(self._model.labels))
        scored = np.flatnonzero(np.array(status) == RowStatus.OK)
        said = iter(self._score(numbers[scored]))
        for index, state in enumerate(status):
            words = _status_words(state, flags[index], detail.get(str(index), {}))
            if state == RowStatus.OK:
                emotion, emotion_score, emotions, sentiment, sentiment_score, every = next(said)
                yield RowLabels(emotion, emotion_score, emotions, sentiment, sentiment_score, words, every)
            else:
                yield RowLabels(status=words)

    def _score(self, logits: np.ndarray) -> Iterator[tuple[Any, ...]]:
        if not len(logits):
            return
        every: list[tuple[float, ...]] = [()] * len(logits)
        if self.options.scores is Scores.ALL:
            every = [tuple(row) for row in np.round(self.fine.scores(logits), DIGITS).tolist()]
        emotion, emotion_score, chosen = self._read(self.taxonomy, logits)
        sentiment, sentiment_score, _ = self._read(self._sentiment, logits)
        lists = [tuple(self.taxonomy.labels[at] for at in np.flatnonzero(row)) for row in chosen]
        yield from zip(emotion, emotion_score, lists, sentiment, sentiment_score, every, strict=True)

    def _read(self, taxonomy: Taxonomy, logits: np.ndarray) -> tuple[list[str], list[float], np.ndarray]:
        scores = taxonomy.scores(logits)
        top, score = taxonomy.top(scores)
        names = [taxonomy.labels[at] for at in top.tolist()]
        return names, np.round(score, DIGITS).tolist(), taxonomy.selected(scores, self.options.threshold)


def _status_words(status: int, flags: int, detail: Mapping[str, Any]) -> str:
    if status == RowStatus.EMPTY:
        return "empty"
    if status == RowStatus.FAILED:
        return f"failed: {detail.get('reason', 'unknown')}"
    notes = []
    if flags & RowFlag.RAGGED:
        notes.append("ragged")
    if flags & RowFlag.WINDOWED:
        notes.append(f"windowed {detail.get('windows', 2)}")
    if flags & RowFlag.CAPPED:
        notes.append("capped")
    return f"ok: {', '.join(notes)}" if notes else "ok"


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.{DIGITS}f}"


def _score_cell(index: int) -> Callable[[RowLabels], str]:
    return lambda row: _number(row.all_scores[index]) if row.all_scores else ""


_CELLS: dict[str, Callable[[RowLabels], str]] = {
    "emotion": lambda row: row.emotion,
    "emotion_score": lambda row: _number(row.emotion_score),
    "emotions": lambda row: "|".join(row.emotions),
    "sentiment": lambda row: row.sentiment,
    "sentiment_score": lambda row: _number(row.sentiment_score),
    "row_status": lambda row: row.status,
}
"""What stands in each added column but those of single scores."""
