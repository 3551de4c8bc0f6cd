"""The embedded Postgres: a cluster in the data directory, on a port of the loopback, behind random passwords.

The application's login is an ordinary owner that may create roles, as on a rented server, and not the superuser: what
works here works there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from functools import cached_property
from typing import Self

from core.errors import Unavailable
from emobatch.stack import binaries, identity
from emobatch.stack.home import Home, Secrets, write_private
from emobatch.stack.programs import MARK, Program

SUPERUSER = "postgres"
OWNER = "emobatch"
DATABASE = "emobatch"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # Their paths have a limit of about 100 characters, a data directory has none.
    "max_connections": 60,
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}


class Postgres:
    """One cluster with one database. `initialise` it, run `program`, wait until it `answers`."""

    name = "postgres"

    def __init__(self, home: Home, secrets: Secrets, port: int) -> None:
        self._data = home.postgres
        self._secrets = secrets
        self._port = port

    @classmethod
    def of(cls, home: Home) -> Self:
        """That of a stack which runs. Raises KeyError where the stack uses another's."""
        return cls(home, home.secrets(), home.remembered_ports()["postgres"])

    @property
    def url(self) -> str:
        """The application's database, as its owner."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """A database of the cluster, as the owner of the application's."""
        return f"postgresql://{OWNER}:{self._secrets.database_password}@127.0.0.1:{self._port}/{database}"

    @property
    def admin_url(self) -> str:
        """The cluster, as its superuser."""
        return f"postgresql://{SUPERUSER}:{self._secrets.postgres_password}@127.0.0.1:{self._port}/postgres"

    @property
    def program(self) -> Program:
        """The server's process. INT is Postgres' fast shutdown: it sends clients away and writes a checkpoint."""
        settings = (f"{name}={value}" for name, value in (SETTINGS | {"port": self._port}).items())
        return Program(
            name=self.name,
            command=(
                *self._identity.prefix,
                *(str(self._binaries.folder / "postgres"), "-D", str(self._data)),
                *(word for setting in settings for word in ("-c", setting)),
            ),
            stop_signal="INT",
            stop_wait_s=60,
            # Killed with -9, it cannot start again before its last child has gone ("shared memory still in use").
            start_retries=20,
            environment={"LC_ALL": "C"},
        )

    def initialise(self) -> None:
        """Makes the cluster if there is none, and clears what a killed server left behind. No server may be running.

        Raises:
            Unavailable: there is no Postgres here, or not the version that made the data, or it does not work.
        """
        if not self._data.exists():
            self._initdb()
        self._identity.own(self._data)
        self._forget_dead_server()

    def answers(self) -> bool:
        """Whether the server takes connections now: it asks for a password, instead of saying that it starts up."""
        hello = b"\0\3\0\0user\0postgres\0\0"  # Protocol 3.0
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=2) as connection:
                connection.sendall((4 + len(hello)).to_bytes(4, "big") + hello)
                return connection.recv(1024).startswith(b"R")
        except OSError:
            return False

    @cached_property
    def _binaries(self) -> binaries.PostgresBinaries:
        version = self._data / "PG_VERSION"
        return binaries.find_postgres(int(version.read_text()) if version.exists() else None)

    @cached_property
    def _identity(self) -> identity.Identity:
        return identity.for_postgres(self._binaries.folder)

    def _forget_dead_server(self) -> None:
        """Removes a stale pid file: its number may be some other process by now, and Postgres would not start."""
        import psutil

        file = self._data / "postmaster.pid"
        if file.exists():
            try:
                # A living server has its data directory on its command line, a zombie or a stranger has not.
                alive = str(self._data) in psutil.Process(int(file.read_text().split()[0])).cmdline()
            except (psutil.Error, ValueError, IndexError):
                alive = False
            if not alive:
                file.unlink()

    def _initdb(self) -> None:
        """Makes the cluster beside its place and renames it: killed in the middle, it leaves no half cluster."""
        part = self._data.with_name("postgres.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        password = part.with_name("postgres.password")
        write_private(password, self._secrets.postgres_password)
        self._identity.own(part)
        try:
            self._run(
                *("initdb", "-D", str(part), "--username", SUPERUSER),
                *("--auth", "scram-sha-256", "--pwfile", str(password)),
                # The same order of texts on every machine, whatever its locale.
                *("--encoding", "UTF8", "--no-locale", "--data-checksums", "--no-instructions", "--no-sync"),
            )
        finally:
            password.unlink()
        self._run(
            *("postgres", "--single", "-D", str(part), "-F", "-c", "log_min_messages=warning", "postgres"),
            script=f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{self._secrets.database_password}'\n"
            f"CREATE DATABASE {DATABASE} OWNER {OWNER}\n",
        )
        # All on disk at once: a thousand small files one by one take seconds where others use the disk as well.
        whole = ["--sync-method=syncfs"] if self._binaries.major >= 17 and sys.platform == "linux" else []
        self._run("initdb", "-D", str(part), "--sync-only", *whole)
        part.rename(self._data)

    def _run(self, program: str, *arguments: str, script: str = "") -> None:
        """Runs one of Postgres' programs to its end. The single-user server exits with 0 whatever its script did."""
        done = subprocess.run(
            [*self._identity.prefix, str(self._binaries.folder / program), *arguments],
            input=script,
            capture_output=True,
            text=True,
            env=os.environ | {"LC_ALL": "C", MARK: f"{self._secrets.stack_id}/{self.name}"},
            check=False,
        )
        if done.returncode or "ERROR:" in done.stderr:
            raise Unavailable(
                f"Postgres could not make its files: {done.stderr.strip() or done.stdout.strip()}",
                next_step=f"Check the space and the permissions of {self._data.parent}.",
            )
