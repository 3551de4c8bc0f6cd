"""Whether the worker of this container lives: `python -m worker.health` exits 0 if its heartbeat is fresh.

It asks the ledger for a heartbeat from this host, which the worker's parent writes every two seconds, so a worker that
runs but cannot reach Postgres is unhealthy too.
"""

from __future__ import annotations

import os
import sys

from sqlalchemy import text

from core.db import Database
from core.settings import get_settings
from core.workers import WORKER_SILENT_S


def is_alive(db: Database, host: str) -> bool:
    """Whether a worker on `host` has spoken lately.

    Raises:
        Unavailable: the database does not answer.
    """
    with db.transaction() as session:
        found = session.scalars(
            text("""
            SELECT EXISTS (SELECT FROM worker WHERE starts_with(id, :host)
                AND heartbeat > now() - make_interval(secs => :silent))
            """),
            {"host": f"{host}:", "silent": WORKER_SILENT_S},
        ).one()
    return bool(found)


if __name__ == "__main__":
    url = get_settings().database_url.get_secret_value()
    sys.exit(0 if is_alive(Database(url, "emobatch_worker", pool_size=1), os.uname().nodename) else 1)
