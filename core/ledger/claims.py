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
from core.workers import live_slots

# Fair: the account that had least of late, what is being worked on included; of its jobs the one with the fewest
# running chunks, then the one that has waited longest. So a job of one chunk waits for the claims that are being worked
# off, whatever the backlog, and five hundred jobs get their account no more than a single one gets another.
# What it costs grows with active jobs: they come from their partial index, and each is looked up once in that of ready
# chunks. Leased chunks are few, a claim or two for each slot; accounts are joined by key, those of active jobs only.
_DUE_JOBS = """
SELECT j.id AS job_id, j.account_id, coalesce(u.canonical_key, u.key) AS source_key, u.key AS upload_key,
    u.detected, (j.text_column ->> 'index')::integer AS text_index, j.model_sha256, j.traceparent
FROM job j JOIN upload u ON u.id = j.upload_id JOIN account a ON a.id = j.account_id
LEFT JOIN (SELECT job_id, count(*) AS n FROM chunk WHERE state = 'leased' GROUP BY job_id) busy ON busy.job_id = j.id
WHERE j.deleted_at IS NULL AND {due}
ORDER BY {order}, j.created_at, j.id
LIMIT 8
"""
# One chunk that killed a child at a time, in the whole installation: it may well kill the next one.
_NONE_ISOLATED = "NOT EXISTS (SELECT FROM chunk x WHERE x.state = 'leased' AND x.crashes > 0)"
# Bounded: exp() of what comes out smaller than any number is an error to Postgres.
# One moment for the whole statement: else an account's jobs would differ in it, and be ordered by that.
_HAD = "served * exp(greatest(-50, least(0, extract(epoch FROM served_at - statement_timestamp()) / :tau)))"
_UNCUT = """j.state IN ('queued', 'ingesting') AND j.deleted_at IS NULL AND j.ingest_state <> 'done'
    AND j.ingest_lease_until IS NULL AND j.ingest_not_before <= now()"""
_DUE_TO_CLASSIFY = text(
    _DUE_JOBS.format(
        due=f"""j.state IN ('ingesting', 'running') AND j.model_sha256 = ANY(:models) AND EXISTS (
            SELECT FROM chunk c WHERE c.job_id = j.id AND c.state = 'ready' AND c.not_before <= now()
                AND (c.crashes = 0 OR {_NONE_ISOLATED}))""",
        order=f"{_HAD}, coalesce(busy.n, 0), j.claimed_at NULLS FIRST",
    )
)
_DUE_TO_CUT = text(
    _DUE_JOBS.format(
        due=_UNCUT,
        order="a.cut_at NULLS FIRST, j.ingest_claimed_at NULLS FIRST",
    )
)

SERVED_TAU_S = 5.0
"""Time constant of what an account has had of late, see `Account.served`: some claims, so that large ones and small
ones even out; no longer, since a newcomer may catch up with what the others had, and they wait meanwhile."""

MOST_CHARGED = 32 * 1024
"""Bytes that a chunk is charged at most: no chunk has more text to classify (`Settings.chunk_text_bytes`), whatever
else its records hold."""

# What was leased before, and is not done, comes alone: its holder may die too, and must not take much with it. Else one
# short life after the other would lease the same chunks and never reach them.
# Of what is left one in `:share` is taken, so the last pieces are small and nobody works long after the others:
# guided self-scheduling (C. Polychronopoulos, D. Kuck, IEEE Trans. Computers C-36, 1987).
_LEASE = """
WITH picked AS MATERIALIZED (
    SELECT job_id, chunk_no, attempt FROM chunk
    WHERE job_id = :job_id AND state = 'ready' AND not_before <= now() AND {which}
    ORDER BY chunk_no LIMIT least(:limit, (SELECT 1 + count(*) / :share FROM (
        SELECT FROM chunk WHERE job_id = :job_id AND state = 'ready' LIMIT :limit * :share) remaining
    )) FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT job_id, chunk_no, row_number() OVER (ORDER BY chunk_no) AS place,
        bool_or(attempt > 0) OVER (ORDER BY chunk_no) AS again
    FROM picked
)
UPDATE chunk c SET state = 'leased', lease_token = c.lease_token + 1, attempt = c.attempt + 1,
    lease_until = now() + make_interval(secs => :lease_s), worker_id = :worker_id, isolated_row = NULL
FROM taken WHERE c.job_id = taken.job_id AND c.chunk_no = taken.chunk_no AND (taken.place = 1 OR NOT taken.again)
RETURNING c.chunk_no, c.lease_token, c.first_row, c.first_line, c.n_rows, c.byte_start, c.byte_end, c.crc, c.crashes
"""
_LEASE_HEALTHY = text(_LEASE.format(which="crashes = 0"))
_LEASE_ISOLATED = text(
    _LEASE.format(which=f"crashes > 0 AND pg_try_advisory_xact_lock(1768912751) AND {_NONE_ISOLATED}")
)


