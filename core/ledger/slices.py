"""Writing ingest's progress down: the chunks it cut, or where the canonical form lies, with the proof of its lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.ledger.commits import to_json
from core.ledger.leases import IngestLease, StaleLease, changed
from core.quotas import note_rows


@dataclass(frozen=True)
class NewChunk:
    """A chunk as ingest cut it."""

    first_row: int
    first_line: int
    n_rows: int
    byte_start: int
    byte_end: int
    crc: int


@dataclass
class Slice:
    """What one ingest slice adds to the ledger."""

    chunks: list[NewChunk]
    offset: int
    row: int
    line: int
    blank_lines: int
    finished: bool
    warnings: list[dict[str, Any]] = field(default_factory=list)


_INSERT_CHUNK = text("""
INSERT INTO chunk (job_id, chunk_no, account_id, first_row, first_line, n_rows, byte_start, byte_end, crc)
VALUES (:job_id, :chunk_no, :account_id, :first_row, :first_line, :n_rows, :byte_start, :byte_end, :crc)
""")


def commit_slice(session: Session, lease: IngestLease, cut: Slice) -> bool:
    """Adds the chunks of one ingest slice and moves the job's offset, all or nothing; the lease is given back.

    Returns:
        Whether the file is completely cut and every chunk is done already, so that `finish` is due.

    Raises:
        StaleLease: the ingest was taken over or the job is closed. The transaction must be rolled back.
    """
    if cut.chunks:
        session.execute(
            _INSERT_CHUNK,
            [
                {
                    "job_id": lease.source.job_id,
                    "account_id": lease.source.account_id,
                    "chunk_no": lease.chunks_total + number,
                    **vars(chunk),
                }
                for number, chunk in enumerate(cut.chunks)
            ],
        )
    row = session.execute(
        text("""
        UPDATE job SET ingest_offset = :offset, ingest_row = :row, ingest_line = :line, rows_total = :row - 1,
            chunks_total = chunks_total + :n_chunks, blank_lines = blank_lines + :blank_lines,
            warnings = CAST(:warnings AS jsonb), ingest_attempt = 0,
            ingest_state = CASE WHEN :finished THEN 'done' ELSE ingest_state END,
            state = CASE WHEN :finished THEN 'running' ELSE state END,
            ingest_lease_until = NULL, ingest_worker_id = NULL
        WHERE id = :job_id AND ingest_token = :token AND ingest_lease_until IS NOT NULL AND state = 'ingesting'
            AND deleted_at IS NULL
        RETURNING chunks_done = chunks_total AND ingest_state = 'done' AS complete
        """),
        {
            "job_id": lease.source.job_id,
            "token": lease.token,
            "offset": cut.offset,
            "row": cut.row,
            "line": cut.line,
            "n_chunks": len(cut.chunks),
            "blank_lines": cut.blank_lines,
            "warnings": to_json(cut.warnings),
            "finished": cut.finished,
        },
    ).one_or_none()
    if row is None:
        raise StaleLease
    note_rows(session, lease.source.account_id, sum(chunk.n_rows for chunk in cut.chunks))
    return row.complete


def commit_canonical(
    session: Session,
    lease: IngestLease,
    canonical_key: str,
    *,
    warnings: Sequence[dict[str, Any]] = (),
    detected: dict[str, Any] | None = None,
    text_column: dict[str, Any] | None = None,
) -> None:
    """Says where the canonical form of the upload lies; cutting begins with the next claim.

    Args:
        warnings: what was odd about the file.
        detected, text_column: where they were not known before.

    Raises:
        StaleLease: as `commit_slice`.
    """
    session.execute(
        text("""
        UPDATE upload SET canonical_key = :key, detected = coalesce(CAST(:detected AS jsonb), detected)
        WHERE id = :id AND canonical_key IS NULL
        """),
        {"key": canonical_key, "id": lease.upload_id, "detected": to_json(detected) if detected else None},
    )
    moved = changed(
        session,
        """
        UPDATE job SET ingest_state = 'cutting', ingest_lease_until = NULL, ingest_worker_id = NULL, ingest_attempt = 0,
            warnings = CAST(:warnings AS jsonb), text_column = coalesce(CAST(:text_column AS jsonb), text_column)
        WHERE id = :job_id AND ingest_token = :token AND ingest_lease_until IS NOT NULL AND state = 'ingesting'
        """,
        {
            "job_id": lease.source.job_id,
            "token": lease.token,
            "warnings": to_json(list(warnings)),
            "text_column": to_json(text_column) if text_column else None,
        },
    )
    if not moved:
        raise StaleLease
