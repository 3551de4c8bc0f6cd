"""The one place where the model's 28 numbers become labels.

The model runs once and its logits are stored; everything a user sees afterwards (emotion, score, list of emotions,
sentiment, another taxonomy, another threshold) is a pure function of those stored numbers, and this is that function.
Page, download and API all call it, so they cannot disagree.

    p = sigmoid(logit)                            one label of the model
    raw = 1 - Π(1 - p)                            a group of labels: noisy-or over its members
    score = sigmoid(slope · logit(raw) + offset)  calibrated (Platt 1999): slope > 0, so the order of rows never changes

All arithmetic is float64 on the stored float16, element by element along a row: a row's score does not depend on the
rows around it. NumPy and the standard library only: `web` imports this, and has no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Beyond ±27.6 a float64 probability is 0 or 1 for every purpose; the bound keeps logit(raw) finite when a float16
# overflowed to infinity or a group's noisy-or rounds to 1.
_EPS = 1e-12


def sigmoid(logits: NDArray[Any]) -> Floats:
    """Element-wise 1 / (1 + exp(-logit)), of any shape, as float64.

    Infinities give 0 and 1. Raises ValueError on NaN: it would compare false with every threshold and look like
    "no emotion".
    """
    z = np.asarray(logits, dtype=np.float64)
    if np.isnan(z).any():
        raise ValueError("The logits contain NaN.")
    e = np.exp(-np.abs(z))  # never overflows, whatever the sign
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def logit(p: NDArray[Any]) -> Floats:
    """Element-wise log(p / (1 - p)) of probabilities, as float64; p is held within [1e-12, 1 - 1e-12]."""
    p = np.clip(np.asarray(p, dtype=np.float64), _EPS, 1.0 - _EPS)
    return np.log(p) - np.log1p(-p)


def noisy_or(p: NDArray[Any], members: Sequence[int]) -> Floats:
    """The probability that at least one of `members` holds, were they independent: 1 - Π(1 - p).

    Args:
        p: (n, 28) probabilities.
        members: column indices, at least one.

    Returns:
        (n,) float64. One member gives that column itself, bit for bit.
    """
    p = np.asarray(p, dtype=np.float64)
    if len(members) == 1:
        return p[:, members[0]]
    miss = 1.0 - p[:, members[0]]
    for member in members[1:]:  # a fixed order, so that no summation tree depends on the batch
        miss = miss * (1.0 - p[:, member])
    return 1.0 - miss


def calibrated(raw: NDArray[Any], slope: NDArray[Any] | float, offset: NDArray[Any] | float) -> Floats:
    """Raw scores of any shape to probabilities of the same shape, float64; strictly increasing in `raw`."""
    return sigmoid(slope * logit(raw) + offset)


@dataclass(frozen=True)
class Calibration:
    """Raw score to probability for one label: sigmoid(slope · logit(raw) + offset). Identity by default."""

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and np.isfinite(self.offset) and self.slope > 0):
            raise ValueError(f"A calibration needs a finite slope over 0 and a finite offset: {self}.")


@dataclass(frozen=True)
class Taxonomy:
    """A set of labels derived from the model's 28, with how each is scored and when it is said.

    Attributes:
        name: `goemotions`, `ekman`, `sentiment`, or a user's own.
        labels: k names in output order, neutral last.
        members: for each label the indices, into the model's 28, of what it gathers.
        calibration: for each label, raw score to probability.
        thresholds: for each label the calibrated score from which `selected` says it ("auto").

    Raises ValueError where these do not fit together.
    """

    name: str
    labels: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    calibration: tuple[Calibration, ...]
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"Taxonomy {self.name!r} needs labels, each once.")
        if not len(self.labels) == len(self.members) == len(self.calibration) == len(self.thresholds):
            raise ValueError(f"Taxonomy {self.name!r}: labels, members, calibration and thresholds differ in length.")
        for label, group in zip(self.labels, self.members, strict=True):
            if not group or len(set(group)) != len(group) or min(group) < 0:
                raise ValueError(f"Taxonomy {self.name!r}: the members of {label!r} are not labels of the model.")
        if not all(0.0 < t < 1.0 for t in self.thresholds):
            raise ValueError(f"Taxonomy {self.name!r}: a threshold is not between 0 and 1.")

    @property
    def width(self) -> int:
        """How many logits of a row it reads: one more than its highest member."""
        return 1 + max(max(group) for group in self.members)

    def raw(self, logits: NDArray[Any]) -> Floats:
        """(n, 28) logits to (n, k) float64 raw scores: noisy-or over each label's members, not yet calibrated."""
        logits = np.asarray(logits)
        if logits.ndim != 2 or logits.shape[1] < self.width:
            raise ValueError(f"Taxonomy {self.name!r} reads rows of {self.width} logits, not shape {logits.shape}.")
        p = sigmoid(logits)
        raw = np.empty((len(p), len(self.members)))
        alone = [at for at, group in enumerate(self.members) if len(group) == 1]
        raw[:, alone] = p[:, [self.members[at][0] for at in alone]]  # most labels: all of them at once
        for at, group in enumerate(self.members):
            if len(group) > 1:
                raw[:, at] = noisy_or(p, group)
        return raw

    def scores(self, logits: NDArray[Any]) -> Floats:
        """Stored logits to calibrated probabilities.

        Args:
            logits: (n, 28) as stored, little-endian float16 (float32 is taken too); n may be 0.

        Returns:
            (n, k) float64, each within [0, 1], columns in the order of `labels`.

        Raises:
            ValueError: another shape, or NaN.
        """
        slopes = np.array([calibration.slope for calibration in self.calibration])
        offsets = np.array([calibration.offset for calibration in self.calibration])
        return calibrated(self.raw(logits), slopes, offsets)

    def top(self, scores: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
        """(n, k) scores to the index (n,) int64 and score (n,) float64 of each row's best label; ties: the first."""
        scores = np.asarray(scores, dtype=np.float64)
        index = scores.argmax(axis=1).astype(np.int64)
        return index, scores[np.arange(len(scores)), index]

    def selected(self, scores: NDArray[Any], threshold: float | None = None) -> NDArray[np.bool_]:
        """Which labels are said: (n, k) scores to (n, k) bool, true at or over the threshold.

        `threshold` replaces every label's; None ("auto") keeps the fitted ones. A row may have none.
        """
        scores = np.asarray(scores, dtype=np.float64)
        return scores >= (np.asarray(self.thresholds) if threshold is None else threshold)

    def names(self, selected: Iterable[bool]) -> list[str]:
        """The labels of one row of `selected`, in output order."""
        return [label for label, chosen in zip(self.labels, selected, strict=True) if chosen]

    def to_dict(self) -> dict[str, Any]:
        """The taxonomy as it stands in `emobatch.json`: one entry for each label, in output order."""
        return {
            "name": self.name,
            "labels": [
                {
                    "label": label,
                    "members": list(group),
                    "slope": calibration.slope,
                    "offset": calibration.offset,
                    "threshold": threshold,
                }
                for label, group, calibration, threshold in zip(
                    self.labels, self.members, self.calibration, self.thresholds, strict=True
                )
            ],
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Taxonomy:
        """The inverse of `to_dict`. Raises ValueError where a field is missing or does not fit."""
        try:
            rows = fields["labels"]
            return cls(
                name=str(fields["name"]),
                labels=tuple(str(row["label"]) for row in rows),
                members=tuple(tuple(int(i) for i in row["members"]) for row in rows),
                calibration=tuple(Calibration(float(row["slope"]), float(row["offset"])) for row in rows),
                thresholds=tuple(float(row["threshold"]) for row in rows),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"Not a taxonomy: {error!r}") from error


def plain(name: str, groups: dict[str, Sequence[int]], threshold: float = 0.5) -> Taxonomy:
    """A taxonomy as it is before anything is fitted: scores are raw, every threshold is the same."""
    return Taxonomy(
        name=name,
        labels=tuple(groups),
        members=tuple(tuple(group) for group in groups.values()),
        calibration=tuple(Calibration() for _ in groups),
        thresholds=tuple(threshold for _ in groups),
    )