def claim_chunks(
    session: Session,
    *,
    worker_id: str,
    models: Sequence[str],
    lease_s: float,
    limit: int,
) -> list[ChunkLease]:
    """Leases up to `limit` ready chunks of the job whose turn it is, in order; ``[]`` when nothing is claimable.

    A chunk that was leased before comes alone; one that killed a child too, and when its job has no other left. Where
    several slots have the job's model, they share its end: each holds a claim that it works on and the next one, so a
    claim takes half a slot's share of what is left.
    """
    candidates = session.execute(_DUE_TO_CLASSIFY, {"models": list(models), "tau": SERVED_TAU_S}).all()
    for job in candidates:
        slots = live_slots(session, job.model_sha256)
        share = 2 * slots if slots > 1 else 1
        for query, most in ((_LEASE_HEALTHY, limit), (_LEASE_ISOLATED, 1)):
            rows = session.execute(
                query,
                {"job_id": job.job_id, "limit": most, "share": share, "lease_s": lease_s, "worker_id": worker_id},
            ).all()
            if rows:
                _mark_claimed(session, job.job_id)
                charge(session, job.account_id, sum(min(row.byte_end - row.byte_start, MOST_CHARGED) for row in rows))
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


_CHARGE_SQL = """
UPDATE account SET served_at = clock_timestamp(), served = :n_bytes + {had}
WHERE id = (SELECT id FROM account WHERE id = :account_id FOR NO KEY UPDATE SKIP LOCKED)
"""
_CHARGE = text(_CHARGE_SQL.format(had=_HAD))
_MOST_HAD_SQL = "SELECT max({had}) FROM account"
_MOST_HAD = text(_MOST_HAD_SQL.format(had=_HAD))


def charge(session: Session, account_id: uuid.UUID, n_bytes: float) -> None:
    """Puts work of an account to its account: others come first until they have had as much.

    Skipped where another claimant is just charging it: waiting would make claimants queue for one account.
    """
    session.execute(_CHARGE, {"account_id": account_id, "n_bytes": n_bytes, "tau": SERVED_TAU_S})


def charge_crash(session: Session, account_id: uuid.UUID) -> None:
    """Puts a dead child to the account whose row killed it, as much as anybody had of late.

    While a new child loads its model nobody is served in that slot; others must not pay for it with their turns.
    """
    most = session.execute(_MOST_HAD, {"tau": SERVED_TAU_S}).scalar_one()
    charge(session, account_id, max(most, 8 * MOST_CHARGED))


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
            session.execute(
                text("""
                UPDATE account SET cut_at = clock_timestamp()
                WHERE id = (SELECT id FROM account WHERE id = :account_id FOR NO KEY UPDATE SKIP LOCKED)
                """),
                {"account_id": job.account_id},
            )
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
        traceparent=job.traceparent,
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


_CLAIMABLE_NOW = """
SELECT (SELECT count(*) FROM (
    SELECT FROM job j JOIN chunk c ON c.job_id = j.id
    WHERE j.state IN ('ingesting', 'running') AND j.deleted_at IS NULL AND j.model_sha256 = ANY(:models)
        AND c.state = 'ready' AND c.not_before <= now() LIMIT :most) ready)
+ (SELECT count(*) FROM (SELECT FROM job j WHERE {uncut} LIMIT :most) uncut)
"""
_CLAIMABLE = text(_CLAIMABLE_NOW.format(uncut=_UNCUT))
_ANY_UNCUT = "SELECT EXISTS (SELECT FROM job j WHERE {uncut})"
_FILE_WAITS = text(_ANY_UNCUT.format(uncut=_UNCUT))


def claimable(session: Session, models: Sequence[str], most: int) -> int:
    """How many claims would succeed now, counted up to `most`."""
    return session.execute(_CLAIMABLE, {"models": list(models), "most": most}).scalar_one()


def file_waits(session: Session) -> bool:
    """Whether `claim_ingest` would find a file to cut."""
    return bool(session.execute(_FILE_WAITS).scalar_one())
