"""Room for new jobs: the data of old ones goes sooner than it would."""

from __future__ import annotations

from dataclasses import asdict

import click

from core import expiry
from emobatch.admin.connection import installation, table
from emobatch.options import json_option


@click.command("retention", short_help="List finished jobs that still have their data.")
@click.option("--older-than", "days", type=click.IntRange(0), required=True, metavar="DAYS", help="Since their end.")
@click.option("--yes", is_flag=True, help="Let them expire: files and results go for good. Without it they are listed.")
@json_option
def retention(days: int, yes: bool, as_json: bool) -> None:
    """List finished jobs that still have their data, with its size, or let them expire now."""
    with installation() as found, found.db.transaction() as session:
        old = expiry.older_than(session, days)
        gone = expiry.expire(session, [job.id for job in old]) if yes else 0
    table([asdict(job) for job in old], as_json)
    size = sum(job.bytes for job in old)
    click.echo(
        f"{gone} jobs have expired; a worker removes their {size:,} bytes."
        if yes
        else f"{len(old)} jobs, {size:,} bytes. With --yes they expire.",
        err=True,
    )


COMMANDS = [retention]
