"""Deleting a job for good, and what goes with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core import jobs
from core.ledger import close_job
from core.models import Job, MendedRow, ResultChunk
from core.states import JobState


@dataclass(frozen=True)
class Removed:
    """What a deletion takes away."""

    id: uuid.UUID
    filename: str
    rows: int
    """Rows of the file that had been read."""
    upload_bytes: int
    """Of the file as it was sent; 0 if another job of the account needs it still."""
    result_bytes: int
    """Of the numbers the model gave for its rows."""


def delete(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> Removed:
    """Deletes a job for good: invisible at once; the sweeper removes its rows and files.

    The jobs that mend its rows go with it, since their files are parts of its own. A job that mended rows of another
    may go alone: what it mended stays.

    Returns:
        What is removed.

    Raises:
        NotFound: as `get_status`.
    """
    status = jobs.cancel(session, account_id, job_id)
    # Children before parents, as they are locked when one is finished.
    mending = select(Job.id).where(Job.mends_job_id == job_id, Job.account_id == account_id, Job.deleted_at.is_(None))
    for child_id in session.scalars(mending).all():
        close_job(session, child_id, JobState.CANCELLED)
        session.execute(update(Job).where(Job.id == child_id).values(deleted_at=func.now()))
    job = session.execute(
        update(Job).where(Job.id == job_id, Job.account_id == account_id).values(deleted_at=func.now()).returning(Job)
    ).scalar_one()
    others = select(Job.id).where(Job.upload_id == job.upload_id, Job.id != job_id, Job.deleted_at.is_(None))
    lent = select(MendedRow.row_no).where(MendedRow.upload_id == job.upload_id, MendedRow.merged)
    shared = session.execute(select(others.exists() | lent.exists())).scalar_one()
    result_bytes = session.execute(
        select(func.coalesce(func.sum(func.octet_length(ResultChunk.logits)), 0)).where(ResultChunk.job_id == job_id)
    ).scalar_one()
    return Removed(
        id=job_id,
        filename=status.filename,
        rows=status.rows_total,
        upload_bytes=0 if shared else status.bytes or 0,
        result_bytes=int(result_bytes),
    )
