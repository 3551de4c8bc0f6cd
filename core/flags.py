"""Trust flags: what makes a row's label doubtful, beyond its score.

A model answers whatever it is asked, with a confident "neutral" above all: to a text in German, to a line of code, to a
part number. So each row says what speaks against its label. Two flags need the text and are stored with the result
(`RowFlag.NO_WORDS`, `NOT_ENGLISH`, set by the worker); two are read off the stored logits here, as labels are, and so
can never disagree with them.

**Unfamiliar.** The usual measure of distance, the energy −log Σ exp(logit) (Liu et al. 2020), fails here: strange text
gets *more* of it than GoEmotions' dev split does, all of it for neutral. Without neutral it tells them apart (area
under the curve 0.97 for foreign text, 0.98 for program code, over 0.99 for random letters: `training/trust.py`).

    trace = log Σ exp(logit), over all labels but neutral       unfamiliar where trace < `Trust.trace`

**Close.** The best two labels of the chosen taxonomy differ by less than `Trust.margin`.

NumPy and the standard library only: `web` imports this, and has no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.states import RowFlag

NEUTRAL = "neutral"
MARGIN = 0.1
"""Difference of calibrated scores under which the second label is nearly as often right as the best: dev 35 % and 44 %,
of a tenth of the rows (`training/trust.py`)."""

WORDS: Mapping[RowFlag, str] = {
    RowFlag.NO_WORDS: "no_words",
    RowFlag.NOT_ENGLISH: "not_english",
    RowFlag.UNFAMILIAR: "unfamiliar",
    RowFlag.CLOSE: "close",
}
"""The words of the column ``flags``, in the order they stand there."""

MEANINGS: Mapping[str, str] = {
    "no_words": "nothing but numbers, signs, emoji or links",
    "not_english": "another language than the model learnt",
    "unfamiliar": "unlike the texts that the model was fitted on",
    "close": "the two best labels are nearly as likely",
}
"""The same in words for people."""

READ_OFF = RowFlag.UNFAMILIAR | RowFlag.CLOSE
"""Those that no result stores."""

_STORED = int(RowFlag.NO_WORDS | RowFlag.NOT_ENGLISH)
_ALL = sum(int(flag) for flag in WORDS)
_SHIFT = int(RowFlag.NO_WORDS).bit_length() - 1
_SETS = tuple(
    tuple(word for flag, word in WORDS.items() if bits << _SHIFT & flag) for bits in range((_ALL >> _SHIFT) + 1)
)
_CELLS = np.array(["|".join(words) for words in _SETS], dtype=object)
"""Every combination as a cell of the CSV."""


@dataclass(frozen=True)
class Trust:
    """What a model version calls unfamiliar and close; fitted on dev by `training`, kept in the model directory.

    Attributes:
        trace: no row is unfamiliar where it is None, as with models made before this was measured.
        margin: of calibrated scores, 0 to 1.
    """

    trace: float | None = None
    margin: float = MARGIN

    def to_dict(self) -> dict[str, Any]:
        """As it stands in `emobatch.json`."""
        return {"trace": self.trace, "margin": self.margin}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any] | None) -> Trust:
        """The inverse; None, of a model directory that says nothing of it, gives the defaults."""
        if fields is None:
            return cls()
        trace = fields["trace"]
        return cls(None if trace is None else float(trace), float(fields["margin"]))


def neutral_of(labels: Sequence[str]) -> int | None:
    """Neutral's column among a model's labels; None: it has no such label."""
    return labels.index(NEUTRAL) if NEUTRAL in labels else None


def trace(logits: NDArray[Any], neutral: int | None) -> NDArray[np.float64]:
    """(n, labels) logits to (n,) float64: log Σ exp(logit) without the column `neutral` (None: of all)."""
    z = np.asarray(logits, dtype=np.float64)
    if neutral is not None:
        z = np.delete(z, neutral, axis=1)
    with np.errstate(divide="ignore"):  # a row of -inf has no trace at all
        return np.log(np.exp(np.minimum(z, 700.0)).sum(axis=1))


def read_off(logits: NDArray[Any], scores: NDArray[np.float64], trust: Trust, neutral: int | None) -> NDArray[np.int64]:
    """What stored numbers say against their labels.

    Args:
        logits: (n, labels) as stored, none of them NaN.
        scores: (n, k) calibrated scores of the chosen taxonomy.
        trust: the model version's.
        neutral: neutral's column in `logits`; None: the model has none.

    Returns:
        (n,) of `RowFlag.UNFAMILIAR` and `RowFlag.CLOSE`.
    """
    found = np.zeros(len(scores), dtype=np.int64)
    if scores.shape[1] > 1:
        best = np.partition(scores, -2, axis=1)[:, -2:]
        found[best[:, 1] - best[:, 0] < trust.margin] |= int(RowFlag.CLOSE)
    if trust.trace is not None:
        found[trace(logits, neutral) < trust.trace] |= int(RowFlag.UNFAMILIAR)
    return found


def stored(flags: Iterable[int]) -> NDArray[np.int64]:
    """Of a chunk's stored flags (n,) those that are trust flags; the others stand in a row's status."""
    return np.array(flags, dtype=np.int64) & _STORED


def cells(flags: NDArray[np.int64]) -> list[str]:
    """Trust flags (n,) as cells: their words joined by ``|``."""
    return _CELLS[flags >> _SHIFT].tolist()


def words(flags: NDArray[np.int64]) -> list[tuple[str, ...]]:
    """Trust flags (n,) as tuples of words."""
    return [_SETS[bits] for bits in (flags >> _SHIFT).tolist()]


def count(flags: NDArray[np.int64]) -> dict[str, int]:
    """How many rows of (n,) have each flag; those that none has are left out."""
    return {word: int(n) for flag, word in WORDS.items() if (n := np.count_nonzero(flags & int(flag)))}
