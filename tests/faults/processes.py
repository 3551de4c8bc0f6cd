"""Processes that somebody starts again whenever they end, as supervisord or compose do, and that we may kill."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PAUSE_S = 0.3
"""From an end to the next start."""

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def _die_with_us() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Kept:
    """One program, kept running from `start` to `stop`. `pid` is that of the process that runs now."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, stop_signal: int
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.log = folder / f"{name}.log"
        self.started = 0
        """How often it was started."""
        self._folder = folder
        self._stop_signal = stop_signal
        self._wanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._running = threading.Event()
        self._hold = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Starts it, and again whenever it ends; returns when it runs the first time."""
        self._wanted = True
        self._running.clear()
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._thread.start()
        self._running.wait(30)

    def _keep(self) -> None:
        # The kernel ties a process to the thread that began it: this one lives as long as the process is wanted.
        with self.log.open("ab") as log:
            while self._wanted:
                with self._hold:
                    if not self._wanted:
                        return
                    self._process = subprocess.Popen(
                        self.command,
                        cwd=self._folder,
                        env=self.environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        preexec_fn=_die_with_us,
                    )
                    self.started += 1
                self._running.set()
                self._process.wait()
                time.sleep(PAUSE_S)

    def family(self) -> list[psutil.Process]:
        """The process and all that it started, as far as they live."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def children(self) -> list[int]:
        """Process ids of a worker's or web's children that do the work."""
        found = []
        for process in self.family()[1:]:
            with suppress(psutil.Error):
                if "resource_tracker" not in " ".join(process.cmdline()):
                    found.append(process.pid)
        return found

    def signal(self, number: int) -> None:
        """Sends it a signal, to the main process alone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self, *, whole: bool = True) -> None:
        """Kills it with -9, with all its children unless `whole` is False; it comes back by itself."""
        if whole:
            self.signal_all(signal.SIGKILL)
        else:
            self.signal(signal.SIGKILL)

    def signal_all(self, number: int) -> None:
        """Sends a signal to the process and all that it started."""
        for process in self.family():
            with suppress(psutil.Error):
                process.send_signal(number)

    def hold(self) -> None:
        """Keeps it from coming back until `release`; what runs runs on."""
        self._hold.acquire()

    def release(self) -> None:
        """It may come back."""
        self._hold.release()

    def stop(self, patience_s: float = 60) -> float:
        """Asks it to stop, and kills it with all its children if it has not after `patience_s`; seconds it took."""
        began = time.monotonic()
        self._wanted = False
        if self._process is None:
            return 0.0
        family = self.family()
        self.signal(self._stop_signal)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.signal_all(signal.SIGKILL)
            self._process.wait(30)
        took = time.monotonic() - began
        for process in family:
            with suppress(psutil.Error):
                process.kill()
        if self._thread:
            self._thread.join(10)
        return took

    def restart(self, environment: Mapping[str, str] | None = None) -> float:
        """Stops it in order and starts it, with other settings if given; seconds it took to leave."""
        took = self.stop()
        if environment is not None:
            self.environment = dict(environment)
        self.start()
        return took
