"""Jobs as their owner sees them: made, listed, watched, cancelled."""

from __future__ import annotations

import hashlib
import math
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.ledger import RATE_TAU_S, close_job
from core.mark import Mark
from core.models import Job, Model, Upload
from core.states import IngestState, JobState
from core.waiting import STILL, WORKERS, waiting


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
    model_name: str
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
    flag_counts: dict[str, int]
    """Rows by trust flag, `core.flags.WORDS`; a flag that no row has is left out."""
    runtimes: dict[str, int]
    """Labelled rows by what computed their logits."""
    rate: float | None
    eta_s: float | None
    eta_low_s: float | None
    """`eta_s` at the better of two speeds, the recent one and that since the job began, and a little less ..."""
    eta_high_s: float | None
    """... and at the worse one, and a little more."""
    jobs_before: int | None
    """Unfinished jobs that were there first, of all accounts, while this one has not begun ..."""
    rows_before: int | None
    """... and how many of their rows have no status yet, as far as their files are read."""
    waiting_for: str | None
    """A sentence that says why nothing moves; None when something does, or the job is over."""
    error: dict[str, Any] | None
    mends_job_id: uuid.UUID | None
    """The job whose failed rows this one mends."""
    revision: int
    """How often rows were mended."""

    @property
    def rows_done(self) -> int:
        """Rows that have their final status."""
        return self.rows_ok + self.rows_skipped + self.rows_failed

    @property
    def etag(self) -> str:
        """Changes when anything a user would notice does; the decaying rate alone does not count."""
        seen = (self.id, self.state, self.rows_total, self.rows_total_final, self.rows_done, self.rows_failed)
        waiting = (
            self.jobs_before,
            self.rows_before,
            self.waiting_for,
            self.finished_at,
            self.expires_at,
            self.revision,
        )
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


# Bounded: exp() of what is smaller than any number is an error to Postgres, and a job may rest for days.
_MOST_TAU = 50.0


def _tau_since(moment: Any, least_s: float) -> Any:
    """Time constants of the rate since `moment`, which may be null: now."""
    seconds = func.extract("epoch", func.now() - func.coalesce(moment, func.now()))
    return func.least(_MOST_TAU, func.greatest(least_s, seconds) / RATE_TAU_S)


_RATE_NOW = Job.rate * func.exp(-_tau_since(Job.rate_at, 0))
# The kernel has seen only what fell since the job began: early on it is scaled up by the share of it that was filled.
_FILLED = 1 - func.exp(-_tau_since(Job.started_at, 1))


_STATUSES = (
    select(
        Job,
        Upload.bytes,
        Upload.detected,
        func.jsonb_extract_path_text(Model.manifest, "name").label("model_name"),
        (_RATE_NOW / _FILLED).label("rate_now"),
        func.now().label("now"),
        WORKERS.label("workers"),
    )
    .join(Model, Model.sha256 == Job.model_sha256)
    .outerjoin(Upload, Upload.id == Job.upload_id)
    .where(Job.deleted_at.is_(None))
)
_STATUS = _STATUSES.where(Job.id == bindparam("job_id"), Job.account_id == bindparam("account_id"))


def get_status(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> JobStatus:
    """One job of an account.

    Raises:
        NotFound: unknown, deleted, or another account's: the answer is the same.
    """
    row = session.execute(_STATUS, {"job_id": job_id, "account_id": account_id}).one_or_none()
    if row is None:
        raise no_such_job()
    return _status(session, row)


def list_statuses(
    session: Session, account_id: uuid.UUID, *, limit: int = 50, before: Mark | None = None
) -> list[JobStatus]:
    """An account's jobs, newest first; `before` is the place of the last one already seen."""
    query = _STATUSES.where(Job.account_id == account_id)
    if before is not None:
        query = query.where(before.comes_after(Job))
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
    if state.active and final and rate and rate > STILL:
        eta = (job.rows_total - done) / rate
    low, high = _eta_range(eta, rate, done, (row.now - job.started_at).total_seconds() if job.started_at else 0)
    where = waiting(session, job, rate, row.workers)
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
        model_name=row.model_name,
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
        flag_counts=job.flag_counts,
        runtimes=job.runtimes,
        rate=rate,
        eta_s=eta if eta is None or math.isfinite(eta) else None,
        eta_low_s=low,
        eta_high_s=high,
        jobs_before=where.queue.jobs if where.queue else None,
        rows_before=where.queue.rows if where.queue else None,
        waiting_for=where.reason,
        error=job.error,
        mends_job_id=job.mends_job_id,
        revision=job.revision,
    )


ETA_DOUBT = 0.1
"""Of an estimate, where both speeds agree."""


def _eta_range(
    eta_s: float | None, rate: float | None, done: int, seconds: float
) -> tuple[float, float] | tuple[None, None]:
    """An estimate from the recent speed, and from that of the whole job so far: the truth is mostly in between."""
    if eta_s is None or not rate or not math.isfinite(eta_s):
        return None, None
    overall = eta_s * rate * seconds / done
    return min(eta_s, overall) * (1 - ETA_DOUBT), max(eta_s, overall) * (1 + ETA_DOUBT)
