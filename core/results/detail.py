"""One row, whole: every cell, every score, what each taxonomy says of it, and what else is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import NotFound, NotReady
from core.registry import ModelVersion
from core.results.labels import UNITS, StoredChunk, units_of
from core.results.query import FLAGS
from core.results.rows import RowTable
from core.states import RECORD, RowStatus
from core.taxonomy import Taxonomy


@dataclass(frozen=True)
class Reading:
    """What one taxonomy says of a row.

    Attributes:
        label, score: its top label.
        labels: all at or over their threshold.
        scores, thresholds: of every label, in the taxonomy's order.
    """

    label: str
    score: float
    labels: tuple[str, ...]
    scores: Mapping[str, float]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class RowDetail:
    """A row with all that is known of it.

    Attributes:
        row: as it stands in a page of rows.
        flags: names of what else is known of it: of its record, then what speaks against its label.
        readings: by taxonomy; none where the row was not scored.
    """

    row: dict[str, Any]
    flags: tuple[str, ...]
    readings: Mapping[str, Reading]


def detail_of(table: RowTable, model: ModelVersion, row: int, threshold: float | None) -> RowDetail:
    """A data row of a job.

    Args:
        threshold: of every label; None: the fitted ones.

    Raises:
        NotFound: the file has no such row (yet).
        NotReady: it has no result yet.
    """
    n_rows = table.n_rows
    if not 1 <= row <= n_rows:
        raise NotFound(f"There is no data row {row:,}.", next_step=f"The rows are 1 to {n_rows:,}.")
    stored, found = table.reader.stored(np.array([row]))
    if not found and table.is_active:
        raise NotReady("The row has no result yet.", next_step="Wait until a worker gets to it.")
    (described,) = table.reader.read([row])
    bits = stored.flags[0] if found else 0
    return RowDetail(
        row=described,
        flags=(*(name for name, flag in FLAGS.items() if bits & flag & RECORD), *described["flags"]),
        readings=_readings(model, stored, threshold) if stored.status == [RowStatus.OK] else {},
    )


def _readings(model: ModelVersion, stored: StoredChunk, threshold: float | None) -> dict[str, Reading]:
    logits = np.frombuffer(stored.logits, dtype="<f2").reshape(1, -1)
    return {name: _reading(taxonomy, logits, threshold) for name, taxonomy in model.taxonomies.items()}


def _reading(taxonomy: Taxonomy, logits: np.ndarray, threshold: float | None) -> Reading:
    exact = taxonomy.scores(logits)
    index, best = taxonomy.top(exact)
    said = taxonomy.selected(exact, threshold)[0]
    limits = taxonomy.thresholds if threshold is None else [threshold] * len(taxonomy.labels)
    return Reading(
        label=taxonomy.labels[int(index[0])],
        score=int(units_of(best)[0]) / UNITS,
        labels=tuple(taxonomy.names(said.tolist())),
        scores=dict(zip(taxonomy.labels, (units_of(exact[0]) / UNITS).tolist(), strict=True)),
        thresholds=dict(zip(taxonomy.labels, limits, strict=True)),
    )
