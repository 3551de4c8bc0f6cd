"""Claiming work, fairly: one short transaction that leases what is most due.

`FOR UPDATE SKIP LOCKED` keeps claimants from waiting for each other; fairness is an ORDER BY.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.ledger.leases import ChunkLease, IngestLease, Source
from core.states import IngestState

# Fair: the account, then the job, with the fewest running chunks; among equals whoever was served longest ago. So a job
# of one chunk waits for one chunk of somebody else's, whatever the backlog.
_DUE_JOBS = """
WITH running AS (
    SELECT job_id, account_id FROM chunk WHERE state = 'leased'
    UNION ALL
    SELECT id, account_id FROM job WHERE state IN ('queued', 'ingesting') AND ingest_lease_until IS NOT NULL
), busy AS (SELECT job_id, count(*) AS n FROM running GROUP BY job_id),
account_busy AS (SELECT account_id, count(*) AS n FROM running GROUP BY account_id)
SELECT j.id AS job_id, j.account_id, coalesce(u.canonical_key, u.key) AS source_key, u.key AS upload_key,
    u.detected, (j.text_column ->> 'index')::integer AS text_index, j.model_sha256
FROM job j JOIN upload u ON u.id = j.upload_id
LEFT JOIN busy ON busy.job_id = j.id LEFT JOIN account_busy ON account_busy.account_id = j.account_id
WHERE j.deleted_at IS NULL AND {due}
ORDER BY coalesce(account_busy.n, 0), max(j.{served_at}) OVER (PARTITION BY j.account_id) NULLS FIRST,
    coalesce(busy.n, 0), j.{served_at} NULLS FIRST, j.created_at, j.id
