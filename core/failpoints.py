"""Places where a process dies when a test asks for it, so that every instant of a row's journey can be the last one.

They are armed by the environment of a process and by nothing else, read once: no request, file or row reaches them.
Unarmed, a failpoint is a look into an empty dictionary.

``EMOBATCH_FAILPOINTS`` holds ``name:pass`` with commas between: at every pass-th time, counted in each process, the
process sends itself SIGKILL. ``name:pass:times`` does so only ``times`` times over all processes, and
``name:pass:times:STOP`` sends SIGSTOP in its place: a process frozen right there. ``EMOBATCH_FAILPOINTS_LOG`` names the
file where each leaves a line, time, name and process id, before it dies; what counts ``times`` is that file.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = frozenset(
    {
        "after-claim",  # chunks are leased, nothing is read yet
        "mid-inference",  # texts are with the engine
        "before-insert",  # chunks are marked as done, their results not yet inserted
        "after-insert",  # results are inserted, the job's counters not yet moved
        "before-commit",  # all is written, COMMIT is next
        "after-commit",  # COMMIT was answered, the lease is not let go yet
        "before-ring",  # a tick is over, its successor not yet rung for
        "heartbeat",  # leases are being renewed, in a transaction
        "isolated",  # a row to be tried alone is written down, the engine not yet asked
        "ingest-slice",  # chunks are cut, in memory
        "upload-stored",  # the file is in storage under its key, its job not yet in the ledger
        "piece-arriving",  # a block of a file that comes by pieces is written, not yet safe
        "piece-stored",  # a piece is in storage, the ledger does not know yet
        "transfer-settled",  # the job of such a file exists, its transfer does not know yet
        "download",  # a batch of results is read, the next one not yet
    }
)

VARIABLE = "EMOBATCH_FAILPOINTS"
LOG_VARIABLE = "EMOBATCH_FAILPOINTS_LOG"


@dataclass
class _Armed:
    at_pass: int
    times: int | None = None
    signal: int = signal.SIGKILL
    passed: int = 0


def armed_by(environment: Mapping[str, str]) -> dict[str, _Armed]:
    """What the environment asks for.

    Raises:
        ValueError: an unknown name, or something that is no number: a test that tests nothing must not pass.
    """
    found: dict[str, _Armed] = {}
    for word in filter(None, environment.get(VARIABLE, "").split(",")):
        name, at_pass, *more = word.split(":")
        if name not in NAMES:
            raise ValueError(f"{VARIABLE}: there is no failpoint {name!r}.")
        times = int(more[0]) if more else None
        sent = signal.Signals[f"SIG{more[1]}"] if len(more) > 1 else signal.SIGKILL
        if times is not None and not environment.get(LOG_VARIABLE):
            raise ValueError(f"{VARIABLE}: {word!r} counts over processes, which needs {LOG_VARIABLE}.")
        found[name] = _Armed(int(at_pass), times, sent)
    return found


_armed = armed_by(os.environ)
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Dies here, if this process was started to."""
    if armed := _armed.get(name):
        _pass(name, armed)


def _pass(name: str, armed: _Armed) -> None:
    with _lock:
        armed.passed += 1
        if armed.passed % armed.at_pass == 0 and _note(name, armed.times):
            os.kill(os.getpid(), armed.signal)


def _note(name: str, times: int | None) -> bool:
    """Whether it is this process' turn to die of `name`; if so, that is written down."""
    path = os.environ.get(LOG_VARIABLE)
    if path is None:
        return True
    log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(log, fcntl.LOCK_EX)
        with os.fdopen(os.dup(log)) as lines:
            lines.seek(0)
            before = sum(line.split()[1] == name for line in lines)
        if times is not None and before >= times:
            return False
        os.write(log, f"{time.time():.3f} {name} {os.getpid()}\n".encode())
        return True
    finally:
        os.close(log)
