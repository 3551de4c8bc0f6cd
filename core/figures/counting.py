"""Counting through a job, for a bounded time at once: what has been counted is kept, and the next call goes on.

A million rows are counted in a few seconds, ten million in half a minute: longer than a request should last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.db import Database
from core.figures import columns, kept, scoring
from core.figures.columns import Column, ColumnCodes
from core.figures.kept import Arrays, Kept
from core.figures.report import Progress
from core.figures.tally import Tally
from core.results.walk import JobSource
from core.storage import Storage
from core.taxonomy import Taxonomy

CHUNKS_PER_READ = 128
"""Chunks of logits read at once: seven megabytes at most."""

LONGEST_WAIT_S = 3_600.0

_one_at_a_time = threading.Lock()
"""A count takes a whole core: one in a process."""

Groups = NDArray[np.int64]


class Counting:
    """One job, to be counted.

    Args:
        rows: the job's.
        until: when calls stop counting, by `time.monotonic`.
    """

    def __init__(self, db: Database, storage: Storage, source: JobSource, rows: int, until: float) -> None:
        self._db = db
        self._storage = storage
        self._source = source
        self._rows = rows
        self._until = until

    def tallies(
        self,
        key: str,
        taxonomies: Sequence[Taxonomy],
        threshold: float | None,
        n_labels: int,
        groups: tuple[Groups, int] | None = None,
    ) -> list[Tally] | Progress:
        """A tally of each taxonomy.

        Args:
            key: under which it is kept: says taxonomies, threshold and groups.
            threshold: one between two hundredths, to be counted too.
            n_labels: the model's.
            groups: the group of each row of the file, and how many there are.
        """
        of_row, n_groups = groups or (None, 1)
        saved = self._load(key)
        tallies = [
            Tally(taxonomy, threshold, n_groups, _part(saved.arrays, number) if saved else None)
            for number, taxonomy in enumerate(taxonomies)
        ]

        def count(next_chunk: int) -> tuple[int, int] | None:
            found = self._logits(next_chunk)
            if not found:
                return None
            numbers, first_rows, lengths = np.array([chunk[:3] for chunk in found]).T
            bits, is_scored = scoring.scored(b"".join(chunk[3] for chunk in found), n_labels)
            rows = np.arange(lengths.sum()) + np.repeat(first_rows - (lengths.cumsum() - lengths), lengths)
            rows = rows[is_scored]
            for tally in tallies:
                tally.add(bits, rows, None if of_row is None else of_row[rows - 1])
            return int(numbers[-1]) + 1, int(first_rows[-1] + lengths[-1]) - 1

        def arrays() -> dict[str, NDArray[Any]]:
            return {f"{number}.{name}": a for number, one in enumerate(tallies) for name, a in one.arrays().items()}

        done = self._go_on(key, saved, count, arrays)
        return tallies if done is None else Progress(done, self._rows, "labels")

    def codes(self, column: Column) -> ColumnCodes | Progress:
        """The values of a column of the file."""
        key = f"column {column.index} {column.kind}"
        saved = self._load(key)
        codes = ColumnCodes(column.index, column.kind, saved.arrays if saved else None)

        def count(next_chunk: int) -> tuple[int, int] | None:
            done = None
            found = columns.read(self._db, self._storage, self._source, next_chunk)
            for chunk_no, records, last_row in islice(found, CHUNKS_PER_READ):
                codes.add(records)
                done = chunk_no + 1, last_row
            return done

        done = self._go_on(key, saved, count, codes.arrays)
        return codes if done is None else Progress(done, self._rows, "column")

    def _logits(self, next_chunk: int) -> list[tuple[int, int, int, bytes]]:
        """The next chunks: number, first row, rows, logits."""
        with self._db.transaction(self._source.account_id) as session:
            connection = session.connection().connection.driver_connection
            # In Postgres' binary form: as text every byte would come as two, and be put together again.
            with connection.cursor(binary=True) as cursor:  # type: ignore[union-attr]
                cursor.execute(_LOGITS, (self._source.job_id, next_chunk, CHUNKS_PER_READ))
                return cursor.fetchall()

    def _load(self, key: str) -> Kept | None:
        with self._db.transaction(self._source.account_id) as session:
            return kept.load(session, self._source.job_id, key)

    def _go_on(
        self,
        key: str,
        saved: Kept | None,
        count: Callable[[int], tuple[int, int] | None],
        arrays: Callable[[], Arrays],
    ) -> int | None:
        """Counts until nothing is left or the time is over, and keeps it.

        Args:
            count: takes the chunk to go on from, counts some; where to go on, and the last row; None: nothing is left.

        Returns:
            Rows passed if it is not complete; None if it is.
        """
        if saved and saved.complete:
            return None
        next_chunk, rows = (saved.next_chunk, saved.rows) if saved else (0, 0)
        if not _one_at_a_time.acquire(timeout=min(LONGEST_WAIT_S, max(0.0, self._until - time.monotonic()))):
            return rows
        try:
            complete = False
            while not complete:
                if (found := count(next_chunk)) is None:
                    complete = True
                else:
                    next_chunk, rows = found
                    if time.monotonic() >= self._until:
                        break
        finally:
            _one_at_a_time.release()
        with self._db.transaction(self._source.account_id) as session:
            now = Kept(arrays(), next_chunk, rows, complete)
            kept.save(session, self._source.account_id, self._source.job_id, key, now)
        return None if complete else rows


def _part(arrays: Arrays, number: int) -> Arrays:
    """The arrays of one of several tallies."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


_LOGITS = """
SELECT chunk_no, first_row, n_rows, logits FROM result_chunk
WHERE job_id = %s AND chunk_no >= %s ORDER BY chunk_no LIMIT %s
"""
