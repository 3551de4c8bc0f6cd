"""Rows that failed, mended: a child job's results take the place of those that its parent's rows had.

A failed row is fixed by its owner and sent back in a file of its own, which is labelled as a child job. When that is
over its results are written over those of the failed rows, so whatever reads the parent's results (files, pages,
counts, SQL) sees one job. The cells come from the child's file: `mended_row` says where each row lies in it.

This is the one place that changes a `result_chunk` after it was inserted, and only rows that had failed.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from core import flags, registry
from core.arrays import Reals, SmallInts
from core.ledger.commits import add_counts, to_json
from core.ledger.leases import changed
from core.registry import ModelVersion
from core.states import RowStatus


@dataclass(frozen=True)
class _Pair:
    """A parent's row and the child's row that mends it, both from 1."""

    chunk_no: int
    row_no: int
    child_row: int


@dataclass
class _Results:
    """Results of rows, of one chunk or of several."""

    logits: NDArray[np.float16]
    top_label: list[int]
    top_score: list[float]
    status: list[int]
    flags: list[int]
    detail: dict[str, Any]
    label_counts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Any) -> _Results:
        """A row of `result_chunk`."""
        logits = np.frombuffer(row.logits, dtype="<f2").reshape(row.n_rows, -1).copy()
        return cls(logits, row.top_label, row.top_score, row.status, row.flags, dict(row.detail), row.label_counts)


_PAIRS = text("""
SELECT c.chunk_no, m.row_no, m.child_row FROM mended_row m
JOIN chunk c ON c.job_id = m.job_id AND m.row_no >= c.first_row AND m.row_no < c.first_row + c.n_rows
WHERE m.job_id = :parent AND m.child_job_id = :child AND NOT m.merged ORDER BY m.row_no
""")
_LOCKED = text("SELECT * FROM result_chunk WHERE job_id = :parent AND chunk_no = :chunk_no FOR UPDATE")
_CHILDS = text("""
SELECT * FROM result_chunk WHERE job_id = :child AND first_row <= :row AND first_row + n_rows > :row
""")
_WRITE = text("""
UPDATE result_chunk SET logits = :logits, top_label = :top_label, top_score = :top_score, status = :status,
    flags = :flags, detail = CAST(:detail AS jsonb), label_counts = CAST(:label_counts AS jsonb)
