"""Processes of a stack whose owner was killed: found by the mark in their environment, and stopped.

Not by remembered numbers: those of restarted programs would be missing, and a number may belong to a stranger by now.
The mark names the data directory's own id, so the stack of another directory is never touched.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from emobatch.stack.home import Home
from emobatch.stack.programs import MARK

if TYPE_CHECKING:
    import psutil

GRACE_S = 10
"""For each program; all of them survive a kill -9, this only saves them the recovery."""
SUPERVISOR_GRACE_S = 90
"""Longer than any program may take: while supervisord lives, it stops them better than we can."""

SERVERS = ("redis", "postgres")

# Postgres waits for its clients on TERM, and sends them away on INT.
_SIGNALS = {"postgres": signal.SIGINT}


def find(home: Home) -> dict[str, list[psutil.Process]]:
    """The living processes of the stack in this data directory, by program."""
    import psutil

    stack_id = home.secrets().stack_id
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # Gone meanwhile, or another user's.
            owner, _, program = _mark(process, home).partition("/")
            if owner == stack_id and _is_alive(process):
                found.setdefault(program, []).append(process)
    return found


def stop(home: Home) -> bool:
    """Stops what is left of a stack: supervisord first, then programs, then the servers that they use.

    Returns:
        Whether there was anything.
    """
    left = find(home)
    for name in ["supervisor", *(name for name in left if name not in SERVERS), *SERVERS]:
        _stop(find(home).get(name, []) if left else [], name)
    return bool(left)


def _mark(process: psutil.Process, home: Home) -> str:
    import psutil

    try:
        return process.environ().get(MARK, "")
    except psutil.AccessDenied:
        # In a container root may not look into what `nobody` runs for it, but sees the command line.
        if str(home.postgres) in process.cmdline():
            return f"{home.secrets().stack_id}/postgres"
        raise


def _stop(processes: list[psutil.Process], name: str) -> None:
    """Asks the parents among `processes` to stop, who know their children best; kills what has not gone in time."""
    import psutil

    numbers = {process.pid for process in processes}
    for process in processes:
        try:
            if process.ppid() not in numbers:
                process.send_signal(_SIGNALS.get(name, signal.SIGTERM))
        except psutil.NoSuchProcess:
            continue
    for process in _wait(processes, SUPERVISOR_GRACE_S if name == "supervisor" else GRACE_S):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _wait(processes, GRACE_S)


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those of `processes` that are still alive when all have gone or the time is up."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    """A zombie is dead: where nobody collects orphans, as in many containers, it stays for ever."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
