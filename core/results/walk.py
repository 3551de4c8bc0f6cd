"""Walking a job's chunks by key, in short reads that pin no snapshot, joining the upload's records to the results."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from core.db import Database
from core.failpoints import failpoint
from core.results.labels import StoredChunk
from core.results.mended import Mended
from core.states import RowStatus
from core.storage import Storage
from core.table import Format, Record, RecordReader

CHUNKS_PER_READ = 8
"""Chunks fetched by one query: half a megabyte of logits at most."""

READ_BYTES = 1024 * 1024
"""Bytes fetched by one read of storage, unless a single chunk is longer. Several downloads at once must fit in memory,
whatever the records are like."""

PIECE_BYTES = 64 * 1024
"""Bytes of a chunk that are split into lines at once."""


@dataclass(frozen=True)
class ChunkView:
    """A chunk as the ledger has it, with its result if there is one."""

    chunk_no: int
    first_row: int
    first_line: int
    n_rows: int
    byte_start: int
    byte_end: int
    stored: StoredChunk | None = None


@dataclass(frozen=True)
class JobSource:
    """What reading a job's rows needs."""

    job_id: uuid.UUID
    account_id: uuid.UUID
    key: str
    format: Format
    text_index: int
    missing: str | None
    """Status of rows without a result, in a job that is over; None: they are left out."""
    revision: int = 0
    """How often rows were mended: what is remembered of another one is of no use."""
    mended: Mended | None = field(default=None, compare=False)
    """Its rows that were mended, if there are any."""


_READ = text("""
SELECT c.chunk_no, c.first_row, c.first_line, c.n_rows, c.byte_start, c.byte_end, r.logits, r.status, r.flags, r.detail
FROM chunk c LEFT JOIN result_chunk r ON r.job_id = c.job_id AND r.chunk_no = c.chunk_no
WHERE c.job_id = :job_id AND c.chunk_no > :after AND c.first_row + c.n_rows > :from_row
    AND (NOT :failed OR :failure = ANY(r.status))
ORDER BY c.chunk_no LIMIT :limit
""")


def walk(db: Database, source: JobSource, *, from_row: int = 1, failed: bool = False) -> Iterator[list[ChunkView]]:
    """Chunks in order, in batches, from the one that holds `from_row`; `failed`: only those with a failed row."""
    after = -1
    while True:
        with db.transaction(source.account_id) as session:
            asked = {"job_id": source.job_id, "after": after, "limit": CHUNKS_PER_READ, "from_row": from_row}
            rows = session.execute(_READ, asked | {"failed": failed, "failure": int(RowStatus.FAILED)}).all()
        failpoint("download")
        if rows:
            yield [_view(row) for row in rows]
        if len(rows) < CHUNKS_PER_READ:
            return
        after = rows[-1].chunk_no


def _view(row: Any) -> ChunkView:
    stored = None if row.status is None else StoredChunk(row.logits, row.status, row.flags, row.detail)
    return view(row, stored)


def view(row: Any, stored: StoredChunk | None = None) -> ChunkView:
    """A row of the ledger's table of chunks, with a result or without."""
    return ChunkView(row.chunk_no, row.first_row, row.first_line, row.n_rows, row.byte_start, row.byte_end, stored)


def join(storage: Storage, source: JobSource, chunks: list[ChunkView]) -> Iterator[tuple[ChunkView, Iterable[Record]]]:
    """`chunks` with each one's records, as mended; without those that have no result, if the job goes on.

    Raises:
        StorageMissing: the upload is gone.
        Unavailable: the storage does not answer.
    """
    there = [chunk for chunk in chunks if chunk.stored is not None or source.missing is not None]
    for chunk, data, start in ranges(storage, source, there):
        yield chunk, records_of(source, chunk, data, start)


def ranges(storage: Storage, source: JobSource, chunks: list[ChunkView]) -> Iterator[tuple[ChunkView, bytes, int]]:
    """`chunks`, in ascending order, each with bytes of the file that hold it, and the offset where these begin.

    Raises as `join` does.
    """
    for run in _adjacent(chunks):
        start = run[0].byte_start
        data = storage.read_range(source.key, start, run[-1].byte_end - start)
        for chunk in run:
            yield chunk, data, start


def records_of(source: JobSource, chunk: ChunkView, data: bytes, start: int) -> Iterable[Record]:
    """A chunk's records, as mended, from bytes that hold it and begin at the offset `start`."""
    records = RecordReader(
        _pieces(data, chunk.byte_start - start, chunk.byte_end - start),
        source.format,
        offset=chunk.byte_start,
        row=chunk.first_row,
        line=chunk.first_line,
    )
    return source.mended.over(records, chunk.first_row, chunk.n_rows) if source.mended else records


def _pieces(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """A part of `data` in pieces, so that only a few lines of a long chunk are taken apart at a time."""
    for at in range(start, end, PIECE_BYTES):
        yield data[at : min(at + PIECE_BYTES, end)]


def _adjacent(chunks: list[ChunkView]) -> Iterator[list[ChunkView]]:
    """Runs of chunks whose numbers follow each other, of `READ_BYTES` at most: one read of storage serves a run."""
    run: list[ChunkView] = []
    for chunk in chunks:
        if run and (chunk.chunk_no != run[-1].chunk_no + 1 or chunk.byte_end - run[0].byte_start > READ_BYTES):
            yield run
            run = []
        run.append(chunk)
    if run:
        yield run
