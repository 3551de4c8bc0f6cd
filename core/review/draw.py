"""Finding a sample's rows: one pass over a job's results, chunk by chunk, in short reads and little memory.

In the model's default taxonomy the best label of each row is stored beside the logits, and the pass reads nothing else:
a million rows take about a second. In others it is computed from the stored logits.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from core.db import Database
from core.review.allocation import Draw, Ints
from core.states import RowStatus
from core.taxonomy import Taxonomy

MOST = 1_000
"""Rows of the largest sample."""

CHUNKS_PER_READ = 64


@dataclass(frozen=True)
class Sample:
    """Rows to ask about, in order.

    Attributes:
        counts: (k,) rows of the job with each label as their best one.
        rows: (n,) data rows.
        strata: (n,) index of each one's best label.
        logits: of each one, as stored.
    """

    counts: Ints
    rows: Ints
    strata: Ints
    logits: list[bytes]


def draw(
    db: Database, account_id: uuid.UUID, job_id: uuid.UUID, taxonomy: Taxonomy, *, stored: bool, seed: int, size: int
) -> Sample:
    """Draws a sample from the rows of a job that have labels now.

    Args:
        stored: whether the best labels in `taxonomy` are those stored with the chunks.
        seed: the same seed draws the same rows, and a larger sample holds the smaller one.
        size: rows wanted, at most `MOST`.
    """
    chosen = Draw(len(taxonomy.labels), seed, size)
    chunk_nos: list[int] = []
    firsts: list[int] = []
    for chunks in _chunks(db, account_id, job_id, logits=not stored):
        rows = np.concatenate([np.arange(c.first_row, c.first_row + c.n_rows) for c in chunks])
        chosen.show(rows, _stored_labels(chunks) if stored else best_labels(taxonomy, chunks))
        chunk_nos += [c.chunk_no for c in chunks]
        firsts += [c.first_row for c in chunks]
    found, strata = chosen.chosen(size)
    at = np.searchsorted(np.array(firsts, np.int64), found, side="right") - 1
    places = [(chunk_nos[i], row - firsts[i]) for i, row in zip(at.tolist(), found.tolist(), strict=True)]
    return Sample(chosen.counts, found, strata, _logits(db, account_id, job_id, places))


def cross(
    db: Database, account_id: uuid.UUID, job_id: uuid.UUID, fine: Taxonomy, coarse: Taxonomy
) -> NDArray[np.int64]:
    """(fine, coarse) counts of rows by their best label in each of two taxonomies."""
    counts = np.zeros((len(fine.labels), len(coarse.labels)), np.int64)
    for chunks in _chunks(db, account_id, job_id, logits=True):
        one, other = best_labels(fine, chunks), best_labels(coarse, chunks)
        np.add.at(counts, (one[one >= 0], other[one >= 0]), 1)
    return counts


def _stored_labels(chunks: list[Any]) -> Ints:
    return np.concatenate([_small_ints(c.top_label) for c in chunks])


def best_labels(taxonomy: Taxonomy, chunks: list[Any]) -> Ints:
    """The index of the best label of each row of some chunks, -1 where it has none, from the stored logits."""
    status = np.concatenate([_small_ints(c.status) for c in chunks])
    logits = np.frombuffer(b"".join(c.logits for c in chunks), "<f2").reshape(len(status), -1)
    best = np.full(len(status), -1, np.int64)
    scored = status == RowStatus.OK
    best[scored] = taxonomy.top(taxonomy.scores(logits[scored]))[0]
    return best


# Arrays come in Postgres' binary form, as bytes: a million numbers are not made into a million objects.
_READ = """
SELECT chunk_no, first_row, n_rows, array_send(status) AS status, {what}
FROM result_chunk WHERE job_id = :job_id AND chunk_no > :after ORDER BY chunk_no LIMIT :limit
"""
_LABELS = text(_READ.format(what="array_send(top_label) AS top_label"))
_NUMBERS = text(_READ.format(what="logits"))


def _chunks(db: Database, account_id: uuid.UUID, job_id: uuid.UUID, *, logits: bool) -> Iterator[list[Any]]:
    after = -1
    while True:
        with db.transaction(account_id) as session:
            values = {"job_id": job_id, "after": after, "limit": CHUNKS_PER_READ}
            chunks = list(session.execute(_NUMBERS if logits else _LABELS, values).all())
        if chunks:
            yield chunks
        if len(chunks) < CHUNKS_PER_READ:
            return
        after = chunks[-1].chunk_no


_SMALL_INTS_HEAD = 20
"""Bytes before the first element of a one-dimensional array: dimensions, flags, type, length, lower bound."""


def _small_ints(sent: bytes) -> Ints:
    """A ``smallint[]`` without NULLs, in the form that ``array_send`` gives it."""
    elements = np.frombuffer(sent, np.dtype([("length", ">i4"), ("value", ">i2")]), offset=_SMALL_INTS_HEAD)
    return elements["value"].astype(np.int64)


def _logits(db: Database, account_id: uuid.UUID, job_id: uuid.UUID, places: list[tuple[int, int]]) -> list[bytes]:
    """The stored numbers of single rows, given as (chunk, index within it)."""
    if not places:
        return []
    with db.transaction(account_id) as session:
        found = session.execute(
            text("""
            SELECT substring(r.logits FROM at * (octet_length(r.logits) / r.n_rows) + 1
                FOR octet_length(r.logits) / r.n_rows) AS logits
            FROM unnest(CAST(:chunk_nos AS integer[]), CAST(:ats AS integer[]))
                WITH ORDINALITY AS wanted (chunk_no, at, number)
            JOIN result_chunk r ON r.job_id = :job_id AND r.chunk_no = wanted.chunk_no
            ORDER BY wanted.number
            """),
            {"job_id": job_id, "chunk_nos": [chunk for chunk, _ in places], "ats": [at for _, at in places]},
        )
        return [bytes(row.logits) for row in found]
