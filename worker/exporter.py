"""The page that Prometheus reads of a worker, served by its parent: what its children count, and what the ledger says.

Every worker says the same of the ledger (``max`` over them is the truth), so it is known as long as one of them lives;
what is counted is each one's own. The page is on a port of its own, on the loopback unless the settings say otherwise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from prometheus_client import start_http_server
from prometheus_client.core import GaugeMetricFamily
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from core import metrics, queue
from core.backlog import Backlog, backlog
from core.db import Database
from core.errors import EmobatchError
from core.settings import Settings

log = structlog.get_logger(__name__)

FRESH_S = 2.0
"""What was read so lately is shown again: however many ask, the ledger is asked seldom."""


class LedgerCollector:
    """What waits, read from the ledger and the broker whenever somebody asks."""

    def __init__(self, db: Database, app: Celery) -> None:
        self._db = db
        self._app = app
        self._lock = threading.Lock()
        self._shown: list[GaugeMetricFamily] = []
        self._read_at = -FRESH_S

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names, for the registry: nothing is asked."""
        yield from _families(None, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures; where a server is away its own are missing, and `emobatch_ledger_up` or `…broker_up` is 0."""
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_S:
                self._shown = _families(self._ledger(), self._tickets())
                self._read_at = time.monotonic()
            yield from self._shown

    def _ledger(self) -> Backlog | None:
        try:
            with self._db.transaction() as session:
                return backlog(session)
        except (EmobatchError, SQLAlchemyError) as error:
            log.warning("backlog not read", reason=type(error).__name__)
            return None

    def _tickets(self) -> int | None:
        try:
            return queue.waiting(self._app)
        except (OperationalError, RedisError, OSError):
            return None


class Exporter:
    """Serves the page until it is closed. Opens the port at once.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._db = Database(settings.database_url.get_secret_value(), "emobatch_worker", pool_size=1)
        shown = metrics.registry(LedgerCollector(self._db, app))
        self._server, self._thread = start_http_server(settings.metrics_port, settings.metrics_host, shown)
        log.info("metrics are served", host=settings.metrics_host, port=self.port)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Closes the port and its connection."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
        self._db.close()


def _families(found: Backlog | None, tickets: int | None) -> list[GaugeMetricFamily]:
    """Everything there is to show; a figure that is not known has no sample."""
    return [
        _one("ledger_up", "Whether Postgres answered.", float(found is not None)),
        _one("broker_up", "Whether Redis answered.", float(tickets is not None)),
        _one("tickets_waiting", "Tickets that no worker has taken yet.", tickets),
        _by("backlog_rows", "Rows without a final status, by model version.", "model", found.rows if found else None),
        _by("jobs_active", "Unfinished jobs by state.", "state", found.jobs if found else None),
        _one("backlog_uncut_bytes", "Bytes of uploads that are in no chunk yet.", found.uncut_bytes if found else None),
        _one(
            "oldest_claimable_seconds",
            "For how long the chunk or file that waits longest could have been claimed.",
            found.oldest_claimable_s if found else None,
        ),
        _one("chunks_leased", "Chunks that workers are at now.", found.leased_chunks if found else None),
        _one("requests_waiting", "Unanswered requests of the synchronous lane.", found.requests if found else None),
        _one("workers_alive", "Workers whose heartbeat is fresh.", found.workers if found else None),
        _one("slots_alive", "Child processes of the workers that are alive.", found.slots if found else None),
    ]


def _one(name: str, says: str, value: float | None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"emobatch_{name}", says, value=value)


def _by(name: str, says: str, label: str, values: Mapping[str, float] | None) -> GaugeMetricFamily:
    made = GaugeMetricFamily(f"emobatch_{name}", says, labels=[label])
    for key, value in (values or {}).items():
        made.add_metric([key], value)
    return made
