"""`emobatch admin`: what an operator does, straight on the database and the storage, for all accounts at once.

Not through the API: whoever may run this on a server has the database's password anyway, it must work while web is
down, and no route of the API can then be misused for it. It reads the same environment as the servers; without one it
means the local stack of this machine. Needs the extra ``emobatch[core]``; the rest of the command line does not, so
`emobatch.cli` finds this by name when it is asked for.

A module with commands of another noun adds itself to `MODULES` and has a list ``COMMANDS``.
"""

from __future__ import annotations

from importlib import import_module

import click

MODULES = ("jobs", "workers", "accounts", "retention", "check")


@click.group("admin")
def admin() -> None:
    """Look after an installation: its jobs, workers, accounts and files.

    Reads DATABASE_URL, REDIS_URL and STORAGE_URL as the servers do; without them it means the running local stack.
    """


for _name in MODULES:
    for _command in import_module(f"{__name__}.{_name}").COMMANDS:
        admin.add_command(_command)
