"""Whether what is kept is whole: the ledger agrees with itself, with the results, and with the files in storage.

Nothing is changed. Active jobs are looked at too, each in one snapshot, so a running installation can be checked; what
its workers do meanwhile is no finding.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text

from core.db import Database
from core.errors import StorageMissing
from core.states import JobState, UploadState
from core.storage import Storage
from core.upload_keys import CANONICAL


class Kind(StrEnum):
    """What can be wrong."""

    TILING = "tiling"  # chunks leave rows or bytes out, or hold them twice
    COUNTERS = "counters"  # a job's numbers are not the sums of its chunks and results
    RESULTS = "results"  # a chunk is done without its result, or has one without being done
    MISSING = "missing file"  # the ledger names a file that is not in storage
    ORPHAN = "orphan file"  # a file in storage that the ledger does not name
    HASH = "hash mismatch"  # a file's bytes are not those that were uploaded


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and of which job or file."""

    kind: Kind
    what: str
    job_id: uuid.UUID | None = None


# Bytes may lie between chunks where blank lines do, rows may not. A lag of nothing is the start of the file.
_LEDGER = text("""
WITH tiled AS (
    SELECT c.job_id, c.state, c.n_rows,
        c.first_row <> coalesce(lag(c.first_row + c.n_rows) OVER before, 1)
            OR c.byte_start < coalesce(lag(c.byte_end) OVER before, 0) OR c.byte_end < c.byte_start
            OR c.chunk_no <> row_number() OVER before - 1 AS misplaced,
        (c.state = 'done') <> (r.job_id IS NOT NULL) AS unanswered,
        r.job_id IS NOT NULL AND (r.first_row <> c.first_row OR r.n_rows <> c.n_rows
            OR cardinality(r.status) <> c.n_rows) AS misfit,
        cardinality(array_positions(r.status, 0::smallint)) AS ok,
        cardinality(array_positions(r.status, 1::smallint)) AS skipped,
        cardinality(array_positions(r.status, 2::smallint)) AS failed
    FROM chunk c LEFT JOIN result_chunk r USING (job_id, chunk_no)
    WHERE c.job_id = ANY(:ids)
    WINDOW before AS (PARTITION BY c.job_id ORDER BY c.chunk_no)
), sums AS (
    SELECT job_id, count(*) AS chunks, count(*) FILTER (WHERE state = 'done') AS done, sum(n_rows) AS n_rows,
        bool_or(misplaced) AS misplaced, count(*) FILTER (WHERE unanswered OR misfit) AS unanswered,
        coalesce(sum(ok), 0) AS ok, coalesce(sum(skipped), 0) AS skipped, coalesce(sum(failed), 0) AS failed
    FROM tiled GROUP BY job_id
)
SELECT j.id, j.state, j.rows_total, j.rows_ok, j.rows_skipped, j.rows_failed, j.chunks_total, j.chunks_done,
    coalesce(s.chunks, 0) AS chunks, coalesce(s.done, 0) AS done, coalesce(s.n_rows, 0) AS n_rows,
    coalesce(s.misplaced, false) AS misplaced, coalesce(s.unanswered, 0) AS unanswered,
    coalesce(s.ok, 0) AS ok, coalesce(s.skipped, 0) AS skipped, coalesce(s.failed, 0) AS failed
FROM job j LEFT JOIN sums s ON s.job_id = j.id
WHERE j.id = ANY(:ids) AND j.deleted_at IS NULL AND j.state <> 'expired'
ORDER BY j.created_at, j.id
""")

BATCH = 50
"""Jobs that are looked at in one statement."""


