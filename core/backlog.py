"""How much work waits, and for how long: what an operator watches, read from the ledger in one short transaction.

Its cost grows with active jobs, not with their chunks: sums come from the jobs' own counters, and of the chunks only
the first ready one of each job is looked at, which was there first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.states import ACTIVE_JOB_STATES
from core.workers import WORKER_SILENT_S


@dataclass(frozen=True)
class Backlog:
    """Everything that waits, at one moment.

    Attributes:
        rows: rows without a final status, by model version; of files that are still being cut, those seen so far.
        uncut_bytes: bytes of stored files that no chunk holds yet.
        jobs: active jobs by state; each of the active states is there.
        oldest_claimable_s: seconds since when the chunk, or the file to cut, that has waited longest could have been
            claimed; 0.0 where none waits.
        leased_chunks: chunks that workers are at now.
        requests: requests of the synchronous lane that nobody has answered yet.
        workers: workers whose heartbeat is fresh.
        slots: child processes of those that take work.
    """

    rows: Mapping[str, int]
    uncut_bytes: int
    jobs: Mapping[str, int]
    oldest_claimable_s: float
    leased_chunks: int
    requests: int
    workers: int
    slots: int


_ROWS = text("""
SELECT model_version, sum(rows_total - rows_ok - rows_skipped - rows_failed)::bigint AS n FROM job
WHERE state IN ('queued', 'ingesting', 'running') AND deleted_at IS NULL GROUP BY model_version
""")
_JOBS = text("""
SELECT state, count(*) AS n FROM job
WHERE state IN ('queued', 'ingesting', 'running') AND deleted_at IS NULL GROUP BY state
""")
_REST = text("""
SELECT
    (SELECT coalesce(sum(greatest(0, u.bytes - j.ingest_offset)), 0)::bigint
     FROM job j JOIN upload u ON u.id = j.upload_id
     WHERE j.state IN ('queued', 'ingesting') AND j.ingest_state <> 'done' AND j.deleted_at IS NULL) AS uncut_bytes,
    (SELECT extract(epoch FROM now() - min(since))::float FROM (
        SELECT first.not_before AS since FROM job j CROSS JOIN LATERAL (
            SELECT c.not_before FROM chunk c WHERE c.job_id = j.id AND c.state = 'ready' ORDER BY c.chunk_no LIMIT 1
        ) first
        WHERE j.state IN ('ingesting', 'running') AND j.deleted_at IS NULL AND first.not_before <= now()
        UNION ALL
        SELECT j.ingest_not_before FROM job j
        WHERE j.state = 'queued' AND j.deleted_at IS NULL AND j.ingest_lease_until IS NULL
            AND j.ingest_not_before <= now()
    ) claimable) AS oldest_s,
    (SELECT count(*) FROM chunk WHERE state = 'leased') AS leased,
    (SELECT count(*) FROM classify_request WHERE texts IS NOT NULL AND expires_at > now()) AS requests,
    (SELECT count(*) FROM worker WHERE heartbeat > now() - make_interval(secs => :silent)) AS workers,
    (SELECT coalesce(sum(slots), 0) FROM worker WHERE heartbeat > now() - make_interval(secs => :silent)
        AND NOT draining) AS slots
""")


def backlog(session: Session) -> Backlog:
    """Reads it; the session must see all accounts (the worker's or the owner's)."""
    rest = session.execute(_REST, {"silent": WORKER_SILENT_S}).one()
    return Backlog(
        rows={row.model_version: row.n for row in session.execute(_ROWS)},
        uncut_bytes=rest.uncut_bytes,
        jobs={str(state): 0 for state in ACTIVE_JOB_STATES} | {row.state: row.n for row in session.execute(_JOBS)},
        oldest_claimable_s=max(0.0, rest.oldest_s or 0.0),
        leased_chunks=rest.leased,
        requests=rest.requests,
        workers=rest.workers,
        slots=rest.slots,
    )
