"""The embedded Redis: Valkey with an append-only file, so that a restart forgets no ticket."""

from __future__ import annotations

import socket
from typing import Self

from emobatch.stack import binaries
from emobatch.stack.home import Home, Secrets, write_private
from emobatch.stack.programs import Program


class Redis:
    """One server. `initialise` it, run `program`, wait until it `answers`."""

    name = "redis"

    def __init__(self, home: Home, secrets: Secrets, port: int) -> None:
        self._home = home
        self._secrets = secrets
        self._port = port
        self._config = home.run / "redis.conf"

    @classmethod
    def of(cls, home: Home) -> Self:
        """That of a stack which runs. Raises KeyError where the stack uses another's."""
        return cls(home, home.secrets(), home.remembered_ports()["redis"])

    @property
    def url(self) -> str:
        """Its address, password and all. Valkey speaks Redis, and libraries know only that word."""
        return f"redis://:{self._secrets.redis_password}@127.0.0.1:{self._port}/0"

    @property
    def program(self) -> Program:
        """The server's process; TERM makes it write everything down first."""
        return Program(name=self.name, command=(str(binaries.find_valkey()), str(self._config)))

    def initialise(self) -> None:
        """Writes the configuration, which holds the password: a file only we can read, not a command line."""
        config = {
            "bind": "127.0.0.1",
            "port": self._port,
            "requirepass": self._secrets.redis_password,
            "dir": _quoted(str(self._home.redis)),
            "appendonly": "yes",
            "save": '""',
            # A full memory must refuse a ticket, not forget one.
            "maxmemory-policy": "noeviction",
            # It would write its title over the environment by which we find our processes.
            "set-proc-title": "no",
        }
        write_private(self._config, "".join(f"{name} {value}\n" for name, value in config.items()))

    def answers(self) -> bool:
        """Whether it has read its file and takes commands now."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=2) as connection:
                connection.sendall(f"AUTH {self._secrets.redis_password}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\n") < 2 and (part := connection.recv(1024)):
                    said += part
        except OSError:
            return False
        return b"+PONG" in said


def _quoted(text: str) -> str:
    """`text` as one word of Valkey's configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
