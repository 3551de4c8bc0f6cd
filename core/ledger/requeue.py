"""What an operator may do to a job that does not get on: give its work back at once, or open it again.

No result is thrown away: a job that is opened again goes on where it was, and rows that have their status keep it.
"""

from __future__ import annotations

import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.ledger.leases import changed
from core.states import JobState

REOPENED = (JobState.FAILED, JobState.CANCELLED)


def requeue(session: Session, job_id: uuid.UUID) -> int:
    """Makes all unfinished work of a job claimable now; how many chunks and files that are.

    An active job's leases are returned, whoever holds them, and pauses after faults end. A failed or cancelled job
    becomes active again; crashes it had caused, and rows it had condemned for them, are forgotten.

    Raises:
        NotFound: there is no such job.
        Conflict: the job is complete, or its file is gone.
    """
    # Chunks before their job, as all who lock both.
    session.execute(text("SELECT FROM chunk WHERE job_id = :id ORDER BY chunk_no FOR UPDATE"), {"id": job_id})
    job = session.execute(
        text("""
        SELECT j.state, j.ingest_state, u.state AS upload_state FROM job j LEFT JOIN upload u ON u.id = j.upload_id
        WHERE j.id = :id AND j.deleted_at IS NULL FOR UPDATE OF j
        """),
        {"id": job_id},
    ).one_or_none()
    if job is None:
        raise NotFound("There is no such job.", next_step="`emobatch admin jobs` lists them.")
    state = JobState(job.state)
    if not state.active:
        if state not in REOPENED:
            raise Conflict(f"The job is {state}: nothing of it is left to do.", next_step="Upload the file again.")
        if job.upload_state != "stored":
            raise Conflict("The job's file is gone.", next_step="Upload it again.")
        _reopen(session, job_id)
    values = {"id": job_id}
    chunks = changed(
        session,
        """
        UPDATE chunk SET state = 'ready', lease_token = lease_token + 1, lease_until = NULL, worker_id = NULL,
            isolated_row = NULL, attempt = 0, not_before = now()
        WHERE job_id = :id AND state <> 'done'
        """,
        values,
    )
    files = changed(
        session,
        """
        UPDATE job SET ingest_token = ingest_token + 1, ingest_lease_until = NULL, ingest_worker_id = NULL,
            ingest_attempt = 0, ingest_not_before = now()
        WHERE id = :id AND ingest_state <> 'done'
        """,
        values,
    )
    return chunks + files


def _reopen(session: Session, job_id: uuid.UUID) -> None:
    """A closed job's rows without a result counted as failed; from now on they count as not done again."""
    values = {"id": job_id}
    changed(session, "DELETE FROM row_poison WHERE job_id = :id", values)
    changed(session, "UPDATE chunk SET crashes = 0 WHERE job_id = :id AND state <> 'done'", values)
    changed(
        session,
        """
        UPDATE job SET error = NULL, finished_at = NULL, expires_at = NULL, crashes = 0,
            state = CASE WHEN ingest_state = 'done' THEN 'running' ELSE 'queued' END,
            rows_failed = (
                SELECT coalesce(sum(cardinality(array_positions(r.status, 2::smallint))), 0) FROM result_chunk r
                WHERE r.job_id = :id)
        WHERE id = :id
        """,
        values,
    )
