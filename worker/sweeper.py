"""What has to be tidied in the whole installation, by one worker at a time.

Each predicate is a level ("everything that is so"), so that a sweep that comes late, or died half way, loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from sqlalchemy import text

from core import classify_requests, deliveries, ledger, sessions
from core.db import Database
from core.ledger import changed
from core.pieces import PREFIX as PIECES
from core.settings import Settings
from core.storage import Storage
from core.upload_keys import CANONICAL
from worker import metrics
from worker.retention import remove_transfers, remove_uploads, retire_jobs

log = structlog.get_logger(__name__)

_LEADER = text("SELECT pg_try_advisory_xact_lock(1936024944)")


def sweep(db: Database, storage: Storage, settings: Settings) -> bool:
    """One sweep, if nobody else is sweeping; whether it was.

    Raises:
        Unavailable: the database or the storage does not answer; the next sweep does it.
    """
    with db.transaction() as session:
        if not session.execute(_LEADER).scalar_one():
            return False
        returned = ledger.return_expired(session)
        finishable = ledger.finishable(session)
        changed(session, "DELETE FROM worker WHERE heartbeat < now() - interval '1 hour'", {})
        changed(session, "DELETE FROM idempotency WHERE lease_until < now()", {})
        classify_requests.remove_expired(session)
        sessions.remove_expired(session)
        deliveries.remove_old(session)
    if returned:
        metrics.LEASES_EXPIRED.inc(returned)
        log.warning("expired leases returned", count=returned)
    for job_id in finishable:
        with db.transaction() as session:
            state = ledger.finish(session, job_id)
        if state:
            metrics.JOBS.labels(state).inc()
            log.info("job finished", job_id=str(job_id), state=state.value)
    retire_jobs(db, settings.retention_days)
    remove_uploads(db, storage)
    remove_transfers(db, storage)
    return True


def remove_orphans(db: Database, storage: Storage) -> int:
    """Removes files that no row names, and says how many: what was written by somebody long given up.

    The files are listed before the rows are read, and a row is committed before its file's first byte, so a file that
    is just arriving always has its row: an upload's file its upload, a piece its transfer.

    Raises:
        Unavailable: the database or the storage does not answer.
    """
    uploads = {entry.key: entry.key.removesuffix(CANONICAL) for entry in storage.list("uploads/")}
    removed = _remove_unknown(db, storage, uploads, "SELECT key FROM upload WHERE key = ANY(:owners)")
    pieces = {entry.key: entry.key.removeprefix(PIECES).partition(".")[0] for entry in storage.list(PIECES)}
    removed += _remove_unknown(db, storage, pieces, "SELECT id::text FROM transfer WHERE id::text = ANY(:owners)")
    if removed:
        log.info("orphaned files removed", count=removed)
    return removed


def _remove_unknown(db: Database, storage: Storage, files: Mapping[str, str], query: str) -> int:
    """Removes those files (key → what owns it) whose owner is none of those that `query` finds."""
    removed = 0
    keys = sorted(files)
    for at in range(0, len(keys), 1_000):
        some = keys[at : at + 1_000]
        with db.transaction() as session:
            known = set(session.scalars(text(query), {"owners": [files[key] for key in some]}))
        for key in some:
            if files[key] not in known:
                storage.delete(key)
                removed += 1
    return removed
