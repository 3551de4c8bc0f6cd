"""Applies migrations without an ini file: `DATABASE_URL=… python -m migrations.run upgrade`.

Takes a login that may create roles (the owner). Safe to run from several places at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url


def config() -> Config:
    """Alembic's configuration for this folder."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    return made


def _run(database_url: str, action: str, revision: str) -> None:
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
    url = os.environ.get("DATABASE_URL")
    if not url:
        print(
            "DATABASE_URL is not set: name the database to migrate, postgresql://user:password@host/name.",
            file=sys.stderr,
        )
        return 2
    action = upgrade if arguments.action == "upgrade" else downgrade
    action(url, *([arguments.revision] if arguments.revision else []))
    return 0


if __name__ == "__main__":
    sys.exit(main())
