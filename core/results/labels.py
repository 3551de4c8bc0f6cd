"""From the stored numbers of a chunk to what is said of each row. Pure: arrays in, strings and floats out.

A chunk is read column by column: a file of a million rows goes through here, and an object for each row and cell would
cost more than parsing and writing the file together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import flags
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

UNITS = 10**DIGITS
"""Units of the last decimal in 1."""

_WORDS = np.array([f"{units / UNITS:.{DIGITS}f}" for units in range(UNITS + 1)], dtype=object)
"""Every score there is, as text: looking one up is ten times as fast as formatting it."""

_COMBINATIONS = 4096
"""Combinations of labels whose text is remembered."""


@dataclass(frozen=True, slots=True)
class RowLabels:
    """What is said of one row. Scores are rounded; None and empty where the row was not scored."""

    emotion: str = ""
    emotion_score: float | None = None
    emotions: tuple[str, ...] = ()
    sentiment: str = ""
    sentiment_score: float | None = None
    status: str = ""
    flags: tuple[str, ...] = ()
    """`core.flags.WORDS` that speak against the label."""
    all_scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class StoredChunk:
    """A chunk's result as the ledger has it.

    Attributes:
        logits: rows × labels float16, little-endian.
        status, flags: one per row.
        detail: sparse, by index within the chunk.
    """

    logits: bytes
    status: list[int]
    flags: list[int]
    detail: Mapping[str, Any]


class Labeller:
    """Reads chunks of one model version with one choice of options.

    Raises:
        BadOption: the model has no such taxonomy.
    """

    def __init__(self, model: ModelVersion, options: ResultOptions) -> None:
        name = options.taxonomy or model.default_taxonomy
        if name not in model.taxonomies:
            raise BadOption(f"taxonomy={name!r} is unknown.", next_step=f"Use one of: {', '.join(model.taxonomies)}.")
        self.model = model
        self.taxonomy = model.taxonomies[name]
        self.fine = model.taxonomies[FINE]
        self.options = options
        self.sentiment = model.taxonomies[SENTIMENT]
        self.n_logits = len(model.labels)
        self.trust = model.trust
        self.neutral = flags.neutral_of(model.labels)
        self.remembered = lru_cache(maxsize=_COMBINATIONS)(self.combination)

    @property
    def has_emotions(self) -> bool:
        """Whether the emotion columns are there: with sentiment chosen they would only repeat it."""
        return self.taxonomy.name != SENTIMENT

    def rows(self, chunk: StoredChunk) -> Iterator[RowLabels]:
        """What is said of each row of a chunk, in order."""
        said = _Said(self, chunk, every=self.options.scores is Scores.ALL)
        every = said.column([tuple(row) for row in (said.every / UNITS).tolist()], ()) if said.has_every else repeat(())
        return map(
            RowLabels,
            said.column(said.emotion, ""),
            said.column((said.emotion_units / UNITS).tolist(), None),
            said.column([names for names, _ in said.emotions], ()),
            said.column(said.sentiment, ""),
            said.column((said.sentiment_units / UNITS).tolist(), None),
            said.status,
            flags.words(said.flags),
            every,
        )

    def as_dict(self, labels: RowLabels) -> dict[str, Any]:
        """What is said of one row, under the names of the output's columns; what is not said of it is None."""
        said: dict[str, Any] = {}
        if self.has_emotions:
            said = {"emotion": labels.emotion or None, "emotion_score": labels.emotion_score}
            said["emotions"] = list(labels.emotions)
        return said | {
            "sentiment": labels.sentiment or None,
            "sentiment_score": labels.sentiment_score,
            "row_status": labels.status,
            "flags": list(labels.flags),
        }

    def scores_of(self, labels: RowLabels) -> dict[str, float]:
        """The scores of all the model's own labels; none where the row was not scored, or they were not asked for."""
        return dict(zip(self.fine.labels, labels.all_scores, strict=False))

    def filler(self, columns: Sequence[str]) -> Callable[[StoredChunk], Iterator[tuple[str, ...]]]:
        """A function from a chunk to its rows' added cells, one for each of `OutputLayout.said_columns`."""
        score_at = {f"score_{label}": index for index, label in enumerate(self.fine.labels)}
        getters = [_CELLS[name] if name in _CELLS else _score_cells(score_at[name]) for name in columns]
        every = any(name in score_at for name in columns)

        def fill(chunk: StoredChunk) -> Iterator[tuple[str, ...]]:
            said = _Said(self, chunk, every=every)
            return zip(*(get(said) for get in getters), strict=True)

        return fill

    def combination(self, packed: bytes) -> tuple[tuple[str, ...], str]:
        """The labels set in one row of `numpy.packbits`, as a list and as a cell."""
        bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=len(self.taxonomy.labels))
        names = tuple(self.taxonomy.names(bits.astype(bool).tolist()))
        return names, "|".join(names)


