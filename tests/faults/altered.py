"""The worker's app with one thing altered, for campaigns: no setting of an installation reaches it.

Chosen by the environment: ``EMOBATCH_FAULTS_LATE`` acknowledges tickets late; ``EMOBATCH_FAULTS_POISON`` makes texts
crash, hang or exhaust the engine; ``EMOBATCH_FAULTS_CLOCK`` shifts Python's wall clock by so many seconds;
``EMOBATCH_FAULTS_WITHOUT`` takes a mechanism away, to show that the oracle misses it (`WITHOUT`).
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

GIB = 1024**3

if shift := float(os.environ.get("EMOBATCH_FAULTS_CLOCK", 0)):
    # Only what Python asks the time of: where libfaketime is installed, it lies to everybody instead.
    _true_time = time.time
    time.time = lambda: _true_time() + shift

import worker.chunks  # noqa: E402
import worker.shift  # noqa: E402
import worker.sweeper  # noqa: E402
from core import ledger  # noqa: E402
from core.ledger import commits  # noqa: E402
from tests.faults.corpus import CRASH, HANG, MEMORY, RAISE  # noqa: E402
from worker import app as _app  # noqa: E402
from worker import caretaker  # noqa: E402
from worker.engine import Pause, Scored, go_on  # noqa: E402
from worker.engine.null import NullEngine  # noqa: E402

app = _app.app
# Children are fresh interpreters: they import this before they begin to work.
app.conf.imports = ("tests.faults.altered",)


class PoisonedEngine(NullEngine):
    """The null engine, which some texts are too much for."""

    def score(self, texts: Sequence[str], scope: bytes = b"", pause: Pause = go_on) -> Scored:
        """As the null engine's, if it comes to that."""
        for text in texts:
            if text.startswith(CRASH):
                os.kill(os.getpid(), signal.SIGSEGV)
                time.sleep(60)
            if text.startswith(RAISE):
                raise RuntimeError("a text that no runtime takes")
            if text.startswith(HANG):
                time.sleep(3_600)
            if text.startswith(MEMORY):
                eat_memory()
        return super().score(texts, scope, pause)


def eat_memory() -> None:
    """Allocates until the process may have no more, and dies of it as under the kernel's out-of-memory killer."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))
    eaten = []
    try:
        while True:
            eaten.append(bytes(GIB // 8))
    except MemoryError:
        os.kill(os.getpid(), signal.SIGKILL)


def _no_token_check() -> None:
    """A chunk is done whoever says so, and the last one's result stands."""
    commits._MARK_DONE = commits.text(
        commits._MARK_DONE.text.replace("AND lease.token = c.lease_token", "").replace("AND c.state = 'leased'", "")
    )
    commits._INSERT_RESULT = commits.text(
        commits._INSERT_RESULT.text
        + " ON CONFLICT (job_id, chunk_no) DO UPDATE SET logits = excluded.logits, lease_token = excluded.lease_token"
    )


def _no_sweeper() -> None:
    """Nobody returns what has expired, finishes what is done, or rings again."""
    caretaker.sweep = lambda *_: None
    caretaker.Caretaker._ring = lambda self, wanted: None  # type: ignore[method-assign]
    caretaker.Caretaker._bury = lambda self: None  # type: ignore[method-assign]


WITHOUT: dict[str, Callable[[], Any]] = {"token": _no_token_check, "sweeper": _no_sweeper}

if os.environ.get("EMOBATCH_FAULTS_LATE"):
    app.conf.task_acks_late = True
    app.conf.task_reject_on_worker_lost = True
if os.environ.get("EMOBATCH_FAULTS_POISON"):
    worker.shift.NullEngine = PoisonedEngine  # type: ignore[misc]
if taken := os.environ.get("EMOBATCH_FAULTS_WITHOUT"):
    WITHOUT[taken]()

__all__ = ["app", "ledger"]
