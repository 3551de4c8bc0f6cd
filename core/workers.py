"""Which workers are alive, as far as the ledger has heard: each one's parent says so every other second.

A worker may be told to drain: it finishes what it holds and takes no more, so that its machine can go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import NotFound

WORKER_SILENT_S = 15.0
"""A worker whose heartbeat is older is not alive."""


@dataclass(frozen=True)
class WorkerStatus:
    """One worker, at one moment.

    Attributes:
        id: host, process id and a random part.
        models: the versions it can serve, as far as they are registered.
        slots: its child processes.
        silent_s: seconds since its last heartbeat.
        alive: whether that is not too long.
        draining: whether it takes no more work.
        leases: chunks and files that its children hold.
    """

    id: str
    models: Sequence[str]
    slots: int
    silent_s: float
    alive: bool
    draining: bool
    leases: int


def live_slots(session: Session, model_sha256: str) -> int:
    """The slots of all workers that are alive, take work and have this model; 0: nobody could do anything with it."""
    return session.execute(
        text("""
        SELECT coalesce(sum(slots), 0) FROM worker
        WHERE :model = ANY(models) AND heartbeat > now() - make_interval(secs => :silent) AND NOT draining
        """),
        {"model": model_sha256, "silent": WORKER_SILENT_S},
    ).scalar_one()


def heartbeat(session: Session, worker_id: str, model_sha256: str, slots: int) -> bool:
    """A worker says that it lives; whether it has been told to drain."""
    return session.execute(
        text("""
        INSERT INTO worker (id, models, slots) VALUES (:id, ARRAY[:model], :slots)
        ON CONFLICT (id) DO UPDATE SET heartbeat = now(), models = excluded.models, slots = excluded.slots
        RETURNING draining
        """),
        {"id": worker_id, "model": model_sha256, "slots": slots},
    ).scalar_one()


def list_workers(session: Session) -> list[WorkerStatus]:
    """Every worker of the last hour, those that are alive first; the session must see all accounts."""
    rows = session.execute(
        text("""
        SELECT w.id, w.slots, w.draining, extract(epoch FROM now() - w.heartbeat)::float AS silent_s,
            coalesce((SELECT array_agg(m.version ORDER BY m.version) FROM model m WHERE m.sha256 = ANY(w.models)), '{}')
                AS models,
            (SELECT count(*) FROM chunk c WHERE c.state = 'leased' AND starts_with(c.worker_id, w.id || '/'))
                + (SELECT count(*) FROM job j
                   WHERE j.ingest_lease_until IS NOT NULL AND starts_with(j.ingest_worker_id, w.id || '/')) AS leases
        FROM worker w ORDER BY w.heartbeat > now() - make_interval(secs => :silent) DESC, w.id
        """),
        {"silent": WORKER_SILENT_S},
    )
    return [
        WorkerStatus(
            id=row.id,
            models=row.models,
            slots=row.slots,
            silent_s=row.silent_s,
            alive=row.silent_s < WORKER_SILENT_S,
            draining=row.draining,
            leases=row.leases,
        )
        for row in rows
    ]


def set_draining(session: Session, prefix: str, draining: bool) -> list[str]:
    """Tells the workers whose id begins with `prefix` to take no more work, or to take it again; their ids.

    They hear it with their next heartbeat. A worker that is started anew takes work.

    Raises:
        NotFound: there is none.
    """
    told = session.scalars(
        text("UPDATE worker SET draining = :draining WHERE starts_with(id, :prefix) RETURNING id"),
        {"draining": draining, "prefix": prefix},
    ).all()
    if not told:
        raise NotFound(
            f"There is no worker whose name begins with {prefix!r}.", next_step="`emobatch admin workers` lists them."
        )
    return sorted(told)
