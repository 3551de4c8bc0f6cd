"""What stands before a job, and why nothing moves when nothing does: in a sentence for its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import any_, case, exists, func, select, text
from sqlalchemy.orm import Session

from core.models import Chunk, Job, Worker
from core.states import ChunkState, JobState
from core.workers import WORKER_SILENT_S

STILL = 0.01
"""Rows per second: a job that has so few stands still."""


@dataclass(frozen=True)
class Queue:
    """What was there before a job that has not begun.

    Attributes:
        jobs: unfinished ones, of all accounts.
        own_jobs: those of the job's own account among them.
        rows: of all of them that have no status yet, as far as their files are read.
    """

    jobs: int
    own_jobs: int
    rows: int


@dataclass(frozen=True)
class Waiting:
    """Where a job stands.

    Attributes:
        queue: what is before it; None once it has begun.
        reason: why nothing moves; None when something does.
    """

    queue: Queue | None = None
    reason: str | None = None


WORKERS = case(
    (
        Job.state.in_([state for state in JobState if state.active]),
        select(
            func.jsonb_build_array(
                func.count(),
                func.count().filter(Job.model_sha256 == any_(Worker.models)),
                func.count().filter(Job.model_sha256 == any_(Worker.models), ~Worker.draining),
            )
        )
        .select_from(Worker)
        .where(Worker.heartbeat > func.now() - timedelta(seconds=WORKER_SILENT_S))
        .correlate(Job)
        .scalar_subquery(),
    )
)
"""Of an unfinished job: workers alive, of them with its model, of them those that take work. Part of what reads the
job, since a question of its own would take a round trip each time somebody looks."""


def waiting(session: Session, job: Job, rate: float | None, workers: Sequence[int]) -> Waiting:
    """Where a job stands that has `rate` rows per second and `WORKERS`; nothing for one that is over."""
    state = JobState(job.state)
    if not state.active:
        return Waiting()
    queue = _queue(session, job) if state is JobState.QUEUED else None
    return Waiting(queue, _no_worker(session, job, *workers) or _no_turn(session, job, queue, rate))


def _queue(session: Session, job: Job) -> Queue:
    row = session.execute(text("SELECT jobs, own_jobs, rows_left FROM queue_before(:id)"), {"id": job.id}).one()
    return Queue(row.jobs, row.own_jobs, row.rows_left)


def _no_worker(session: Session, job: Job, alive: int, able: int, willing: int) -> str | None:
    if not alive:
        return "Waiting for a worker: none is alive."
    if not able:
        return f"Waiting for a worker that has model {job.model_version}: none of the {alive} alive has it."
    if not willing and not _is_worked_on(session, job):
        return "Waiting for a worker: those that are alive have been told to take no more work."
    return None


def _no_turn(session: Session, job: Job, queue: Queue | None, rate: float | None) -> str | None:
    if queue is None:
        moves = (rate and rate > STILL) or _is_worked_on(session, job)
        return None if moves else "Waiting for its next turn: other jobs have theirs."
    if not queue.jobs:
        return "Waiting for a free worker."
    return f"Waiting for its turn behind {_in_words(queue)}. Jobs take turns, so it need not wait for their end."


def _in_words(queue: Queue) -> str:
    said = "one job" if queue.jobs == 1 else f"{queue.jobs:,} jobs"
    if queue.rows:
        said += f" with {queue.rows:,} rows to go"
    if queue.own_jobs == queue.jobs:
        return f"{said}, {'yours' if queue.jobs == 1 else 'all yours'}"
    return f"{said}, {queue.own_jobs:,} of them yours" if queue.own_jobs else said


def _is_worked_on(session: Session, job: Job) -> bool:
    """Whether some worker holds a lease of this job."""
    leased = exists().where(Chunk.job_id == job.id, Chunk.state == ChunkState.LEASED)
    return job.ingest_lease_until is not None or bool(session.execute(select(leased)).scalar_one())