WHERE job_id = :parent AND chunk_no = :chunk_no
""")
_PARENT = text("""
SELECT label_counts, flag_counts, runtimes FROM job
WHERE id = :parent AND state = 'completed_with_errors' AND deleted_at IS NULL FOR NO KEY UPDATE
""")


def merge(session: Session, child_id: uuid.UUID) -> bool:
    """Gives a finished child's rows to its parent, in the transaction that finishes the child.

    A row that failed again stays failed, for its new reason and with its new cells, and can be sent back again. Locks
    are taken in the order child, the parent's chunks, parent.

    Returns:
        Whether there was a parent that still wanted them.
    """
    child = session.execute(
        text("""
        SELECT c.mends_job_id AS parent, c.rows_ok, c.rows_skipped, c.rows_identical, c.label_counts, c.flag_counts,
            c.runtimes, p.model_sha256
        FROM job c JOIN job p ON p.id = c.mends_job_id
        WHERE c.id = :child AND p.state = 'completed_with_errors' AND p.deleted_at IS NULL
        """),
        {"child": child_id},
    ).one_or_none()
    if child is None:
        return False
    ids = {"parent": child.parent, "child": child_id}
    model = registry.model_version(session, child.model_sha256)
    pairs = [_Pair(*row) for row in session.execute(_PAIRS, ids)]
    had: Counter[str] = Counter()
    for chunk_no, group in groupby(pairs, key=lambda pair: pair.chunk_no):
        had.update(_mend_chunk(session, ids, chunk_no, list(group), model))
    parent = session.execute(_PARENT, ids).one_or_none()
    if parent is None:
        return False  # deleted just now: what was written goes with it
    # What an earlier child brought for the same rows is of no more use.
    changed(
        session,
        """
        DELETE FROM mended_row old USING mended_row new WHERE old.job_id = :parent AND old.merged
            AND new.job_id = :parent AND new.child_job_id = :child AND NOT new.merged AND new.row_no = old.row_no
        """,
        ids,
    )
    changed(session, "UPDATE mended_row SET merged = true WHERE job_id = :parent AND child_job_id = :child", ids)
    changed(session, "DELETE FROM figure WHERE job_id = :parent", ids)  # counted of what the rows were before
    changed(
        session,
        """
        UPDATE job SET rows_ok = rows_ok + :ok, rows_skipped = rows_skipped + :skipped,
            rows_failed = rows_failed - :ok - :skipped, rows_identical = rows_identical + :identical,
            label_counts = CAST(:counts AS jsonb), flag_counts = CAST(:flag_counts AS jsonb),
            runtimes = CAST(:runtimes AS jsonb), revision = revision + 1,
            state = CASE WHEN rows_failed = :ok + :skipped THEN 'completed' ELSE state END
        WHERE id = :parent
        """,
        {
            "parent": child.parent,
            "ok": child.rows_ok,
            "skipped": child.rows_skipped,
            "identical": child.rows_identical,
            "counts": to_json(add_counts(parent.label_counts, child.label_counts)),
            # What a row's words say is known of a failed one too: it is counted once, as it is now.
            "flag_counts": to_json(dict(Counter(parent.flag_counts) + Counter(child.flag_counts) - had)),
            "runtimes": to_json(dict(Counter(parent.runtimes) + Counter(child.runtimes))),
        },
    )
    return True


def _mend_chunk(
    session: Session, ids: dict[str, uuid.UUID], chunk_no: int, pairs: Sequence[_Pair], model: ModelVersion
) -> dict[str, int]:
    """Writes over the rows of one chunk; the trust flags that these had, counted."""
    row = session.execute(_LOCKED, {**ids, "chunk_no": chunk_no}).one()
    into = _Results.of(row)
    had = flags.count(flags.stored([into.flags[pair.row_no - row.first_row] for pair in pairs]))
    mended = []
    for pair, source, at in _sources(session, ids, pairs):
        index = pair.row_no - row.first_row
        into.logits[index] = source.logits[at]
        into.top_label[index], into.top_score[index] = source.top_label[at], source.top_score[at]
        into.status[index], into.flags[index] = source.status[at], source.flags[at]
        into.detail.pop(str(index), None)
        if str(at) in source.detail:
            into.detail[str(index)] = source.detail[str(at)]
        if source.status[at] == RowStatus.OK:
            mended.append(index)
    session.execute(
        _WRITE,
        {
            **ids,
            "chunk_no": chunk_no,
            "logits": into.logits.tobytes(),
            "top_label": SmallInts(into.top_label),
            "top_score": Reals(into.top_score),
            "status": SmallInts(into.status),
            "flags": SmallInts(into.flags),
            "detail": to_json(into.detail),
            "label_counts": to_json(add_counts(into.label_counts, _count(model, into.logits[mended]))),
        },
    )
    return had


def _sources(
    session: Session, ids: dict[str, uuid.UUID], pairs: Sequence[_Pair]
) -> Iterator[tuple[_Pair, _Results, int]]:
    """For each pair the child's results that hold its row, and the row's place in them; a chunk of them at a time."""
    held: Any = None
    results: _Results | None = None
    for pair in sorted(pairs, key=lambda pair: pair.child_row):
        if held is None or pair.child_row >= held.first_row + held.n_rows:
            held = session.execute(_CHILDS, {**ids, "row": pair.child_row}).one()
            results = _Results.of(held)
        assert results
        yield pair, results, pair.child_row - held.first_row


def _count(model: ModelVersion, logits: NDArray[np.float16]) -> dict[str, dict[str, int]]:
    """How often each label is the top one, in each taxonomy."""
    counts: dict[str, dict[str, int]] = {}
    for name, taxonomy in model.taxonomies.items() if len(logits) else ():
        index, _ = taxonomy.top(taxonomy.scores(logits))
        tally = np.bincount(index, minlength=len(taxonomy.labels))
        counts[name] = {label: int(n) for label, n in zip(taxonomy.labels, tally, strict=True) if n}
    return counts
