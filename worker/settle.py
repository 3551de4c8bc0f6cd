"""How a lease ends other than by its own commit: its job is finished, or it goes back after a passing fault."""

from __future__ import annotations

import structlog

from core import ledger, tracing
from core.db import Database
from core.errors import EmobatchError
from core.ledger import ChunkLease, IngestLease
from worker import metrics

log = structlog.get_logger(__name__)


def finish(db: Database, lease: ChunkLease | IngestLease) -> None:
    """Finishes the lease's job, if nothing of it is left to do."""
    with tracing.span("job.finish", lease.source.traceparent), db.transaction() as session:
        state = ledger.finish(session, lease.source.job_id)
    if state:
        metrics.JOBS.labels(state).inc()
        log.info("job finished", job_id=str(lease.source.job_id), state=state.value)


def give_back(db: Database, lease: ChunkLease | IngestLease) -> None:
    """Returns a lease after a passing fault; if that fails as well, it runs out by itself."""
    try:
        with db.transaction() as session:
            if isinstance(lease, ChunkLease):
                ledger.release_chunk(session, lease, after_s=2.0)
            else:
                ledger.release_ingest(session, lease, after_s=2.0)
    except EmobatchError as error:
        log.warning("lease left to run out", code=error.code)
