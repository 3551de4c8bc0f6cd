"""What is taken away, for good: deleted jobs, jobs whose time is over, uploads that nobody needs any more.

An upload, its canonical form, the chunks and the results of a job go together. Work is cut into short transactions, and
a call ends after a moment, since nothing else is looked after meanwhile: what is left, the next sweep takes on.
"""

from __future__ import annotations

import time
import uuid

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.db import Database
from core.ledger import changed
from core.storage import Storage
from core.upload_keys import canonical_key

log = structlog.get_logger(__name__)

BATCH = 500
"""Chunks of one transaction: some ten megabytes of results."""

TURN_S = 1.0
"""After so long the next sweep goes on."""

# Chunks in the order of their numbers, before their job, as those who commit lock them: nobody waits in a circle.
_EMPTY = tuple(
    f"""
    DELETE FROM {table} WHERE (job_id, chunk_no) IN (
        SELECT job_id, chunk_no FROM {table} WHERE job_id = :job_id ORDER BY chunk_no LIMIT :most FOR UPDATE)
    """  # noqa: S608 - our own two names
    for table in ("result_chunk", "chunk")
)


def retire_jobs(db: Database, retention_days: int) -> None:
    """Removes the data of deleted and of expired jobs, for about `TURN_S`.

    A deleted job goes with its row. An expired one keeps it, so that a link to it still says something.

    Raises:
        Unavailable: the database does not answer; the next call goes on.
    """
    _set_expiry(db, retention_days)
    until = time.monotonic() + TURN_S
    removed = False
    for job_id in _doomed(db):
        if not _empty(db, job_id, until):
            break
        with db.transaction() as session:
            upload_id = session.execute(
                text("SELECT upload_id FROM job WHERE id = :id"), {"id": job_id}
            ).scalar_one_or_none()
            values = {"id": job_id, "upload_id": upload_id}
            # Files from which mended rows of this job were read; and rows that this job was to mend and never did.
            lent = session.execute(text("DELETE FROM mended_row WHERE job_id = :id RETURNING upload_id"), values)
            values["uploads"] = list({upload_id, *lent.scalars()} - {None})
            changed(session, "DELETE FROM mended_row WHERE upload_id = :upload_id AND NOT merged", values)
            changed(session, "UPDATE job SET upload_id = NULL WHERE id = :id", values)
            # What the request was answered names the file and its columns.
            changed(session, "DELETE FROM idempotency WHERE job_id = :id", values)
            changed(session, "UPDATE transfer SET expires_at = now() WHERE job_id = :id", values)
            changed(session, "DELETE FROM row_poison WHERE job_id = :id", values)
            changed(session, "DELETE FROM review WHERE job_id = :id", values)
            changed(session, "DELETE FROM correction WHERE job_id = :id", values)
            changed(session, "DELETE FROM figure WHERE job_id = :id", values)
            deleted = changed(
                session,
                """
                DELETE FROM job WHERE id = :id AND deleted_at IS NOT NULL
                    AND NOT EXISTS (SELECT FROM job child WHERE :id IN (child.parent_job_id, child.mends_job_id))
                """,
                values,
            )
            changed(
                session,
                """
                UPDATE upload SET state = 'deleting', lease_until = now()
                WHERE id = ANY(:uploads) AND NOT EXISTS (SELECT FROM job WHERE upload_id = upload.id)
                    AND NOT EXISTS (SELECT FROM mended_row WHERE upload_id = upload.id)
                """,
                values,
            )
        log.info("job removed" if deleted else "job expired", job_id=str(job_id))
        removed = True
        if time.monotonic() > until:
            break
    if removed:
        _vacuum(db)


def _vacuum(db: Database) -> None:
    """Lets the next job have the room of those that went, now and not when autovacuum comes by.

    Cheap: a table has a row for hundreds of rows of a file, and only pages that changed are read. Before Postgres 17
    only a table's owner may; then this does nothing but warn, and autovacuum does it.
    """
    try:
        with db.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.execute(text("VACUUM (SKIP_LOCKED) chunk, result_chunk"))
    except DBAPIError as error:
        log.info("tables not vacuumed", reason=type(error.orig).__name__)


def _set_expiry(db: Database, retention_days: int) -> None:
    """Says when finished jobs expire, and lets those expire whose time has come."""
    with db.transaction() as session:
        changed(
            session,
            """
            UPDATE job SET expires_at = finished_at
                + make_interval(days => coalesce((options ->> 'keep_days')::integer, :days))
            WHERE finished_at IS NOT NULL AND expires_at IS NULL
            """,
            {"days": retention_days},
        )
        changed(
            session,
            "UPDATE job SET state = 'expired' WHERE expires_at < now() AND state <> 'expired' AND deleted_at IS NULL",
            {},
        )


def _doomed(db: Database) -> list[uuid.UUID]:
    """Jobs whose data must go: deleted, or expired and not emptied yet. Children before those they came from."""
    with db.transaction() as session:
        return list(
            session.scalars(
                text("""
                SELECT id FROM job
                WHERE upload_id IS NOT NULL AND (deleted_at IS NOT NULL OR state = 'expired')
                    OR deleted_at IS NOT NULL AND NOT EXISTS (
                        SELECT FROM job child WHERE job.id IN (child.parent_job_id, child.mends_job_id))
                ORDER BY created_at DESC LIMIT 100
                """)
            )
        )


def _empty(db: Database, job_id: uuid.UUID, until: float) -> bool:
    """Removes a job's results and chunks; False if time ran out before the last one."""
    for statement in _EMPTY:
        while True:
            with db.transaction() as session:
                removed = changed(session, statement, {"job_id": job_id, "most": BATCH})
            if removed < BATCH:
                break
            if time.monotonic() > until:
                return False
    return True


def remove_uploads(db: Database, storage: Storage) -> None:
    """Removes files and then rows of uploads that were given up: told to go, or whose sender's lease ran out.

    Raises:
        Unavailable: the database or the storage does not answer; the next call goes on.
    """
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


def remove_transfers(db: Database, storage: Storage) -> None:
    """Removes the pieces of files that have become a job, and all of those whose sender did not come back in time.

    Raises:
        Unavailable: the database or the storage does not answer; the next call goes on.
    """
    with db.transaction() as session:
        doomed = session.execute(
            text("""
            UPDATE transfer SET lease_token = lease_token + 1, resume_key = NULL
            WHERE expires_at <= now() AND (lease_until IS NULL OR lease_until < now())
                OR job_id IS NOT NULL AND EXISTS (SELECT FROM piece WHERE transfer_id = transfer.id)
            RETURNING id, expires_at <= now() AS is_over
            """)
        ).all()
        pieces = session.execute(
            text("SELECT transfer_id, key FROM piece WHERE transfer_id = ANY(:ids)"),
            {"ids": [transfer.id for transfer in doomed]},
        ).all()
    for piece in pieces:
        storage.delete(piece.key)
    with db.transaction() as session:
        values = {"ids": [transfer.id for transfer in doomed], "over": [each.id for each in doomed if each.is_over]}
        changed(session, "DELETE FROM piece WHERE transfer_id = ANY(:ids)", values)
        if changed(session, "DELETE FROM transfer WHERE id = ANY(:over)", values):
            log.info("transfers removed", count=len(values["over"]))
