"""Cells of mended rows: read from the files they were sent back in, and laid over those of the job's own file.

Their results stand in the job's `result_chunk` already (`core.ledger.mending`); only the cells are elsewhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from core.db import Database
from core.storage import Storage
from core.table import Format, Record, RecordReader

RUN_BYTES = 1024 * 1024
"""Rows that lie near each other are fetched by one read of at most so many bytes ..."""

GAP_BYTES = 64 * 1024
"""... with no more than this between two of them."""


@dataclass(frozen=True)
class MendedRow:
    """Where the cells of one mended row lie.

    Attributes:
        row: its number in the job.
        key: of the file it was sent back in.
        start, end: its bytes there.
        own_columns: how many columns of that file stand before the job's.
        format: of that file, as a dict.
    """

    row: int
    key: str
    start: int
    end: int
    own_columns: int
    format: dict[str, Any]


_NUMBERS = text("SELECT row_no FROM mended_row WHERE job_id = :job_id AND merged ORDER BY row_no")
_ROWS = text("""
SELECT m.row_no, coalesce(u.canonical_key, u.key), m.byte_start, m.byte_end, m.own_columns, u.detected
FROM mended_row m JOIN upload u ON u.id = m.upload_id
WHERE m.job_id = :job_id AND m.merged AND m.row_no >= :first AND m.row_no < :last ORDER BY m.row_no
""")


class Mended:
    """The mended rows of one job, for one reading of it."""

    def __init__(self, db: Database, storage: Storage, account_id: uuid.UUID, job_id: uuid.UUID) -> None:
        self._db = db
        self._storage = storage
        self._account_id = account_id
        self._job_id = job_id

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """All their row numbers, ascending."""
        with self._db.transaction(self._account_id) as session:
            return np.array(session.scalars(_NUMBERS, {"job_id": self._job_id}).all(), dtype=np.int64)

    def touches(self, first_row: int, n_rows: int) -> bool:
        """Whether any of `n_rows` rows from `first_row` on was mended."""
        at = np.searchsorted(self._numbers, [first_row, first_row + n_rows])
        return bool(at[0] < at[1])

    def over(self, records: Iterable[Record], first_row: int, n_rows: int) -> Iterable[Record]:
        """`records`, which are these rows, with the cells that mended ones have now; place and number stay.

        Raises:
            StorageMissing, Unavailable: a file of fixed rows cannot be read.
        """
        return self._over(records, first_row, n_rows) if self.touches(first_row, n_rows) else records

    def _over(self, records: Iterable[Record], first_row: int, n_rows: int) -> Iterator[Record]:
        asked = {"job_id": self._job_id, "first": first_row, "last": first_row + n_rows}
        with self._db.transaction(self._account_id) as session:
            rows = [MendedRow(*row) for row in session.execute(_ROWS, asked)]
        cells = {row.row: found for run in _runs(rows) for row, found in _cells(self._storage, run)}
        for record in records:
            if record.row in cells:
                record.cells, record.data = cells[record.row], None
            yield record


def _runs(mended: Sequence[MendedRow]) -> Iterator[list[MendedRow]]:
    """Rows of one file that lie near each other, so that one read serves them."""
    run: list[MendedRow] = []
    for row in sorted(mended, key=lambda row: (row.key, row.start)):
        if run and (row.key != run[0].key or row.start - run[-1].end > GAP_BYTES or row.end - run[0].start > RUN_BYTES):
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _cells(storage: Storage, run: Sequence[MendedRow]) -> Iterator[tuple[MendedRow, list[str]]]:
    start = run[0].start
    data = storage.read_range(run[0].key, start, run[-1].end - start)
    fmt = Format.from_dict(run[0].format)
    for row in run:
        (record,) = RecordReader([data[row.start - start : row.end - start]], fmt, offset=row.start)
        yield row, record.cells[row.own_columns :]