LIMIT 8
"""
_DUE_TO_CLASSIFY = text(
    _DUE_JOBS.format(
        due="""j.state IN ('ingesting', 'running') AND j.model_sha256 = ANY(:models) AND EXISTS (
            SELECT FROM chunk c WHERE c.job_id = j.id AND c.state = 'ready' AND c.not_before <= now())""",
        served_at="claimed_at",
    )
)
_DUE_TO_CUT = text(
    _DUE_JOBS.format(
        due="""j.state IN ('queued', 'ingesting') AND j.ingest_state <> 'done'
            AND j.ingest_lease_until IS NULL AND j.ingest_not_before <= now()""",
        served_at="ingest_claimed_at",
    )
)

_LEASE = """
WITH picked AS MATERIALIZED (
    SELECT job_id, chunk_no FROM chunk
    WHERE job_id = :job_id AND state = 'ready' AND not_before <= now() AND {which}
    ORDER BY chunk_no LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE chunk c SET state = 'leased', lease_token = c.lease_token + 1, attempt = c.attempt + 1,
    lease_until = now() + make_interval(secs => :lease_s), worker_id = :worker_id, isolated_row = NULL
FROM picked WHERE c.job_id = picked.job_id AND c.chunk_no = picked.chunk_no
RETURNING c.chunk_no, c.lease_token, c.first_row, c.first_line, c.n_rows, c.byte_start, c.byte_end, c.crc, c.crashes
"""
_LEASE_HEALTHY = text(_LEASE.format(which="crashes = 0"))
# One chunk that killed a child at a time, in the whole installation: it may well kill the next one.
_LEASE_ISOLATED = text(
    _LEASE.format(
        which="crashes > 0 AND pg_try_advisory_xact_lock(1768912751)"
        " AND NOT EXISTS (SELECT FROM chunk x WHERE x.state = 'leased' AND x.crashes > 0)"
    )
)


def claim_chunks(
    session: Session, *, worker_id: str, models: Sequence[str], lease_s: float, limit: int
) -> list[ChunkLease]:
    """Leases up to `limit` ready chunks of the job whose turn it is, in order; ``[]`` when nothing is claimable.

    A chunk that killed a child before comes alone.
    """
    candidates = session.execute(_DUE_TO_CLASSIFY, {"models": list(models)}).all()
    for query, most in ((_LEASE_HEALTHY, limit), (_LEASE_ISOLATED, 1)):
        for job in candidates:
            rows = session.execute(
                query, {"job_id": job.job_id, "limit": most, "lease_s": lease_s, "worker_id": worker_id}
            ).all()
            if rows:
                _mark_claimed(session, job.job_id)
                return [
                    ChunkLease(
                        source=_source(job),
                        chunk_no=row.chunk_no,
                        token=row.lease_token,
                        first_row=row.first_row,
                        first_line=row.first_line,
                        n_rows=row.n_rows,
                        byte_start=row.byte_start,
                        byte_end=row.byte_end,
                        crc=row.crc,
                        isolated=row.crashes > 0,
                    )
                    for row in sorted(rows, key=lambda row: row.chunk_no)
                ]
    return []


_INGEST_LEASE = text("""
UPDATE job SET state = 'ingesting', ingest_token = ingest_token + 1, ingest_attempt = ingest_attempt + 1,
    ingest_lease_until = now() + make_interval(secs => :lease_s), ingest_worker_id = :worker_id,
    started_at = coalesce(started_at, now()), ingest_claimed_at = clock_timestamp()
WHERE id = (
    SELECT id FROM job
    WHERE id = :job_id AND state IN ('queued', 'ingesting') AND ingest_state <> 'done' AND ingest_lease_until IS NULL
    FOR UPDATE SKIP LOCKED
)
RETURNING ingest_token, ingest_state, ingest_offset, ingest_row, ingest_line, chunks_total, ingest_attempt, upload_id
""")


def claim_ingest(session: Session, *, worker_id: str, lease_s: float) -> IngestLease | None:
    """Leases the next ingest slice of the job whose turn it is; None when no file waits to be cut."""
    for job in session.execute(_DUE_TO_CUT).all():
        row = session.execute(
            _INGEST_LEASE, {"job_id": job.job_id, "lease_s": lease_s, "worker_id": worker_id}
        ).one_or_none()
        if row:
            return IngestLease(
                source=_source(job),
                token=row.ingest_token,
                state=IngestState(row.ingest_state),
                offset=row.ingest_offset,
                row=row.ingest_row,
                line=row.ingest_line,
                chunks_total=row.chunks_total,
                attempt=row.ingest_attempt,
                upload_id=row.upload_id,
            )
    return None


def _source(job: Any) -> Source:
    return Source(
        job_id=job.job_id,
        account_id=job.account_id,
        key=job.source_key,
        upload_key=job.upload_key,
        format=job.detected,
        text_index=job.text_index,
        model_sha256=job.model_sha256,
    )


def _mark_claimed(session: Session, job_id: uuid.UUID) -> None:
    # Skipped where another transaction has the row: waiting for it would make claimants queue for one big job.
    session.execute(
        text("""
        UPDATE job SET claimed_at = clock_timestamp()
        WHERE id = (SELECT id FROM job WHERE id = :job_id FOR NO KEY UPDATE SKIP LOCKED)
        """),
        {"job_id": job_id},
    )


def claimable(session: Session, models: Sequence[str], most: int) -> int:
    """How many claims would succeed now, counted up to `most`."""
    return session.execute(
        text("""
        SELECT (SELECT count(*) FROM (
            SELECT FROM job j JOIN chunk c ON c.job_id = j.id
            WHERE j.state IN ('ingesting', 'running') AND j.deleted_at IS NULL AND j.model_sha256 = ANY(:models)
                AND c.state = 'ready' AND c.not_before <= now() LIMIT :most) ready)
        + (SELECT count(*) FROM (
            SELECT FROM job j WHERE j.state IN ('queued', 'ingesting') AND j.deleted_at IS NULL
                AND j.ingest_state <> 'done' AND j.ingest_lease_until IS NULL AND j.ingest_not_before <= now()
            LIMIT :most) uncut)
        """),
        {"models": list(models), "most": most},
    ).scalar_one()
