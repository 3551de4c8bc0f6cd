"""Calibrated scores of many rows at once, label by label: the same numbers as `Taxonomy.scores`, some times faster.

A float16 has 65,536 values. What depends on one logit alone (most labels) is looked up in a table that the taxonomy's
own functions filled, so it is equal to the last bit; only groups of several labels are computed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.taxonomy import Floats, Taxonomy, calibrated, sigmoid

STEPS = 100
"""Thresholds from 0 to 1 on which scores are counted: every hundredth."""

_EDGES = np.append(np.arange(STEPS + 1) / STEPS, np.inf)
_VALUES = 1 << 16

Bits = NDArray[np.uint16]


def scored(logits: bytes, n_labels: int) -> tuple[Bits, NDArray[np.bool_]]:
    """Stored logits, label by label.

    Args:
        logits: rows × labels float16, little-endian, row-major; NaN where a row was not scored.

    Returns:
        (labels, n) bits of the float16 of the scored rows, and (rows,) whether each row was scored.
    """
    bits = np.frombuffer(logits, dtype="<u2").reshape(-1, n_labels)
    is_scored = (bits[:, 0] & 0x7FFF) <= 0x7C00  # above infinity's bits every float16 is a NaN
    if not is_scored.all():
        bits = bits[is_scored]
    return np.ascontiguousarray(bits.T), is_scored


def scores(taxonomy: Taxonomy, bits: Bits) -> Floats:
    """(labels, n) bits of logits to (k, n) float64 calibrated scores, as `Taxonomy.scores` transposed."""
    found = np.empty((len(taxonomy.labels), bits.shape[1]))
    chances = _chances()
    for at, (members, fit) in enumerate(zip(taxonomy.members, taxonomy.calibration, strict=True)):
        if len(members) == 1:
            np.take(_single(fit.slope, fit.offset), bits[members[0]], out=found[at])
            continue
        miss = 1.0 - chances[bits[members[0]]]
        for member in members[1:]:  # in the order of `noisy_or`
            miss *= 1.0 - chances[bits[member]]
        found[at] = calibrated(1.0 - miss, fit.slope, fit.offset)
    return found


def steps(scores: Floats) -> NDArray[np.uint8]:
    """How many thresholds of 1/100, 2/100 … 1 each score reaches: 0 to 100, of the same shape."""
    found = (scores * STEPS).astype(np.uint8)
    # The product is rounded: whether a threshold is reached is decided by comparing, as `Taxonomy.selected` does.
    found += scores >= _EDGES[found + 1]
    found -= scores < _EDGES[found]
    return found


@lru_cache(maxsize=1)
def _chances() -> Floats:
    """The probability that each float16 logit means, by its bits."""
    every = np.arange(_VALUES, dtype="<u2").view("<f2").astype(np.float64)
    return sigmoid(np.nan_to_num(every, nan=0.0))


@lru_cache(maxsize=128)
def _single(slope: float, offset: float) -> Floats:
    """The calibrated score of a label of one member, by the bits of its logit."""
    return calibrated(_chances(), slope, offset)
