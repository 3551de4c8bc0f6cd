"""Jobs as their owner sees them: made, listed, watched, cancelled, deleted."""

from __future__ import annotations

import hashlib
import math
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.orm import Session

from core.errors import LimitExceeded, NotFound
from core.ledger import RATE_TAU_S, close_job
from core.models import Chunk, Job, Upload
from core.states import ACTIVE_JOB_STATES, ChunkState, IngestState, JobState

WORKER_SILENT_S = 15.0
"""A worker whose heartbeat is older is not alive."""


@dataclass(frozen=True)
class JobStatus:
    """One job, at one moment. Times are UTC; `rate` is rows per second; `eta_s` seconds, None when unknown."""

    id: uuid.UUID
    filename: str
    state: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    bytes: int | None
    format: dict[str, Any] | None
    text_column: dict[str, Any]
    model_version: str
    model_sha256: str
    rows_total: int
    rows_total_final: bool
    """False while the file is still being cut: `rows_total` then counts the rows seen so far."""
    rows_ok: int
    rows_skipped: int
    rows_failed: int
    rows_identical: int
    blank_lines: int
    warnings: list[dict[str, Any]]
    """`core.table.Warning_` as dicts: of the detection, then of the cutting."""
    label_counts: dict[str, dict[str, int]]
    rate: float | None
    eta_s: float | None
    jobs_before: int | None
    """Unfinished jobs that were there first, while this one has not begun."""
    waiting_for: str | None
    """A sentence that says why nothing moves; None when something does, or the job is over."""
    error: dict[str, Any] | None

    @property
    def rows_done(self) -> int:
        """Rows that have their final status."""
        return self.rows_ok + self.rows_skipped + self.rows_failed

    @property
    def etag(self) -> str:
        """Changes when anything a user would notice does; the decaying rate alone does not count."""
        seen = (self.id, self.state, self.rows_total, self.rows_total_final, self.rows_done, self.rows_failed)
        waiting = (self.jobs_before, self.waiting_for, self.finished_at, self.expires_at)
        return hashlib.sha256(repr((seen, waiting)).encode()).hexdigest()[:32]


def create_job(
    session: Session,
    *,
    account_id: uuid.UUID,
    upload: Upload,
    text_column: dict[str, Any],
    model_version: str,
    model_sha256: str,
    needs_canonical: bool,
    options: dict[str, Any],
) -> Job:
    """Adds a job for a stored upload, in state ``queued``."""
    job = Job(
        account_id=account_id,
        upload_id=upload.id,
        filename=upload.filename,
        text_column=text_column,
        model_version=model_version,
        model_sha256=model_sha256,
        ingest_state=IngestState.CONVERTING if needs_canonical else IngestState.CUTTING,
        options=options,
    )
    session.add(job)
    session.flush()
    return job


def check_room(session: Session, account_id: uuid.UUID, most: int) -> None:
    """Refuses another job when the account has `most` unfinished ones.

    Raises:
        LimitExceeded: with what to do about it.
    """
    active = session.execute(
        select(func.count())
        .select_from(Job)
        .where(Job.account_id == account_id, Job.state.in_(ACTIVE_JOB_STATES), Job.deleted_at.is_(None))
    ).scalar_one()
    if active >= most:
        raise LimitExceeded(
            f"There are {active} unfinished jobs, as many as are allowed.",
            next_step="Wait for one to finish, or cancel one.",
        )


_RATE_NOW = Job.rate * func.exp(
    -func.greatest(0, func.extract("epoch", func.now() - func.coalesce(Job.rate_at, func.now()))) / RATE_TAU_S
)
# The kernel has seen only what fell since the job began: early on it is scaled up by the share of it that was filled.
_FILLED = 1 - func.exp(
    -func.greatest(1, func.extract("epoch", func.now() - func.coalesce(Job.started_at, func.now()))) / RATE_TAU_S
)


def _statuses() -> Any:
    return (
        select(Job, Upload.bytes, Upload.detected, (_RATE_NOW / _FILLED).label("rate_now"))
        .outerjoin(Upload, Upload.id == Job.upload_id)
        .where(Job.deleted_at.is_(None))
    )


