"""One stack from start to stop: servers, migrations, web and worker under one supervisor."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.errors import BadOption, Unavailable
from emobatch.stack import leftovers
from emobatch.stack.home import Address, Home, is_free
from emobatch.stack.programs import MARK, Application, inherited_environment
from emobatch.stack.servers import Servers
from emobatch.stack.supervision import NAME as SUPERVISOR
from emobatch.stack.supervision import Supervisor, last_line

if TYPE_CHECKING:
    from core.settings import Settings

READY_S = 180.0
"""A first start may build the ONNX graph on a slow machine before web and worker answer."""
REVIVE_S = 10.0
"""How often a program that supervisord has given up on gets another chance."""


class Stack:
    """The stack of a data directory whose lock we hold. `up` and `down` may each be called again."""

    def __init__(self, home: Home, application: Application, say: Callable[[str], None]) -> None:
        self._home = home
        self._application = application
        self._say = say
        self._secrets = home.secrets()
        self._supervisor: Supervisor | None = None
        self._transient = False
        self._mended = time.monotonic()

    def up(self, *, transient: bool) -> Address:
        """Starts everything and waits until it works; after a failure nothing runs.

        Args:
            transient: it stops when a job is done, which others are told who find it.

        Raises:
            EmobatchError: a part did not start; the message names it, its reason and its log.
        """
        self._transient = transient
        self._home.withdraw()
        try:
            return self._up()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Stops everything in reverse order; returns when no process is left."""
        self._home.withdraw()
        if self._supervisor:
            self._supervisor.stop()
            self._supervisor = None
        leftovers.stop(self._home)

    def mend(self) -> None:
        """Looks after the supervisor as it looks after the programs. Call it about once a second."""
        if self._supervisor and not self._supervisor.is_alive():
            self._say("The process supervisor was killed: starting again.")
            self.down()
            self.up(transient=self._transient)
        elif self._supervisor and time.monotonic() - self._mended > REVIVE_S:
            for name in self._supervisor.revive():
                self._say(f"{name} does not stay up, trying again: {last_line(self._supervisor.log(name))}")
            self._mended = time.monotonic()

    def _up(self) -> Address:
        home, secrets = self._home, self._secrets
        if leftovers.stop(home):  # They hold the ports and the files.
            self._say("Stopped what a killed emobatch had left running.")
        servers = Servers(home, secrets, os.environ)
        with servers.being_made() as made:
            settings = self._settings(servers)
            application = self._application.programs(settings, secrets.stack_id)
            programs = [*(server.program for server in servers.embedded), *application]
            environment = self._environment(settings, servers)
            self._say(f"Starting {', '.join(program.name for program in programs)} in {home.root} ...")

            supervisor = Supervisor(home, secrets, home.ports([SUPERVISOR])[SUPERVISOR], programs)
            self._supervisor = supervisor
            supervisor.launch(environment)
            # Importing its libraries takes web as long as the servers take to start: side by side.
            for program in application:
                if program.is_patient:
                    supervisor.start(program.name)
            servers.start(supervisor, made)
        self._migrate(environment)
        for program in application:
            if not program.is_patient:
                supervisor.start(program.name)
        supervisor.wait_until(
            lambda: _answers_ok(settings.port, self._application.ready_path),
            *(program.name for program in application),
            seconds=READY_S,
        )
        address = Address(f"http://127.0.0.1:{settings.port}", settings.access_token.get_secret_value())
        home.announce(address, transient=self._transient)
        return address

    def _settings(self, servers: Servers) -> Settings:
        """What the programs will read; where the environment names no port or secret, those of the data directory."""
        from pydantic import ValidationError

        from core.settings import Settings

        values: dict[str, Any] = {
            "database_url": servers.database_url,
            "redis_url": servers.redis_url,
            "storage_url": servers.storage_url,
        }
        for name in ("secret_key", "access_token"):
            if not os.environ.get(f"EMOBATCH_{name.upper()}"):
                values[name] = getattr(self._secrets, name)
        if not os.environ.get("EMOBATCH_PORT"):
            values["port"] = self._home.ports(["web"])["web"]
        try:
            settings = Settings(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = "_".join(("EMOBATCH", *map(str, first["loc"]))).upper()
            raise BadOption(f"The setting {name} is wrong: {first['msg']}.", next_step="Correct or unset it.") from None
        if not is_free(settings.port):
            raise Unavailable(
                f"The port {settings.port} that EMOBATCH_PORT names is taken.",
                next_step="Name a free one, or unset it.",
            )
        return settings

    def _environment(self, settings: Settings, servers: Servers) -> dict[str, str]:
        """What every program gets."""
        found = inherited_environment()
        if servers.postgres:
            # PGSSLMODE, PGOPTIONS, PGSERVICE ... are meant for the user's own servers.
            found = {name: value for name, value in found.items() if not name.startswith("PG")}
        # One person's own machine: what guards a server from its users would only be in the way.
        unlimited = dict.fromkeys(("MAX_STORED_BYTES", "MAX_ROWS_A_DAY", "REQUESTS_A_MINUTE", "MAX_UPLOADS"), "0")
        found = {f"EMOBATCH_{name}": value for name, value in unlimited.items()} | found
        return found | {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "STORAGE_URL": servers.storage_url,
            "EMOBATCH_HOME": str(self._home.root),
            "EMOBATCH_HOST": "127.0.0.1",
            "EMOBATCH_PORT": str(settings.port),
            "EMOBATCH_SECRET_KEY": settings.secret_key.get_secret_value(),
            "EMOBATCH_ACCESS_TOKEN": settings.access_token.get_secret_value(),
        }

    def _migrate(self, environment: dict[str, str]) -> None:
        log = self._home.logs / "migrate.log"
        with log.open("wb") as out:
            done = subprocess.run(
                self._application.migrate,
                cwd=self._home.run,
                env=environment | {MARK: f"{self._secrets.stack_id}/migrate"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise Unavailable(f"The database could not be migrated: {last_line(log)}", next_step=f"See {log}.")


def _answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
