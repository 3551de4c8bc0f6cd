"""What happens when somebody dies, and how the end of a job is proved.

Every query here is a level ("everything that is so"), never a time window, so that running it late, twice or from two
places changes nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import deliveries
from core.errors import EmobatchError
from core.ledger.claims import charge_crash
from core.ledger.commits import to_json
from core.ledger.leases import changed
from core.ledger.mending import merge
from core.states import ChunkState, IngestState, JobState

CRASHED = "crashed the model"
"""Reason of a row that killed the child which classified it alone."""


def return_expired(session: Session) -> int:
    """Makes chunks and ingests whose lease has run out claimable again; how many.

    Repeated expiry backs off, up to half a minute: something about that work outlives no lease. What a late worker is
    just committing is left to it: waiting for its locks, in another order, could end in a deadlock.
    """
    chunks = changed(
        session,
        """
        UPDATE chunk SET state = 'ready', lease_until = NULL, worker_id = NULL, isolated_row = NULL,
            not_before = now() + make_interval(secs => least(30, greatest(0, attempt - 3) * 2))
        WHERE (job_id, chunk_no) IN (
            SELECT job_id, chunk_no FROM chunk WHERE state = 'leased' AND lease_until < now() FOR UPDATE SKIP LOCKED
        )
        """,
        {},
    )
    ingests = changed(
        session,
        """
        UPDATE job SET ingest_lease_until = NULL, ingest_worker_id = NULL,
            ingest_not_before = now() + make_interval(secs => least(30, greatest(0, ingest_attempt - 3) * 2))
        WHERE ingest_lease_until < now()
        """,
        {},
    )
    return chunks + ingests


@dataclass(frozen=True)
class HeldLease:
    """A lease as the parent of its holder finds it."""

    job_id: uuid.UUID
    chunk_no: int | None
    """None: an ingest."""
    worker_id: str
    isolated_row: int | None

    @property
    def pid(self) -> int:
        """The child's process id, on its parent's machine."""
        return int(self.worker_id.rsplit("/", 1)[1])


def held_by(session: Session, node: str) -> list[HeldLease]:
    """Every lease that children of worker `node` hold."""
    rows = session.execute(
        text("""
        SELECT job_id, chunk_no, worker_id, isolated_row FROM chunk
        WHERE state = 'leased' AND starts_with(worker_id, :node)
        UNION ALL
        SELECT id, NULL, ingest_worker_id, NULL FROM job
        WHERE ingest_lease_until IS NOT NULL AND starts_with(ingest_worker_id, :node)
        """),
        {"node": node + "/"},
    )
    return [HeldLease(row.job_id, row.chunk_no, row.worker_id, row.isolated_row) for row in rows]


def charge_dead_child(session: Session, held: HeldLease, *, at_fault: bool) -> bool:
    """Returns a dead child's lease at once and, where the child died of this work, lays the crash to the chunk.

    Args:
        held: from `held_by`.
        at_fault: whether the child was in the middle of this chunk, and nobody was shutting it down.

    Returns:
        Whether it was; then `count_crash` of the job is due, once for each child.
    """
    if held.chunk_no is None:
        changed(
            session,
            """
            UPDATE job SET ingest_lease_until = NULL, ingest_worker_id = NULL
            WHERE id = :job_id AND ingest_worker_id = :worker_id
            """,
            {"job_id": held.job_id, "worker_id": held.worker_id},
        )
        return False
    returned = changed(
        session,
        """
        UPDATE chunk SET state = 'ready', lease_until = NULL, worker_id = NULL, isolated_row = NULL,
            crashes = crashes + :crash
        WHERE job_id = :job_id AND chunk_no = :chunk_no AND worker_id = :worker_id AND state = 'leased'
        """,
        {"crash": int(at_fault), "job_id": held.job_id, "chunk_no": held.chunk_no, "worker_id": held.worker_id},
    )
    if not (returned and at_fault):
        return False
    if held.isolated_row is not None:
        session.execute(
            text("""
            INSERT INTO row_poison (job_id, row_no, account_id, code, crashes)
            SELECT id, :row_no, account_id, :code, 1 FROM job WHERE id = :job_id
            ON CONFLICT (job_id, row_no) DO UPDATE SET crashes = row_poison.crashes + 1
            """),
            {"job_id": held.job_id, "row_no": held.isolated_row, "code": CRASHED},
        )
    return True


def count_crash(session: Session, job_id: uuid.UUID, crash_budget: int) -> None:
    """Counts one dead child against a job and its account; with more than `crash_budget` the job fails."""
    job = session.execute(
        text("UPDATE job SET crashes = crashes + 1 WHERE id = :job_id RETURNING crashes, account_id"),
        {"job_id": job_id},
    ).one()
    charge_crash(session, job.account_id)
    if job.crashes > crash_budget:
        fail_job(
            session,
            job_id,
            EmobatchError(
                f"The model crashed {job.crashes} times on this file, more than the {crash_budget} a job may cause.",
                next_step="Rows labelled so far can be downloaded. Please report the file's kind of text.",
            ),
        )


def close_job(session: Session, job_id: uuid.UUID, state: JobState, error: EmobatchError | None = None) -> bool:
    """Ends an active job early. Rows without a result count as failed from now on.

    Returns:
        False if the job was closed already: its state stays.
    """
    closed = changed(
        session,
        """
        UPDATE job SET state = :state, error = CAST(:error AS jsonb), finished_at = now(),
            rows_failed = rows_total - rows_ok - rows_skipped, ingest_lease_until = NULL
        WHERE id = :job_id AND state IN ('queued', 'ingesting', 'running')
        """,
        {"job_id": job_id, "state": state, "error": to_json(error.to_dict()) if error else None},
    )
    if closed:
        deliveries.announce(session, job_id)
    return closed == 1


def fail_job(session: Session, job_id: uuid.UUID, error: EmobatchError) -> bool:
    """Fails a job with an error its owner can read; rows done so far stay. False if it was closed already."""
    return close_job(session, job_id, JobState.FAILED, error)


def finishable(session: Session) -> list[uuid.UUID]:
    """Jobs whose every chunk is done but which nobody has finished: their last worker died just then."""
    return list(
        session.execute(
            text("""
            SELECT id FROM job
            WHERE state = 'running' AND ingest_state = 'done' AND chunks_done = chunks_total AND deleted_at IS NULL
            """)
        ).scalars()
    )


_PROOF = text("""
SELECT count(*) AS chunks, coalesce(sum(n_rows), 0) AS n_rows, coalesce(bool_and(
    state = :done AND first_row = expected_row AND byte_start >= earliest AND coalesce(result_fits, false)
), true) AS fits
FROM (
    SELECT c.state, c.n_rows, c.first_row, c.byte_start,
        coalesce(lag(c.first_row + c.n_rows) OVER before, 1) AS expected_row,
        coalesce(lag(c.byte_end) OVER before, 0) AS earliest,
        r.first_row = c.first_row AND r.n_rows = c.n_rows AND cardinality(r.status) = c.n_rows AS result_fits
    FROM chunk c LEFT JOIN result_chunk r ON r.job_id = c.job_id AND r.chunk_no = c.chunk_no
    WHERE c.job_id = :job_id
    WINDOW before AS (ORDER BY c.chunk_no)
) tiled
""")


def finish(session: Session, job_id: uuid.UUID) -> JobState | None:
    """Completes a job after proving it: chunks tile the rows without gap or overlap, each has its result, sums agree.

    A job that mends rows of another one gives them to that one, all in the same transaction.

    Returns:
        The final state; None if the job is not complete yet, or closed already. A job whose proof fails ends as
        ``failed``: a wrong result must never look like a right one.
    """
    job = session.execute(
        text("""
        SELECT ingest_state, rows_total, rows_ok, rows_skipped, rows_failed, chunks_total, chunks_done, mends_job_id
        FROM job WHERE id = :job_id AND state = 'running' FOR NO KEY UPDATE
        """),
        {"job_id": job_id},
    ).one_or_none()
    if job is None or job.ingest_state != IngestState.DONE or job.chunks_done != job.chunks_total:
        return None
    proof = session.execute(_PROOF, {"job_id": job_id, "done": ChunkState.DONE}).one()
    sums_agree = (
        proof.chunks == job.chunks_total
        and proof.n_rows == job.rows_total == job.rows_ok + job.rows_skipped + job.rows_failed
    )
    if not (proof.fits and sums_agree):
        fail_job(
            session,
            job_id,
            EmobatchError(
                "The results do not cover the file exactly.",
                next_step="This is a fault of emobatch, not of the file: please report it and run the job again.",
            ),
        )
        return JobState.FAILED
    state = JobState.COMPLETED_WITH_ERRORS if job.rows_failed else JobState.COMPLETED
    changed(
        session,
        "UPDATE job SET state = :state, finished_at = now() WHERE id = :job_id",
        {"job_id": job_id, "state": state},
    )
    if job.mends_job_id:
        merge(session, job_id)
    deliveries.announce(session, job_id)
    return state
