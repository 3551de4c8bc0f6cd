"""What has to be tidied in the whole installation, by one worker at a time.

Each predicate is a level ("everything that is so"), so that a sweep that comes late, or died half way, loses nothing.
"""

from __future__ import annotations

import structlog
from sqlalchemy import text

from core import ledger
from core.db import Database
from core.ledger import changed
from core.settings import Settings
from core.storage import Storage
from core.uploads import CANONICAL, canonical_key

log = structlog.get_logger(__name__)

_LEADER = text("SELECT pg_try_advisory_xact_lock(1936024944)")


def sweep(db: Database, storage: Storage, settings: Settings) -> None:
    """One sweep, if nobody else is sweeping.

    Raises:
        Unavailable: the database or the storage does not answer; the next sweep does it.
    """
    with db.transaction() as session:
        if not session.execute(_LEADER).scalar_one():
            return
        returned = ledger.return_expired(session)
        finishable = ledger.finishable(session)
        changed(session, "DELETE FROM worker WHERE heartbeat < now() - interval '1 hour'", {})
        changed(session, "DELETE FROM idempotency WHERE lease_until < now()", {})
    if returned:
        log.warning("expired leases returned", count=returned)
    for job_id in finishable:
        with db.transaction() as session:
            state = ledger.finish(session, job_id)
        if state:
            log.info("job finished", job_id=str(job_id), state=state.value)
    _retire_jobs(db, settings.retention_days)
    _remove_uploads(db, storage)


def _retire_jobs(db: Database, retention_days: int) -> None:
    """Deleted jobs go, with their results; expired ones keep their row, so that a link to them still says something."""
    with db.transaction() as session:
        changed(
            session,
            """
            UPDATE job SET expires_at = finished_at + make_interval(days => :days)
            WHERE finished_at IS NOT NULL AND expires_at IS NULL
            """,
            {"days": retention_days},
        )
        changed(
            session,
            """
            WITH gone AS (
                DELETE FROM job WHERE deleted_at IS NOT NULL
                    AND NOT EXISTS (SELECT FROM job child WHERE child.parent_job_id = job.id)
                RETURNING upload_id
            )
            UPDATE upload SET state = 'deleting', lease_until = now() FROM gone
            WHERE upload.id = gone.upload_id
                AND NOT EXISTS (SELECT FROM job WHERE upload_id = upload.id AND deleted_at IS NULL)
            """,
            {},
        )
        changed(
            session,
            """
            WITH late AS (
                UPDATE job SET state = 'expired' WHERE expires_at < now() AND state <> 'expired' AND deleted_at IS NULL
                RETURNING id
            )
            DELETE FROM chunk USING late WHERE chunk.job_id = late.id
            """,
            {},
        )
        changed(
            session,
            """
            DELETE FROM result_chunk USING job WHERE job.id = result_chunk.job_id AND job.state = 'expired'
                AND job.upload_id IS NOT NULL
            """,
            {},
        )
        changed(
            session,
            """
            WITH late AS (
                UPDATE job SET upload_id = NULL FROM job was
                WHERE was.id = job.id AND job.state = 'expired' AND job.upload_id IS NOT NULL
                RETURNING was.upload_id
            )
            UPDATE upload SET state = 'deleting', lease_until = now() FROM late
            WHERE upload.id = late.upload_id
                AND NOT EXISTS (SELECT FROM job WHERE upload_id = upload.id AND state <> 'expired')
            """,
            {},
        )


def _remove_uploads(db: Database, storage: Storage) -> None:
    """Removes files and then rows of uploads that were given up: told to go, or whose sender's lease ran out."""
    with db.transaction() as session:
        doomed = session.execute(
            text("""
            UPDATE upload SET state = 'deleting', lease_token = lease_token + 1
            WHERE state = 'deleting' OR (state = 'receiving' AND lease_until < now())
            RETURNING id, key
            """)
        ).all()
    for upload in doomed:
        storage.delete(upload.key)
        storage.delete(canonical_key(upload.id))
        with db.transaction() as session:
            changed(
                session,
                "DELETE FROM upload WHERE id = :id AND NOT EXISTS (SELECT FROM job WHERE upload_id = :id)",
                {"id": upload.id},
            )


def remove_orphans(db: Database, storage: Storage) -> int:
    """Removes files that no upload row names, and says how many: what was written by somebody long given up.

    The files are listed before the rows are read, and a row is committed before its file's first byte, so a file that
    is just arriving always has its row.

    Raises:
        Unavailable: the database or the storage does not answer.
    """
    keys = sorted({entry.key for entry in storage.list("uploads/")})
    removed = 0
    for at in range(0, len(keys), 1_000):
        some = keys[at : at + 1_000]
        with db.transaction() as session:
            uploads = [key.removesuffix(CANONICAL) for key in some]
            known = set(session.scalars(text("SELECT key FROM upload WHERE key = ANY(:keys)"), {"keys": uploads}))
        for key, upload in zip(some, uploads, strict=True):
            if upload not in known:
                storage.delete(key)
                removed += 1
    if removed:
        log.info("orphaned files removed", count=removed)
    return removed
