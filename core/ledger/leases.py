"""A lease: the time-limited right to a chunk or to an ingest, and what its holder may do short of finishing.

Every lease carries a token. A late worker's token is no longer the ledger's, so nothing it does counts.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.states import IngestState


class StaleLease(Exception):
    """The lease was returned or taken over, or the job is closed: this result must not be written."""


@dataclass(frozen=True)
class Source:
    """What a worker must know of a job to read its records."""

    job_id: uuid.UUID
    account_id: uuid.UUID
    key: str
    """Storage key of the canonical bytes."""
    upload_key: str
    format: dict[str, Any]
    text_index: int
    model_sha256: str
    traceparent: str | None = None
    """The trace of the upload, see `core.tracing`."""


@dataclass(frozen=True)
class ChunkLease:
    """The time-limited right to classify one chunk."""

    source: Source
    chunk_no: int
    token: int
    first_row: int
    first_line: int
    n_rows: int
    byte_start: int
    byte_end: int
    crc: int
    isolated: bool
    """A child died holding it: classify row by row, writing each row down first."""


@dataclass(frozen=True)
class IngestLease:
    """The time-limited right to cut the next records of one job into chunks."""

    source: Source
    token: int
    state: IngestState
    offset: int
    row: int
    line: int
    chunks_total: int
    attempt: int
    upload_id: uuid.UUID


def changed(session: Session, statement: str, values: dict[str, Any]) -> int:
    """Runs an UPDATE, INSERT or DELETE; how many rows it changed."""
    result = session.execute(text(statement), values)
    return result.rowcount  # type: ignore[attr-defined]


def renew_chunk(session: Session, lease: ChunkLease, lease_s: float) -> bool:
    """Extends a lease by Postgres' clock; False if it is no longer held or the job is closed."""
    return (
        changed(
            session,
            """
            UPDATE chunk SET lease_until = now() + make_interval(secs => :lease_s)
            WHERE job_id = :job_id AND chunk_no = :chunk_no AND lease_token = :token AND state = 'leased'
                AND EXISTS (SELECT FROM job WHERE id = :job_id AND state IN ('ingesting', 'running'))
            """,
            {"lease_s": lease_s, **lease_key(lease)},
        )
        == 1
    )


def renew_ingest(session: Session, lease: IngestLease, lease_s: float) -> bool:
    """Extends an ingest lease; False if it is no longer held."""
    return (
        changed(
            session,
            """
            UPDATE job SET ingest_lease_until = now() + make_interval(secs => :lease_s)
            WHERE id = :job_id AND ingest_token = :token AND ingest_lease_until IS NOT NULL AND state = 'ingesting'
            """,
            {"lease_s": lease_s, "job_id": lease.source.job_id, "token": lease.token},
        )
        == 1
    )


def release_chunk(session: Session, lease: ChunkLease, *, after_s: float = 0.0) -> None:
    """Gives an unfinished chunk back: claimable again in `after_s` seconds. Does nothing if the lease is stale."""
    changed(
        session,
        """
        UPDATE chunk SET state = 'ready', lease_until = NULL, worker_id = NULL, isolated_row = NULL,
            not_before = now() + make_interval(secs => :after_s)
        WHERE job_id = :job_id AND chunk_no = :chunk_no AND lease_token = :token AND state = 'leased'
        """,
        {"after_s": after_s, **lease_key(lease)},
    )


def release_ingest(session: Session, lease: IngestLease, *, after_s: float = 0.0) -> None:
    """Gives an ingest back without progress: claimable again in `after_s` seconds."""
    changed(
        session,
        """
        UPDATE job SET ingest_lease_until = NULL, ingest_worker_id = NULL,
            ingest_not_before = now() + make_interval(secs => :after_s)
        WHERE id = :job_id AND ingest_token = :token
        """,
        {"after_s": after_s, "job_id": lease.source.job_id, "token": lease.token},
    )


def note_isolated_row(session: Session, lease: ChunkLease, row_no: int) -> None:
    """Writes down the row about to be tried alone, so that its child's death can be laid to it.

    Raises:
        StaleLease: the chunk is no longer ours.
    """
    held = changed(
        session,
        """
        UPDATE chunk SET isolated_row = :row_no
        WHERE job_id = :job_id AND chunk_no = :chunk_no AND lease_token = :token AND state = 'leased'
        """,
        {"row_no": row_no, **lease_key(lease)},
    )
    if not held:
        raise StaleLease


def condemned_rows(session: Session, lease: ChunkLease, after: int) -> dict[int, str]:
    """Rows of the chunk on which children died at least `after` times: row number → reason code."""
    rows = session.execute(
        text("""
        SELECT row_no, code FROM row_poison
        WHERE job_id = :job_id AND row_no >= :first AND row_no < :last AND crashes >= :after
        """),
        {
            "job_id": lease.source.job_id,
            "first": lease.first_row,
            "last": lease.first_row + lease.n_rows,
            "after": after,
        },
    )
    return {row.row_no: row.code for row in rows}


def lease_key(lease: ChunkLease) -> dict[str, Any]:
    """The values that name a chunk and prove the right to it."""
    return {"job_id": lease.source.job_id, "chunk_no": lease.chunk_no, "token": lease.token}
