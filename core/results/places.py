"""Where each chunk of a job lies: its rows, its lines, its bytes. A few numbers for each, kept while a job is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from core.db import Database
from core.results.walk import ChunkView, JobSource

_READ = text("""
SELECT chunk_no, first_row, first_line, n_rows, byte_start, byte_end FROM chunk
WHERE job_id = :job_id AND chunk_no >= :known ORDER BY chunk_no
""")


@dataclass(frozen=True)
class Places:
    """The chunks that are cut so far, by number from 0; every array is int64 with one entry for each.

    Chunks follow each other without a gap, so the rows are 1 to `n_rows`.
    """

    first_row: NDArray[np.int64]
    first_line: NDArray[np.int64]
    rows: NDArray[np.int64]
    """How many rows each holds."""
    byte_start: NDArray[np.int64]
    byte_end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first_row)

    @property
    def n_rows(self) -> int:
        """Rows that are cut so far."""
        return int(self.first_row[-1] + self.rows[-1] - 1) if len(self) else 0

    def chunks_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The chunk that holds each of some data rows, which must be within 1 to `n_rows`."""
        return np.searchsorted(self.first_row, rows, side="right") - 1

    def within(self, chunk_no: int) -> slice:
        """A chunk's part of an array with one entry for each row."""
        first = int(self.first_row[chunk_no]) - 1
        return slice(first, first + int(self.rows[chunk_no]))

    def chunk(self, chunk_no: int) -> ChunkView:
        """A chunk, without its result."""
        return ChunkView(
            chunk_no,
            first_row=int(self.first_row[chunk_no]),
            first_line=int(self.first_line[chunk_no]),
            n_rows=int(self.rows[chunk_no]),
            byte_start=int(self.byte_start[chunk_no]),
            byte_end=int(self.byte_end[chunk_no]),
        )

    def counts(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many rows of each chunk are set in a mask of all rows."""
        if not len(self):
            return np.empty(0, dtype=np.int64)
        return np.add.reduceat(mask[: self.n_rows], self.first_row - 1, dtype=np.int64)


def read_places(db: Database, source: JobSource, known: Places | None = None) -> Places:
    """The chunks of a job; `known` ones are not read again: they never change."""
    with db.transaction(source.account_id) as session:
        found = session.execute(_READ, {"job_id": source.job_id, "known": len(known) if known else 0}).all()
    added = np.array([row[1:] for row in found], dtype=np.int64).reshape(-1, 5).T
    if known is None:
        return Places(*added)
    before = (known.first_row, known.first_line, known.rows, known.byte_start, known.byte_end)
    return Places(*(np.concatenate(pair) for pair in zip(before, added, strict=True)))
