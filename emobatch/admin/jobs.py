"""Jobs of all accounts: listed, and given back to the workers."""

from __future__ import annotations

import uuid

import click
from sqlalchemy import text

from core import ledger
from core.errors import Conflict
from core.ledger.requeue import requeue
from core.queue import celery_app, ring
from core.states import JobState
from emobatch.admin.connection import installation, table
from emobatch.options import json_option

_JOBS = text("""
SELECT id, account_id, state, rows_total, rows_ok + rows_skipped + rows_failed AS rows_done, rows_failed, crashes,
    created_at, finished_at, coalesce(error ->> 'what', '') AS error
FROM job
WHERE deleted_at IS NULL AND (CAST(:state AS text) IS NULL OR state = :state)
    AND (CAST(:account AS uuid) IS NULL OR account_id = :account)
ORDER BY created_at DESC, id LIMIT :limit
""")


@click.command("jobs", short_help="List jobs of all accounts, newest first.")
@click.option("--state", type=click.Choice([str(state) for state in JobState]), help="Only those.")
@click.option("--account", type=click.UUID, help="Only those of this account.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
def list_jobs(state: str | None, account: uuid.UUID | None, limit: int, as_json: bool) -> None:
    """List jobs of all accounts, newest first; no file names, no texts."""
    with installation() as found, found.db.transaction() as session:
        rows = session.execute(_JOBS, {"state": state, "account": account, "limit": limit}).mappings().all()
    table(rows, as_json)  # type: ignore[arg-type]


@click.command("requeue")
@click.argument("job", type=click.UUID)
def requeue_job(job: uuid.UUID) -> None:
    """Give a job's unfinished work back to the workers, now.

    Whoever holds some of it loses it. A failed or cancelled job is opened again and goes on where it was; a row that
    was condemned for killing its process is tried again.
    """
    with installation() as found:
        with found.db.transaction() as session:
            given_back = requeue(session, job)
        if not given_back:
            # Everything was done, and nobody had closed the job.
            with found.db.transaction() as session:
                if ledger.finish(session, job) is None:
                    raise Conflict("Nothing of the job is left to do.", next_step="See `emobatch admin check`.")
        rung = ring(celery_app(found.settings, "emobatch.admin"), tickets=1)
    later = "" if rung else " Redis does not answer: it takes some seconds."
    click.echo(f"{given_back} chunks and files can be claimed.{later}")


COMMANDS = [list_jobs, requeue_job]
