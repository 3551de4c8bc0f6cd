"""supervisord: it restarts what dies and stops all in reverse order. We write its configuration and speak to it."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Unavailable
from emobatch.stack.home import Home, Secrets, write_private
from emobatch.stack.programs import MARK, Program

if TYPE_CHECKING:
    from xmlrpc.client import ServerProxy

NAME = "supervisor"
USER = "emobatch"


class Supervisor:
    """One supervisord for one data directory. Programs are told apart by name and start when asked to."""

    def __init__(self, home: Home, secrets: Secrets, port: int, programs: Sequence[Program]) -> None:
        self._home = home
        self._secrets = secrets
        self._port = port
        self._programs = {program.name: program for program in programs}
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, environment: Mapping[str, str]) -> None:
        """Starts supervisord; `environment` is what every program gets. Call it from a thread that lives on.

        Raises:
            Unavailable: it did not come up.
        """
        file = self._home.run / "supervisor.conf"
        write_private(file, self.config())
        said = self._home.logs / "supervisor.out"
        with said.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "emobatch.stack.leash", str(os.getpid()), "-n", "-c", str(file)],
                cwd=self._home.run,
                env={**environment, MARK: f"{self._secrets.stack_id}/{NAME}"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal reaches us alone, and we stop it in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"The process supervisor did not start: {last_line(said)}", next_step=f"See {said}.")
            time.sleep(0.05)

    def start(self, name: str) -> None:
        """Starts a program and does not wait for it, see `wait_until`."""
        self._rpc().supervisor.startProcess(name, False)

    def wait_until(self, is_so: Callable[[], bool], *names: str, seconds: float) -> None:
        """Returns as soon as `is_so`, asked again every 50 ms, which the programs named are to bring about.

        Raises:
            Unavailable: one of them is down for good, or it was not so in time; with what the log says last.
        """
        deadline = time.monotonic() + seconds
        while not is_so():
            if not self.is_alive():
                raise Unavailable("The process supervisor was killed.", next_step="Try again.")
            for name in names:
                if reason := self.failure(name):
                    raise self._said_last(name, f"does not start ({reason})")
            if time.monotonic() > deadline:
                raise self._said_last(names[0], f"did not answer within {seconds:.0f} seconds")
            time.sleep(0.05)

    def _said_last(self, name: str, what: str) -> Unavailable:
        log = self.log(name)
        return Unavailable(f"{name} {what}: {last_line(log)}", next_step=f"See {log}.")

    def failure(self, name: str) -> str | None:
        """Why a program is down for good, in supervisord's words, or None while there is hope."""
        info: Any = self._rpc().supervisor.getProcessInfo(name)
        return (
            f"{info['statename']}: {info['spawnerr'] or info['description']}" if info["statename"] == "FATAL" else None
        )

    def revive(self) -> list[str]:
        """Starts again what supervisord has given up on, and names it: what failed for a minute may work by now."""
        failed = [name for name in self._programs if self.failure(name)]
        for name in failed:
            self.start(name)
        return failed

    def log(self, name: str) -> Path:
        """Where a program's output goes."""
        return self._home.logs / f"{name}.log"

    def is_alive(self) -> bool:
        """Whether supervisord itself runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stops the programs, the last one first, then supervisord. Returns when all are gone."""
        if self._process is None:
            return
        if self.is_alive():
            self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + sum(program.stop_wait_s + 5 for program in self._programs.values())
        while self.is_alive() and time.monotonic() < deadline:
            self._wake()
            time.sleep(0.05)
        if self.is_alive():
            self._process.kill()
        self._process.wait()

    def config(self) -> str:
        """supervisord's configuration file; paths are relative to the folder it lies and runs in.

        supervisord expands ``%`` once in a command and twice in the name of a log.
        """
        logs = Path("..", self._home.logs.name)
        sections: dict[str, dict[str, object]] = {
            "supervisord": {
                "logfile": logs / f"{NAME}.log",
                "logfile_maxbytes": "5MB",
                "logfile_backups": 2,
                "pidfile": "supervisor.pid",
                "umask": "077",
                "silent": "true",  # Its log is a file; what it prints is why it could not start.
            }
            | ({"user": "root"} if os.geteuid() == 0 else {}),
            "inet_http_server": {
                "port": f"127.0.0.1:{self._port}",
                "username": USER,
                "password": self._secrets.supervisor_password,
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
        }
        for place, program in enumerate(self._programs.values()):
            marked = {**program.environment, MARK: f"{self._secrets.stack_id}/{program.name}"}
            sections[f"program:{program.name}"] = {
                "command": shlex.join(program.command),
                "priority": place,  # Stopped in reverse order.
                "autostart": "false",
                "autorestart": "true",
                "startsecs": program.start_s,
                "startretries": program.start_retries,
                "stopsignal": program.stop_signal,
                "stopwaitsecs": program.stop_wait_s,
                "killasgroup": "true",
                "environment": ",".join(f'{name}="{value}"' for name, value in marked.items()),
                "stdout_logfile": logs / f"{program.name}.log",
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": 3,
                "redirect_stderr": "true",
            }
        lines = []
        for section, options in sections.items():
            lines += [f"[{section}]", *(f"{name} = {_value(value)}" for name, value in options.items()), ""]
        return "\n".join(lines)

    def _rpc(self) -> ServerProxy:
        from xmlrpc.client import ServerProxy

        return ServerProxy(f"http://{USER}:{self._secrets.supervisor_password}@127.0.0.1:{self._port}/RPC2")

    def _is_up(self) -> bool:
        try:
            self._rpc().supervisor.getState()
        except OSError:
            return False
        return True

    def _wake(self) -> None:
        """supervisord looks after its children once a second, or when somebody knocks."""
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()


def last_line(log: Path) -> str:
    """What a program said last; the rest of its log is for those who want to know more."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _value(value: object) -> str:
    """One value as supervisord reads it: ``%`` doubled; a line end or a comment sign cannot be written at all."""
    text = str(value)
    if any(bad in text for bad in ("\n", "\r", " ;", " #", "\t;", "\t#")):
        raise Unavailable(
            f"The path in {text!r} has a line end, or a ; or # after a space, in its name.",
            next_step="Use a data directory, and an installation, with another name.",
        )
    return text.replace("%", "%%")
