"""What a table filters and sorts by: a few numbers for each row of a job, in arrays.

Results lie in chunks as the model gave them. Which rows are joy with a score over 0.9 would take a walk through all of
them; kept as columns it is a comparison of two arrays, and their order a partial sort: some milliseconds for a million
rows. A column is a pure function of what is stored, so it is made when it is first asked for, is filled further while
the job runs, and is forgotten when memory is needed for another. It holds numbers and no text, in this process alone:
nothing of a job outlives it anywhere.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from core.db import Database
from core.flags import Trust, read_off
from core.results.labels import UNITS, units_of
from core.results.places import Places, read_places
from core.results.walk import JobSource
from core.states import RowStatus
from core.taxonomy import Taxonomy

NO_RESULT = 255
"""Status of a row whose chunk has no result (yet)."""

CHUNKS_PER_READ = 64
"""Some megabytes of logits at most."""

IDLE_S = 600.0
"""A column that nobody asked for in so long is forgotten at the next look at any."""

C = TypeVar("C", bound="Column")


class Column:
    """Numbers of each row of one job, chunk by chunk. Fill it under its `lock`; read it without."""

    reads: ClassVar[str]
    """What of a chunk's result it is made of: a list of SQL expressions."""
    layout: ClassVar[dict[str, tuple[Any, Any]]]
    """Attribute → dtype and what stands in rows that have none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.has = np.zeros(0, dtype=np.bool_)
        """Whether each chunk is in."""
        for name, (dtype, _) in self.layout.items():
            setattr(self, name, np.empty(0, dtype=dtype))

    @property
    def n_chunks(self) -> int:
        """How many chunks are in."""
        return int(np.count_nonzero(self.has))

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(getattr(self, name).nbytes for name in self.layout)

    def make_room(self, places: Places) -> None:
        """Takes in chunks that were cut since; half as many again, so that a growing job is not copied each time."""
        rows, chunks = places.n_rows, len(places)
        if len(self.has) < chunks:
            self.has = np.concatenate([self.has, np.zeros(chunks - len(self.has), dtype=np.bool_)])
        for name, (dtype, blank) in self.layout.items():
            before = getattr(self, name)
            if len(before) < rows:
                room = np.full(rows if not len(before) else max(rows, len(before) * 3 // 2), blank, dtype=dtype)
                room[: len(before)] = before
                setattr(self, name, room)

    def put(self, at: slice, *values: Any) -> None:
        """One chunk's values of `reads`, into the rows at `at`."""
        raise NotImplementedError


class Statuses(Column):
    """`status` (n,) uint8, a `RowStatus` or `NO_RESULT`; `flags` (n,) int32, the `RowFlag` bits that are stored."""

    reads = "status, flags"
    layout: ClassVar = {"status": (np.uint8, NO_RESULT), "flags": (np.int32, 0)}
    status: NDArray[np.uint8]
    flags: NDArray[np.int32]

    def put(self, at: slice, *values: Any) -> None:
        """See `Column.put`. The status comes last: it is what makes a row be there."""
        status, flags = values
        self.flags[at] = flags
        self.status[at] = status


class _Scored(Column):
    """A column made of logits, which only the rows have that were scored."""

    reads = "logits"

    def __init__(self, taxonomy: Taxonomy, n_logits: int, statuses: Statuses) -> None:
        super().__init__()
        self._taxonomy = taxonomy
        self._n_logits = n_logits
        self._statuses = statuses

    def put(self, at: slice, *values: Any) -> None:
        """See `Column.put`."""
        logits = np.frombuffer(values[0], dtype="<f2").reshape(-1, self._n_logits)
        scored = np.flatnonzero(self._statuses.status[at] == RowStatus.OK)
        rows = logits if len(scored) == len(logits) else logits[scored]
        self._put_scores(scored + at.start, rows, self._taxonomy.scores(rows))

    def _put_scores(self, rows: NDArray[np.int64], logits: NDArray[np.float16], scores: NDArray[np.float64]) -> None:
        raise NotImplementedError


class Tops(_Scored):
    """`label` (n,) uint8, index of the row's top label in its taxonomy; `units` (n,) uint16, its score in units of the
    last decimal shown."""

    layout: ClassVar = {"label": (np.uint8, 255), "units": (np.uint16, 0)}
    label: NDArray[np.uint8]
    units: NDArray[np.uint16]

    def _put_scores(self, rows: NDArray[np.int64], logits: NDArray[np.float16], scores: NDArray[np.float64]) -> None:
        index, best = self._taxonomy.top(scores)
        self.label[rows] = index
        self.units[rows] = units_of(best)


class Scores(_Scored):
    """`score` (n,) float64 of one label, exact: any threshold says of it what a download says; -1: none."""

    layout: ClassVar = {"score": (np.float64, -1.0)}
    score: NDArray[np.float64]

    def __init__(self, taxonomy: Taxonomy, n_logits: int, statuses: Statuses, label: str) -> None:
        super().__init__(taxonomy, n_logits, statuses)
        self._at = taxonomy.labels.index(label)

    def _put_scores(self, rows: NDArray[np.int64], logits: NDArray[np.float16], scores: NDArray[np.float64]) -> None:
        self.score[rows] = scores[:, self._at]

    @property
    def units(self) -> NDArray[np.uint16]:
        """The scores in units of the last decimal shown; 0 where there is none."""
        return np.rint(np.maximum(self.score, 0) * UNITS).astype(np.uint16)