class _Said:
    """What is said of the scored rows of one chunk, column by column; `column` puts the other rows between them.

    Attributes:
        emotion, sentiment: names of the top labels.
        emotion_units, sentiment_units: their scores, in units of the last decimal.
        emotions: labels over their threshold, as a list and as a cell.
        every: (scored, labels) scores of the model's own labels, in units; empty unless asked for.
        status: words for every row, scored or not.
        flags: (rows,) trust flags of every row.
    """

    def __init__(self, labeller: Labeller, chunk: StoredChunk, *, every: bool) -> None:
        status = np.array(chunk.status, dtype=np.int64)
        self._n = len(status)
        self._scored = np.flatnonzero(status == RowStatus.OK)
        logits = np.frombuffer(chunk.logits, dtype="<f2").reshape(self._n, labeller.n_logits)
        if len(self._scored) < self._n:
            logits = logits[self._scored]
        self.emotion, self.emotion_units, scores = _top(labeller.taxonomy, logits)
        chosen = np.packbits(labeller.taxonomy.selected(scores, labeller.options.threshold), axis=1)
        width, packed = chosen.shape[1], chosen.tobytes()
        self.emotions = [labeller.remembered(packed[at : at + width]) for at in range(0, len(packed), width)]
        self.sentiment, self.sentiment_units, _ = _top(labeller.sentiment, logits)
        self.has_every = every
        self.every = units_of(labeller.fine.scores(logits)) if every else np.empty((0, 0), dtype=np.int64)
        self.status = _status_column(chunk, status)
        self.flags = flags.stored(chunk.flags)
        self.flags[self._scored] |= flags.read_off(logits, scores, labeller.trust, labeller.neutral)

    def column(self, values: list[Any], blank: Any) -> list[Any]:
        """A column of the whole chunk: `values` where a row was scored, `blank` elsewhere."""
        if len(values) == self._n:
            return values
        whole = [blank] * self._n
        for at, value in zip(self._scored.tolist(), values, strict=True):
            whole[at] = value
        return whole


def _top(taxonomy: Taxonomy, logits: NDArray[np.float16]) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    """Names and scores (in units) of each row's best label, and (n, k) scores of all."""
    scores = taxonomy.scores(logits)
    index, best = taxonomy.top(scores)
    return np.array(taxonomy.labels, dtype=object)[index].tolist(), units_of(best), scores


def units_of(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Scores in units of the last decimal shown: what is compared and sorted is what is read."""
    return np.rint(scores * UNITS).astype(np.int64)


def _status_column(chunk: StoredChunk, status: NDArray[np.int64]) -> list[str]:
    """Words for each row; nearly all rows are plainly ok."""
    words = ["ok"] * len(status)
    for at in np.flatnonzero((status != RowStatus.OK) | (np.array(chunk.flags, dtype=np.int64) != 0)).tolist():
        words[at] = _status_words(chunk.status[at], chunk.flags[at], chunk.detail.get(str(at), {}))
    return words


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


def _score_cells(index: int) -> Callable[[_Said], list[str]]:
    return lambda said: said.column(_WORDS[said.every[:, index]].tolist(), "")


_CELLS: dict[str, Callable[[_Said], list[str]]] = {
    "emotion": lambda said: said.column(said.emotion, ""),
    "emotion_score": lambda said: said.column(_WORDS[said.emotion_units].tolist(), ""),
    "emotions": lambda said: said.column([cell for _, cell in said.emotions], ""),
    "sentiment": lambda said: said.column(said.sentiment, ""),
    "sentiment_score": lambda said: said.column(_WORDS[said.sentiment_units].tolist(), ""),
    "row_status": lambda said: said.status,
    "flags": lambda said: flags.cells(said.flags),
}
"""What stands in each added column but those of single scores."""
