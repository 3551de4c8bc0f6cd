"""Writing work down: results and progress in one transaction with the proof that the lease is still held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.arrays import Reals, SmallInts
from core.failpoints import failpoint
from core.ledger.leases import ChunkLease, StaleLease, lease_key
from core.states import IngestState

RATE_TAU_S = 10.0
"""Time constant of a job's rate: each chunk adds its rows / tau, and all of it decays by exp(-t / tau). The sum over
any number of workers is the recent rate, with one number per job and no history to query."""


@dataclass(frozen=True)
class ChunkResult:
    """What a worker found out about one chunk. Sequences have one entry per row."""

    logits: bytes
    top_label: Sequence[int]
    top_score: Sequence[float]
    status: Sequence[int]
    flags: Sequence[int]
    detail: dict[str, Any]
    label_counts: dict[str, dict[str, int]]
    flag_counts: dict[str, int]
    runtime: str
    """What computed the logits."""
    rows_ok: int
    rows_skipped: int
    rows_failed: int
    rows_identical: int


@dataclass(frozen=True)
class Committed:
    """What became of a commit.

    Attributes:
        stale: numbers of the chunks that were not written, because their lease is no longer good.
        last: whether a completely cut job has no chunk left to do, so that `finish` is due.
    """

    stale: frozenset[int]
    last: bool


def commit_chunks(session: Session, done: Sequence[tuple[ChunkLease, ChunkResult]]) -> Committed:
    """Writes results, marks their chunks done and moves the job's counters: several chunks at the cost of one.

    Those whose token is no longer good are left out, and the others are written all the same.

    Args:
        done: at least one, all of the same job.

    Raises:
        StaleLease: none of the leases is good, or the job is closed. The transaction must be rolled back.
    """
    source = done[0][0].source
    if any(lease.source.job_id != source.job_id for lease, _ in done):
        raise ValueError("Chunks of several jobs are not committed together.")
    held = set(
        session.execute(
            _MARK_DONE,
            {
                "job_id": source.job_id,
                "chunk_nos": [lease.chunk_no for lease, _ in done],
                "tokens": [lease.token for lease, _ in done],
            },
        ).scalars()
    )
    good = [(lease, result) for lease, result in done if lease.chunk_no in held]
    if not good:
        raise StaleLease
    failpoint("before-insert")
    session.execute(_INSERT_RESULT, [_result_values(lease, result) for lease, result in good])
    failpoint("after-insert")
    job = session.execute(_LOCK_COUNTERS, {"job_id": source.job_id}).one_or_none()
    if job is None:
        raise StaleLease
    results = [result for _, result in good]
    session.execute(
        _COUNT,
        {
            "job_id": source.job_id,
            "ok": sum(result.rows_ok for result in results),
            "skipped": sum(result.rows_skipped for result in results),
            "failed": sum(result.rows_failed for result in results),
            "identical": sum(result.rows_identical for result in results),
            "chunks": len(good),
            "counts": to_json(add_counts(job.label_counts, *(result.label_counts for result in results))),
            "flag_counts": to_json(_add(job.flag_counts, *(result.flag_counts for result in results))),
            "runtimes": to_json(
                _add(job.runtimes, *({result.runtime: result.rows_ok} for result in results if result.rows_ok))
            ),
            "n_rows": sum(lease.n_rows for lease, _ in good),
            "tau": RATE_TAU_S,
        },
    )
    failpoint("before-commit")
    return Committed(
        stale=frozenset(lease.chunk_no for lease, _ in done) - held,
        last=job.ingest_state == IngestState.DONE and job.chunks_done + len(good) == job.chunks_total,
    )


# Locked in order: two transactions that hold chunks of one job never wait for each other in a circle.
_MARK_DONE = text("""
WITH ours AS MATERIALIZED (
    SELECT c.job_id, c.chunk_no FROM chunk c
    JOIN unnest(CAST(:chunk_nos AS integer[]), CAST(:tokens AS bigint[])) AS lease (chunk_no, token)
        ON lease.chunk_no = c.chunk_no AND lease.token = c.lease_token
    WHERE c.job_id = :job_id AND c.state = 'leased' ORDER BY c.chunk_no FOR UPDATE OF c
)
UPDATE chunk c SET state = 'done', lease_until = NULL, worker_id = NULL, isolated_row = NULL
FROM ours WHERE c.job_id = ours.job_id AND c.chunk_no = ours.chunk_no
RETURNING c.chunk_no
""")

_LOCK_COUNTERS = text("""
SELECT label_counts, flag_counts, runtimes, chunks_done, chunks_total, ingest_state FROM job
WHERE id = :job_id AND state IN ('ingesting', 'running') AND deleted_at IS NULL FOR NO KEY UPDATE
""")

_INSERT_RESULT = text("""
INSERT INTO result_chunk (job_id, chunk_no, account_id, first_row, n_rows, logits, top_label, top_score, status, flags,
    detail, label_counts, model_sha256, lease_token)
VALUES (:job_id, :chunk_no, :account_id, :first_row, :n_rows, :logits, :top_label, :top_score, :status, :flags,
    CAST(:detail AS jsonb), CAST(:label_counts AS jsonb), :model_sha256, :token)
""")

_COUNT = text("""
UPDATE job SET rows_ok = rows_ok + :ok, rows_skipped = rows_skipped + :skipped, rows_failed = rows_failed + :failed,
    rows_identical = rows_identical + :identical, chunks_done = chunks_done + :chunks,
    label_counts = CAST(:counts AS jsonb), flag_counts = CAST(:flag_counts AS jsonb),
    runtimes = CAST(:runtimes AS jsonb),
    -- Bounded: exp() of what is smaller than any number is an error to Postgres, and a job may rest for days.
    rate = rate * exp(greatest(-50, least(0, extract(epoch FROM coalesce(rate_at, now()) - clock_timestamp()) / :tau)))
        + :n_rows / CAST(:tau AS real),
    rate_at = clock_timestamp()
WHERE id = :job_id
""")


def _result_values(lease: ChunkLease, result: ChunkResult) -> dict[str, Any]:
    return {
        **lease_key(lease),
        "account_id": lease.source.account_id,
        "first_row": lease.first_row,
        "n_rows": lease.n_rows,
        "logits": result.logits,
        "top_label": SmallInts(result.top_label),
        "top_score": Reals(result.top_score),
        "status": SmallInts(result.status),
        "flags": SmallInts(result.flags),
        "detail": to_json(result.detail),
        "label_counts": to_json(result.label_counts),
        "model_sha256": lease.source.model_sha256,
    }


def is_committed(session: Session, lease: ChunkLease) -> bool:
    """Whether exactly this lease's result stands in the ledger: settles a COMMIT whose answer was lost."""
    return bool(
        session.execute(
            text("""
            SELECT EXISTS (SELECT FROM result_chunk
                WHERE job_id = :job_id AND chunk_no = :chunk_no AND lease_token = :token)
            """),
            lease_key(lease),
        ).scalar_one()
    )


def add_counts(*counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Sums label counts (taxonomy → label → count); none is changed."""
    taxonomies = dict.fromkeys(taxonomy for one in counts for taxonomy in one)
    return {taxonomy: _add(*(one.get(taxonomy, {}) for one in counts)) for taxonomy in taxonomies}


def _add(*counts: dict[str, int]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            summed[name] = summed.get(name, 0) + count
    return summed


def to_json(value: Any) -> str:
    """A value for a ``CAST(:x AS jsonb)``."""
    return orjson.dumps(value).decode()
