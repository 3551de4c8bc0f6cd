"""Numbers for Prometheus: those that web and worker share, and how the numbers of several processes become one page.

`web.metrics` and `worker.metrics` hold their own. A number is kept by the process that counts it. Processes with one
parent (gunicorn's, Celery's) keep theirs in files of one folder, ``PROMETHEUS_MULTIPROC_DIR``, from which whichever of
them is asked adds them up. Nothing a user wrote gets into a name or a label: no text, file name, path or key.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    disable_created_metrics,
    multiprocess,
    values,
)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def _prepare_folder() -> Path | None:
    """The folder of this process and its children; None where nobody asks for numbers.

    How a number is kept is settled as it is defined, below, so this cannot wait for the settings object: the first
    process to come by here, the parent, makes the folder, and its children inherit its name.
    """
    wanted = any(name.startswith("EMOBATCH_METRICS_") and value not in ("", "0") for name, value in os.environ.items())
    if FOLDER not in os.environ and wanted:
        made, parent = tempfile.mkdtemp(prefix="emobatch-metrics-"), os.getpid()
        os.environ[FOLDER] = made
        atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == parent else None)
    if FOLDER not in os.environ:
        return None
    # It looked at the environment when it was first imported, which may have been before we came by (Flower adds itself
    # to Celery's command line, and imports it).
    values.ValueClass = values.get_value_class()
    return Path(os.environ[FOLDER])


_folder = _prepare_folder()
disable_created_metrics()

DB_TRANSACTIONS = Gauge(
    "emobatch_db_transactions_open",
    "Transactions that are open now, each on a connection of its own, of all processes.",
    ["role"],
    multiprocess_mode="livesum",
)
DB_CONNECTIONS_LIMIT = Gauge(
    "emobatch_db_connections_limit",
    "Connections that the pools of all processes may open.",
    ["role"],
    multiprocess_mode="livesum",
)
DB_POOL_TIMEOUTS = Counter("emobatch_db_pool_timeouts_total", "Transactions for which none was free.", ["role"])
DB_OUTAGES = Counter("emobatch_db_outages_total", "Transactions that failed because Postgres was away.", ["role"])


class _OwnProcess:
    """Everything that this process counts, as a collector."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()


class _Family:
    """Everything that the processes with a folder in common count. What a dead one counted stays counted, while what
    it had in use is in use no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = multiprocess.MultiProcessCollector(None, str(folder))

    def collect(self) -> Iterator[Metric]:
        for pid in {int(file.stem.rpartition("_")[2]) for file in self._folder.glob("gauge_live*.db")}:
            if not _is_alive(pid):
                multiprocess.mark_process_dead(pid, str(self._folder))
        yield from self._files.collect()


def registry(*more: Any) -> CollectorRegistry:
    """What is shown of this process and, if it has a folder in common with others, of those; with `more` collectors."""
    shown = CollectorRegistry()
    for collector in (_Family(_folder) if _folder else _OwnProcess(), *more):
        shown.register(collector)
    return shown


def clear_folder() -> None:
    """Removes what an earlier parent left in the folder; the parent calls this before it has children."""
    if _folder:
        _folder.mkdir(parents=True, exist_ok=True)
        own = f"_{os.getpid()}.db"
        for file in _folder.glob("*.db"):
            if not file.name.endswith(own):
                file.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