class Doubts(_Scored):
    """`flags` (n,) int32: the trust flags that are read off the logits, in one taxonomy (`core.flags.read_off`)."""

    layout: ClassVar = {"flags": (np.int32, 0)}
    flags: NDArray[np.int32]

    def __init__(
        self, taxonomy: Taxonomy, n_logits: int, statuses: Statuses, trust: Trust, neutral: int | None
    ) -> None:
        super().__init__(taxonomy, n_logits, statuses)
        self._trust, self._neutral = trust, neutral

    def _put_scores(self, rows: NDArray[np.int64], logits: NDArray[np.float16], scores: NDArray[np.float64]) -> None:
        self.flags[rows] = read_off(logits, scores, self._trust, self._neutral)


class ColumnCache:
    """The columns of all jobs that were looked at of late, within a bound; safe to share between threads.

    Args:
        limit: bytes of all columns together; those that were not used for longest are let go first. What one request
            works with stays whole, however large.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, float]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], C]) -> C:
        """The column of that key, made empty if it is not there."""
        now = time.monotonic()
        with self._lock:
            column, _ = self._kept.pop(key, (None, 0.0))
            if column is None:
                column = make()
            self._kept[key] = (column, now)
            self._forget(now)
        return column

    @property
    def nbytes(self) -> int:
        """Memory that the columns take."""
        with self._lock:
            return sum(column.nbytes for column, _ in self._kept.values())

    def _forget(self, now: float) -> None:
        """Drops what is idle, then the oldest beyond the bound, but never the one asked for last."""
        total = sum(column.nbytes for column, _ in self._kept.values())
        for key in list(self._kept)[:-1]:
            column, used = self._kept[key]
            if total <= self._limit and now - used <= IDLE_S:
                break
            total -= column.nbytes
            del self._kept[key]


class _PlacesSoFar(Column):
    """A job's `Places`, kept beside its columns."""

    layout: ClassVar = {}

    def __init__(self) -> None:
        super().__init__()
        self.places: Places | None = None

    @property
    def nbytes(self) -> int:
        """Memory it takes: five numbers a chunk."""
        return 40 * len(self.places) if self.places else 0


class JobColumns:
    """The columns of one job, as far as it has got. One for each reading; the cache behind it is shared.

    Args:
        chunks_total, chunks_done: of the job, read together: how far the columns must reach.
        n_logits: labels of the job's model.
    """

    def __init__(
        self, db: Database, source: JobSource, cache: ColumnCache, *, chunks_total: int, chunks_done: int, n_logits: int
    ) -> None:
        self._db = db
        self._source = source
        self._cache = cache
        self._chunks_total = chunks_total
        self._chunks_done = chunks_done
        self._n_logits = n_logits
        self.places = self._places()

    def statuses(self) -> Statuses:
        """Status and flags of each row."""
        return self._filled(self.of("statuses", Statuses))

    def tops(self, taxonomy: Taxonomy) -> Tops:
        """Top label and its score of each row, in a taxonomy."""
        statuses = self.statuses()
        column = self.of(("tops", taxonomy), lambda: Tops(taxonomy, self._n_logits, statuses))
        return self._filled(column, within=statuses)

    def scores(self, taxonomy: Taxonomy, label: str) -> Scores:
        """One label's score of each row."""
        statuses = self.statuses()
        column = self.of(("scores", taxonomy, label), lambda: Scores(taxonomy, self._n_logits, statuses, label))
        return self._filled(column, within=statuses)

    def doubts(self, taxonomy: Taxonomy, trust: Trust, neutral: int | None) -> Doubts:
        """What the logits of each row say against its label, in a taxonomy."""
        statuses = self.statuses()
        column = self.of(
            ("doubts", taxonomy, trust), lambda: Doubts(taxonomy, self._n_logits, statuses, trust, neutral)
        )
        return self._filled(column, within=statuses)

    def of(self, what: Hashable, make: Callable[[], C]) -> C:
        """A column of this job as it is in the cache, with room for all rows."""
        column = self._cache.get((self._source.job_id, self._source.revision, what), make)
        with column.lock:
            column.make_room(self.places)
        return column

    def _places(self) -> Places:
        known = self._cache.get((self._source.job_id, "places"), _PlacesSoFar)
        with known.lock:
            if known.places is None or len(known.places) < self._chunks_total:
                known.places = read_places(self._db, self._source, known.places)
            return known.places

    def _filled(self, column: C, within: Column | None = None) -> C:
        """Reads into a column what the job has done since; only chunks that are in `within` too."""
        with column.lock:
            if column.n_chunks < self._chunks_done:
                due = self._done()[: len(self.places)] & ~column.has[: len(self.places)]
                if within is not None:
                    due &= within.has[: len(due)]
                numbers = np.flatnonzero(due)
                for at in range(0, len(numbers), CHUNKS_PER_READ):
                    self._read(column, numbers[at : at + CHUNKS_PER_READ].tolist())
        return column

    def _done(self) -> NDArray[np.bool_]:
        """Which chunks have a result."""
        done = np.zeros(len(self.places), dtype=np.bool_)
        with self._db.transaction(self._source.account_id) as session:
            numbers = session.scalars(
                text("SELECT chunk_no FROM result_chunk WHERE job_id = :job_id AND chunk_no < :n"),
                {"job_id": self._source.job_id, "n": len(done)},
            ).all()
        done[np.array(numbers, dtype=np.int64)] = True
        return done

    def _read(self, column: Column, numbers: list[int]) -> None:
        statement = text(f"""
            SELECT chunk_no, {column.reads} FROM result_chunk WHERE job_id = :job_id AND chunk_no = ANY(:numbers)
            """)  # noqa: S608 - names of columns, by us
        with self._db.transaction(self._source.account_id) as session:
            found = session.execute(statement, {"job_id": self._source.job_id, "numbers": numbers}).all()
        for chunk_no, *values in found:
            column.put(self.places.within(chunk_no), *values)
            column.has[chunk_no] = True
