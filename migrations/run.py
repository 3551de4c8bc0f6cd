"""Applies migrations without an ini file: `DATABASE_URL=… python -m migrations.run upgrade`.

Takes a login that may create roles (the owner). Safe to run from several places at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from core.secret_files import read_secret, with_password

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent

_REVISION = re.compile(r'^(down_)?revision = "(\w+)"', re.MULTILINE)


def config() -> Config:
    """Alembic's configuration for this folder."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(HERE))
    return made


def newest() -> str:
    """The revision that no other one builds upon, read without importing anything."""
    found = [match.groups() for file in HERE.glob("versions/*.py") for match in _REVISION.finditer(file.read_text())]
    (head,) = {name for is_base, name in found if not is_base} - {name for is_base, name in found if is_base}
    return head


def is_current(database_url: str) -> bool:
    """Whether the database is at the newest revision already: nearly always, and Alembic takes long to find it out."""
    plain = re.sub(r"^postgresql\+\w+:", "postgresql:", database_url)  # SQLAlchemy's name for a driver
    with psycopg.connect(plain, connect_timeout=10) as connection:
        try:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest(),)]
        except psycopg.errors.UndefinedTable:
            return False


def _run(database_url: str, action: str, revision: str) -> None:
    from alembic import command
    from sqlalchemy import create_engine, make_url

    engine = create_engine(
        make_url(database_url).set(drivername="postgresql+psycopg"), connect_args={"connect_timeout": 10}
    )
    try:
        with engine.connect() as connection:
            made = config()
            made.attributes["connection"] = connection
            getattr(command, action)(made, revision)
    finally:
        engine.dispose()


def upgrade(database_url: str, revision: str = "head") -> None:
    """Brings the database to `revision`, by default the newest."""
    if revision != "head" or not is_current(database_url):
        _run(database_url, "upgrade", revision)


def downgrade(database_url: str, revision: str = "base") -> None:
    """Takes the database back to `revision`, by default to nothing."""
    _run(database_url, "downgrade", revision)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m migrations.run", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["upgrade", "downgrade"])
    parser.add_argument("revision", nargs="?")
    arguments = parser.parse_args()
    url = read_secret("DATABASE_URL")
    if not url:
        print(
            "DATABASE_URL is not set: name the database to migrate, postgresql://user:password@host/name.",
            file=sys.stderr,
        )
        return 2
    url = with_password(url, read_secret("DATABASE_PASSWORD") or "")
    action = upgrade if arguments.action == "upgrade" else downgrade
    action(url, *([arguments.revision] if arguments.revision else []))
    return 0


if __name__ == "__main__":
    sys.exit(main())
