"""What admin commands work on: the database in the worker's role, which sees all accounts, and the storage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from pydantic import ValidationError

from core.db import Database
from core.errors import BadOption, Unavailable
from core.settings import Settings
from core.storage import Storage, open_storage
from emobatch.stack.home import Home
from emobatch.stack.postgres import Postgres
from emobatch.stack.redis import Redis


@dataclass(frozen=True)
class Installation:
    """An installation, as its operator may look at it."""

    settings: Settings
    db: Database
    storage: Storage


@contextmanager
def installation() -> Iterator[Installation]:
    """The installation that the environment names, else the running local stack.

    Raises:
        BadOption: the environment names only a part of one, or a wrong one.
        Unavailable: it names none, and no local stack is running.
    """
    settings = _settings()
    db = Database(settings.database_url.get_secret_value(), "emobatch_worker", pool_size=2)
    try:
        yield Installation(settings, db, open_storage(settings.storage_url))
    finally:
        db.close()


def _settings() -> Settings:
    given: dict[str, Any] = {}
    if not (os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")):
        given = _local()
    try:
        return Settings(**given)
    except ValidationError as error:
        names = ", ".join(str(wrong["loc"][0]) for wrong in error.errors())
        raise BadOption(
            f"The environment does not name a whole installation: see {names}.",
            next_step="Set DATABASE_URL, REDIS_URL and STORAGE_URL as for the servers (docs/settings.md).",
        ) from None


def _local() -> dict[str, Any]:
    home = Home()
    if home.address() is None:
        raise Unavailable(
            f"No local stack is running in {home.root}, and DATABASE_URL is not set.",
            next_step="Start one with `emobatch up`, or set the servers' environment.",
        )
    found = {"database_url": Postgres.of(home).url, "storage_url": home.storage.as_uri()}
    found["redis_url"] = Redis.of(home).url if "redis" in home.remembered_ports() else os.environ["REDIS_URL"]
    made = {name: value for name, value in found.items() if not os.environ.get(name.upper())}
    return made if os.environ.get("EMOBATCH_SECRET_KEY") else made | {"secret_key": home.secrets().secret_key}


def table(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Prints rows that have the same columns: as JSON, or aligned for people."""
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], default=str, indent=2))
        return
    if not rows:
        return
    lines = [list(rows[0]), *([_said(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _said(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "strftime") else str(value)
