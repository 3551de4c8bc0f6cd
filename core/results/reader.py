"""A few rows by number, wherever in a job they are: from the file and from the results, as a download reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from core.db import Database
from core.errors import UploadDamaged
from core.results.labels import Labeller, RowLabels, StoredChunk
from core.results.places import Places
from core.results.walk import JobSource, ranges, records_of
from core.storage import Storage
from core.table import Record


class RowReader:
    """Reads rows of one job.

    Args:
        places: the job's chunks.
        describe: what is shown of a record and of what is said of it.
    """

    def __init__(
        self,
        db: Database,
        storage: Storage,
        source: JobSource,
        labeller: Labeller,
        places: Places,
        describe: Callable[[Record, RowLabels], dict[str, Any]],
    ) -> None:
        self._db = db
        self._storage = storage
        self._source = source
        self._labeller = labeller
        self._places = places
        self._describe = describe

    def read(self, rows: NDArray[np.int64] | Sequence[int]) -> list[dict[str, Any]]:
        """What is to be shown of some data rows, in their order; each must be within the rows that are cut.

        Raises:
            StorageMissing: the upload is gone.
            Unavailable: storage or database do not answer.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        records = self._records(wanted)
        labels = self._labels(wanted)
        if len(records) < len(labels):
            lost = min(set(labels) - set(records))
            raise UploadDamaged("The stored file lacks this row.", row=lost, next_step="Upload the file again.")
        return [self._describe(records[row], labels[row]) for row in wanted.tolist()]

    def _records(self, rows: NDArray[np.int64]) -> dict[int, Record]:
        """The file's own records."""
        found: dict[int, Record] = {}
        if not len(rows):
            return found
        places = self._places
        ordered = np.unique(rows)
        of_chunk = {
            chunk_no: [int(row) for _, row in pairs]
            for chunk_no, pairs in groupby(
                zip(places.chunks_of(ordered).tolist(), ordered.tolist(), strict=True), key=lambda pair: pair[0]
            )
        }
        chunks = [places.chunk(chunk_no) for chunk_no in of_chunk]
        for chunk, data, start in ranges(self._storage, self._source, chunks):
            missing = set(of_chunk[chunk.chunk_no])
            for record in records_of(self._source, chunk, data, start):
                if record.row in missing:
                    found[record.row] = record
                    missing.discard(record.row)
                    if not missing:
                        break
        return found

    def _labels(self, rows: NDArray[np.int64]) -> dict[int, RowLabels]:
        """What is said of them."""
        ordered = np.unique(rows)
        found = {int(row): RowLabels(status=f"failed: {self._source.missing}") for row in ordered}
        stored, at = self.stored(ordered)
        return found | dict(zip(at, self._labeller.rows(stored), strict=True))

    def stored(self, rows: NDArray[np.int64]) -> tuple[StoredChunk, list[int]]:
        """What the ledger has of some rows, as if they were one chunk; and which rows these are, ascending."""
        width = 2 * self._labeller.n_logits
        with self._db.transaction(self._source.account_id) as session:
            found = session.execute(
                _READ_ROWS,
                {
                    "job_id": self._source.job_id,
                    "rows": rows.tolist(),
                    "chunks": self._places.chunks_of(rows).tolist() if len(rows) else [],
                    "width": width,
                },
            ).all()
        chunk = StoredChunk(
            logits=b"".join(row.logits for row in found),
            status=[row.status for row in found],
            flags=[row.flags for row in found],
            detail={str(at): row.detail for at, row in enumerate(found) if row.detail is not None},
        )
        return chunk, [row.row_no for row in found]


# A few bytes of each chunk: logits are stored uncompressed, so that Postgres finds them by their offset.
_READ_ROWS = text("""
SELECT w.row_no, substring(r.logits FROM (w.row_no - r.first_row) * :width + 1 FOR :width) AS logits,
    r.status[w.row_no - r.first_row + 1] AS status, r.flags[w.row_no - r.first_row + 1] AS flags,
    r.detail -> (w.row_no - r.first_row)::text AS detail
FROM unnest(CAST(:rows AS integer[]), CAST(:chunks AS integer[])) AS w (row_no, chunk_no)
JOIN result_chunk r ON r.job_id = :job_id AND r.chunk_no = w.chunk_no
ORDER BY w.row_no
""")
