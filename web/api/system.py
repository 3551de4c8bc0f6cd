"""The system's own state: whether the process is up, whether its parts answer."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import text

from core.errors import EmobatchError, StorageMissing
from core.models import Base
from core.queue import waiting
from web.schemas import HealthOut, ReadyOut
from web.state import State, state

TAG = {"name": "System", "description": "Whether everything runs."}

system = APIBlueprint("system", __name__, tag=TAG)

OK = "ok"


@system.get("/health")
@system.output(HealthOut)
@system.doc(security=[{}])
def health() -> Any:
    """Tell that the process is up. Asks nothing else."""
    return HealthOut(status="ok")


@system.get("/ready")
@system.output(ReadyOut)
@system.doc(security=[{}])
def ready() -> Any:
    """Tell whether database, migrations, storage and broker answer."""
    found = state()
    parts = {
        "database": _database(found),
        "storage": _storage(found),
        "redis": _redis(found),
    }
    well = all(said == OK for said in parts.values())
    return ReadyOut(status="ready" if well else "not ready", parts=parts), 200 if well else 503


def _database(found: State) -> str:
    """Whether Postgres answers and has every column this version uses. Catalogs are readable for every role."""
    try:
        with found.db.transaction() as session:
            there = set(
                session.execute(
                    text("""
                    SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
                    """)
                ).scalars()
            )
    except EmobatchError as error:
        return error.what
    needed = {f"{table.name}.{column.name}" for table in Base.metadata.tables.values() for column in table.columns}
    return OK if needed <= there else "Migrations are missing: run `python -m migrations.run upgrade`."


def _storage(found: State) -> str:
    try:
        found.storage.read_range("probe", 0, 1)
    except StorageMissing:
        return OK  # it answered
    except EmobatchError as error:
        return error.what
    return OK


def _redis(found: State) -> str:
    try:
        waiting(found.ringer)
    except (OperationalError, RedisError, OSError):
        return "The broker does not answer. Uploads are taken all the same, and wait."
    return OK
