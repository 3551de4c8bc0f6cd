"""The Celery app of a worker: one task, and what starts and stops with the parent and with each child.

`celery -A worker.app worker` runs it. The parent never loads an engine; each child loads its own, after the spawn.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import structlog
from celery import bootsteps, signals

from core import log as logs
from core import metrics, tracing
from core.db import Database
from core.failpoints import failpoint
from core.queue import QUEUE, TICK, celery_app, ring
from core.settings import get_settings
from worker import trace
from worker.caretaker import Caretaker
from worker.exporter import Exporter
from worker.metrics import TICKS
from worker.postman import Postman
from worker.shift import Shift, open_shift

log = structlog.get_logger(__name__)

settings = get_settings()
app = celery_app(settings, "emobatch.worker")
app.conf.worker_concurrency = settings.worker_slots
app.set_default()
app.set_current()
trace.node()

SWITCH_S = 0.0005
"""How long a child's thread may keep the interpreter from another: a lane of the engine that has to wait for the thread
that reads ahead, for Python's usual 5 ms, stands still for a tenth of a batch."""

REAP_S = 0.5
"""How often a parent looks for children that died. Celery looks when a child's files close, which is a moment before
it can be seen to be dead, and then not for five seconds."""

_shift: Shift | None = None
_caretaker: Caretaker | None = None
_exporter: Exporter | None = None
_postman: Postman | None = None


class Reaping(bootsteps.StartStopStep):
    """Starts a child anew soon after one died."""

    requires = ("celery.worker.components:Pool",)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Called by Celery, once the parent has its event loop."""
        hub.call_repeatedly(REAP_S, worker.pool.maintain_pool)


app.steps["worker"].add(Reaping)


def _my_shift() -> Shift:
    global _shift
    if _shift is None:
        _shift = open_shift(settings, trace.worker_id(os.getpid()), lambda tickets: ring(app, tickets))
    return _shift


@app.task(name=TICK)
def tick() -> None:
    """Looks in the ledger and works; rings for a successor when there may be more."""
    TICKS.inc()
    if _my_shift().tick():
        failpoint("before-ring")
        ring(app)


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    logs.configure(settings.log_level, settings.log_format)


@signals.worker_process_init.connect
def _child_started(**_: Any) -> None:
    logs.configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_S)
    tracing.configure(settings.otlp_endpoint, "emobatch-worker")
    try:
        _my_shift().warm_up()
    except Exception:  # a child that dies here is started again and again; one that lives says why at each ticket
        log.exception("child could not warm up")


@signals.worker_init.connect
def _parent_starting(**_: Any) -> None:
    trace.prepare()
    metrics.clear_folder()


@signals.worker_ready.connect
def _parent_ready(sender: Any, **_: Any) -> None:
    global _caretaker, _exporter, _postman

    def take_tickets(wanted: bool) -> None:
        # Of the consumer's own thread; `sender` is the consumer.
        sender.call_soon(sender.add_task_queue if wanted else sender.cancel_task_queue, QUEUE)

    _caretaker = Caretaker(settings, app, take_tickets)
    _caretaker.start()
    if settings.metrics_port:
        _exporter = Exporter(settings, app)
    _postman = Postman(Database(settings.database_url.get_secret_value(), "emobatch_worker", pool_size=1), settings)
    _postman.start()


@signals.task_received.connect
def _ticket_came(**_: Any) -> None:
    if _caretaker:
        _caretaker.heard_something()


@signals.worker_shutting_down.connect
def _parent_stopping(**_: Any) -> None:
    if _caretaker:
        _caretaker.stopping()


@signals.worker_shutdown.connect
def _parent_stopped(**_: Any) -> None:
    if _exporter:
        _exporter.close()
    if _postman:
        _postman.stop()
    if _caretaker:
        _caretaker.stop()
    trace.clear()