def get_status(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> JobStatus:
    """One job of an account.

    Raises:
        NotFound: unknown, deleted, or another account's: the answer is the same.
    """
    row = session.execute(_statuses().where(Job.id == job_id, Job.account_id == account_id)).one_or_none()
    if row is None:
        raise no_such_job()
    return _status(session, row)


def list_statuses(
    session: Session, account_id: uuid.UUID, *, limit: int = 50, before: uuid.UUID | None = None
) -> list[JobStatus]:
    """An account's jobs, newest first; `before` is the id of the last one already seen."""
    query = _statuses().where(Job.account_id == account_id)
    if before is not None:
        mark = select(Job.created_at, Job.id).where(Job.id == before, Job.account_id == account_id)
        seen = session.execute(mark).one_or_none()
        if seen is None:
            raise no_such_job()
        query = query.where(text("(job.created_at, job.id) < (:at, :id)").bindparams(at=seen.created_at, id=seen.id))
    rows = session.execute(query.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)).all()
    return [_status(session, row) for row in rows]


def cancel(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> JobStatus:
    """Stops a job; what was labelled stays. Cancelling a finished job changes nothing.

    Raises:
        NotFound: as `get_status`.
    """
    status = get_status(session, account_id, job_id)
    if status.state.active:
        close_job(session, job_id, JobState.CANCELLED)
        session.expire_all()
        status = get_status(session, account_id, job_id)
    return status


def delete(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Makes a job invisible at once; the sweeper removes its rows and files.

    Raises:
        NotFound: as `get_status`.
    """
    cancel(session, account_id, job_id)
    session.execute(update(Job).where(Job.id == job_id, Job.account_id == account_id).values(deleted_at=func.now()))


def no_such_job() -> NotFound:
    """The one answer for an id that is unknown, deleted or another account's."""
    return NotFound("There is no such job.", next_step="List your jobs to see their ids.")


def _status(session: Session, row: Any) -> JobStatus:
    job: Job = row.Job
    state = JobState(job.state)
    done = job.rows_ok + job.rows_skipped + job.rows_failed
    final = job.ingest_state == IngestState.DONE
    rate = float(row.rate_now) if state.active and done else None
    if state.active is False and job.started_at and job.finished_at and done:
        rate = done / max(1e-3, (job.finished_at - job.started_at).total_seconds())
    eta = None
    if state.active and final and rate and rate > 0.01:
        eta = (job.rows_total - done) / rate
    before, reason = _waiting(session, job, state, rate)
    return JobStatus(
        id=job.id,
        filename=job.filename,
        state=state,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
        bytes=row.bytes,
        format=row.detected,
        text_column=job.text_column,
        model_version=job.model_version,
        model_sha256=job.model_sha256,
        rows_total=job.rows_total,
        rows_total_final=final,
        rows_ok=job.rows_ok,
        rows_skipped=job.rows_skipped,
        rows_failed=job.rows_failed,
        rows_identical=job.rows_identical,
        blank_lines=job.blank_lines,
        warnings=[*(row.detected or {}).get("warnings", []), *job.warnings],
        label_counts=job.label_counts,
        rate=rate,
        eta_s=eta if eta is None or math.isfinite(eta) else None,
        jobs_before=before,
        waiting_for=reason,
        error=job.error,
    )


def _waiting(session: Session, job: Job, state: JobState, rate: float | None) -> tuple[int | None, str | None]:
    """How many jobs stand before one that has not begun, and why nothing moves, if nothing does."""
    if not state.active:
        return None, None
    before = None
    if state is JobState.QUEUED:
        before = session.execute(text("SELECT jobs_before(:id)"), {"id": job.id}).scalar_one()
    alive, able = session.execute(
        text("""
        SELECT count(*), count(*) FILTER (WHERE :model = ANY(models)) FROM worker
        WHERE heartbeat > now() - make_interval(secs => :silent)
        """),
        {"model": job.model_sha256, "silent": WORKER_SILENT_S},
    ).one()
    if not alive:
        return before, "Waiting for a worker: none is alive."
    if not able:
        return before, f"Waiting for a worker that has model {job.model_version}: none of the {alive} alive has it."
    if state is JobState.QUEUED:
        return before, f"{before} unfinished jobs were here first." if before else "Waiting for a free worker."
    if (rate and rate > 0.01) or _is_worked_on(session, job):
        return before, None
    return before, "Waiting for a free worker: other jobs have their turn."


def _is_worked_on(session: Session, job: Job) -> bool:
    """Whether some worker holds a lease of this job."""
    leased = exists().where(Chunk.job_id == job.id, Chunk.state == ChunkState.LEASED)
    return job.ingest_lease_until is not None or bool(session.execute(select(leased)).scalar_one())