def check(
    db: Database, storage: Storage, job_id: uuid.UUID | None = None, *, contents: bool = False
) -> Iterator[Finding]:
    """Everything that is wrong, as it is found.

    Args:
        db: in a role that sees all accounts.
        job_id: this job and its file alone; None: all, and files that belong to none.
        contents: read every file and compare its SHA-256, which takes as long as reading all of them.

    Raises:
        Unavailable: the database or the storage does not answer.
    """
    for ids in _batches(db, job_id):
        with db.transaction() as session:
            rows = session.execute(_LEDGER, {"ids": ids}).all()
        for row in rows:
            yield from _of_job(row)
    yield from _files(db, storage, job_id, contents)


def _batches(db: Database, job_id: uuid.UUID | None) -> Iterator[list[uuid.UUID]]:
    if job_id:
        yield [job_id]
        return
    with db.transaction() as session:
        ids = list(session.scalars(text("SELECT id FROM job WHERE deleted_at IS NULL ORDER BY created_at, id")))
    for at in range(0, len(ids), BATCH):
        yield ids[at : at + BATCH]


def _of_job(job: Row[Any]) -> Iterator[Finding]:
    if job.misplaced:
        yield Finding(Kind.TILING, "its chunks do not follow each other without gap and overlap", job.id)
    if job.n_rows != job.rows_total:
        yield Finding(Kind.TILING, f"its chunks hold {job.n_rows} rows where it counts {job.rows_total}", job.id)
    if job.unanswered:
        yield Finding(Kind.RESULTS, f"{job.unanswered} chunks and their results do not belong together", job.id)
    # A job that was closed early counts the rows without a result as failed.
    unread = job.rows_total - job.ok - job.skipped - job.failed if job.state in _CLOSED_EARLY else 0
    counted = {
        "chunks_total": job.chunks,
        "chunks_done": job.done,
        "rows_ok": job.ok,
        "rows_skipped": job.skipped,
        "rows_failed": job.failed + unread,
    }
    for name, is_so in counted.items():
        if (said := getattr(job, name)) != is_so:
            yield Finding(Kind.COUNTERS, f"{name} is {said}, and should be {is_so}", job.id)


def _files(db: Database, storage: Storage, job_id: uuid.UUID | None, contents: bool) -> Iterator[Finding]:
    # Listed before the rows are read: a row is committed before its file's first byte, so what just arrives has one.
    lying = {entry.key for entry in storage.list("uploads/") if not entry.staged} if job_id is None else set()
    with db.transaction() as session:
        uploads = session.execute(_UPLOADS, {"job_id": job_id}).all()
    if job_id is None:
        known = {upload.key for upload in uploads}
        for key in sorted(lying):
            if key.removesuffix(CANONICAL) not in known:
                yield Finding(Kind.ORPHAN, f"{key} belongs to no upload; the sweeper removes it within minutes")
    for upload in uploads:
        if upload.state != UploadState.STORED:
            continue
        for key in filter(None, (upload.key, upload.canonical_key)):
            sha256 = upload.sha256 if key == upload.key else None
            yield from _of_file(storage, key, sha256 if contents else None, upload.job_id)


def _of_file(storage: Storage, key: str, sha256: str | None, job_id: uuid.UUID | None) -> Iterator[Finding]:
    try:
        if sha256 is None:
            storage.read_range(key, 0, 1)
            return
        digest = hashlib.sha256()
        with storage.open(key) as blocks:
            for block in blocks:
                digest.update(block)
    except StorageMissing:
        yield Finding(Kind.MISSING, f"{key} is not in storage", job_id)
        return
    if digest.hexdigest() != sha256:
        yield Finding(Kind.HASH, f"{key} is not the file that was uploaded", job_id)


_CLOSED_EARLY = (JobState.FAILED, JobState.CANCELLED)

_UPLOADS = text("""
SELECT u.key, u.canonical_key, u.state, u.sha256, j.id AS job_id
FROM upload u LEFT JOIN LATERAL (SELECT id FROM job WHERE upload_id = u.id LIMIT 1) j ON true
WHERE CAST(:job_id AS uuid) IS NULL OR u.id = (SELECT upload_id FROM job WHERE id = :job_id)
ORDER BY u.created_at, u.id
""")
