"""Which workers are alive, as far as the ledger has heard: each one's parent says so every other second."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

WORKER_SILENT_S = 15.0
"""A worker whose heartbeat is older is not alive."""


def live_slots(session: Session, model_sha256: str) -> int:
    """The slots of all workers that are alive and have this model; 0: nobody could do anything with it."""
    return session.execute(
        text("""
        SELECT coalesce(sum(slots), 0) FROM worker
        WHERE :model = ANY(models) AND heartbeat > now() - make_interval(secs => :silent)
        """),
        {"model": model_sha256, "silent": WORKER_SILENT_S},
    ).scalar_one()
