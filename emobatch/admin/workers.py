"""Workers: who is alive and what they hold; told to take no more work before their machine goes."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from core import workers
from core.errors import Unavailable
from emobatch.admin.connection import installation, table
from emobatch.options import json_option

LOOK_S = 0.5


@click.command("workers")
@json_option
def list_workers(as_json: bool) -> None:
    """List workers of the last hour, and how much each one holds."""
    with installation() as found, found.db.transaction() as session:
        listed = workers.list_workers(session)
    table(
        [asdict(one) | {"models": ",".join(one.models), "silent_s": round(one.silent_s, 1)} for one in listed], as_json
    )


@click.command("drain")
@click.argument("worker", metavar="WORKER")
@click.option("--undo", is_flag=True, help="Let them take work again.")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=0, help="Seconds to wait until they hold nothing.")
def drain(worker: str, undo: bool, wait_s: float) -> None:
    """Tell workers to finish what they hold and take no more.

    WORKER is the beginning of their names, so the name of a machine means all workers on it. They hear it within
    seconds, and take work again when they are started anew.
    """
    with installation() as found:
        with found.db.transaction() as session:
            told = workers.set_draining(session, worker, not undo)
        click.echo("\n".join(told))
        until = time.monotonic() + wait_s
        while wait_s and not undo:
            with found.db.transaction() as session:
                holding = [one for one in workers.list_workers(session) if one.id in told and one.alive and one.leases]
            if not holding:
                click.echo("They hold nothing.")
                return
            if time.monotonic() > until:
                raise Unavailable(
                    f"{len(holding)} of them still hold work.", next_step="Wait longer, or stop them: others do it."
                )
            time.sleep(LOOK_S)


COMMANDS = [list_workers, drain]
