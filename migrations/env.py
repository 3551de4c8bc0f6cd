"""How a migration runs: one at a time under a lock, and giving up quickly rather than blocking the service.

As in pypi/warehouse: a statement that waits for a table lock blocks everybody who comes after it, so it gets seconds.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from core.models import Base

LOCK_ID = 0x656D6F62  # "emob": two releases starting at once migrate one after the other


def run() -> None:
    """Runs the migrations asked for on the connection that `migrations.run` put into the config."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text("SET LOCAL statement_timeout = '300s'"))
        context.run_migrations()


run()
