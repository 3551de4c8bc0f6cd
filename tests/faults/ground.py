"""A proving ground: Postgres, Redis, web and workers of our own, each a real process under a keeper, each ours to kill.

The programs and their command lines are those of `emobatch up`. Postgres and Redis may lie behind proxies, and workers
may run an app with one thing altered (`tests.faults.altered`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg

from benchmarks.stacks import clean_environment
from core.settings import Settings
from emobatch.client import Client
from emobatch.retry import Patience
from emobatch.stack import leftovers
from emobatch.stack.home import Home
from emobatch.stack.postgres import DATABASE
from emobatch.stack.programs import EMOBATCH, MARK, SOURCES, Program
from emobatch.stack.servers import Servers
from migrations.run import upgrade
from tests.faults.processes import Kept

NULL = {"EMOBATCH_ENGINE": "null", "EMOBATCH_TEXT_MEMORY": "0"}
REAL = {"EMOBATCH_ENGINE": "auto", "EMOBATCH_TEXT_MEMORY": "0"}

START_S = 90.0


class Stuck(AssertionError):
    """Something that must happen by itself did not."""


def until(is_so: Callable[[], bool], what: str, seconds: float = 60.0, pause_s: float = 0.05) -> None:
    """Waits until `is_so`.

    Raises:
        Stuck: it was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Stuck(f"After {seconds:g} seconds it is still not so that {what}.")
        time.sleep(pause_s)


class Ground:
    """Use it as a context manager; workers are started by `workers`, everything else by entering.

    Args:
        folder: for everything; made if missing.
        lease_s: of chunks.
        engine: environment that chooses it, `NULL` or `REAL`.
        web: further settings of web.
        tmpfs: folders of the home that are small file systems of their own, with their sizes; only root can mount.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lease_s: float = 3.0,
        engine: Mapping[str, str] = NULL,
        web: Mapping[str, str] | None = None,
        tmpfs: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.lease_s = lease_s
        self.engine = dict(engine)
        self._web_settings = dict(web or {})
        self.storage = folder / "home" / "storage"
        self._tmpfs = {folder / "home" / name: size for name, size in (tmpfs or {}).items()}
        self.failpoints_log = folder / "failpoints.log"
        self.crew: list[Kept] = []

    def __enter__(self) -> Ground:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, size in self._tmpfs.items():
            path.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(path)], check=True)
        self.home = Home(self.folder / "home")
        self.home.create()
        self._secrets = self.home.secrets()
        self.servers = Servers(self.home, self._secrets, {"STORAGE_URL": self.storage.as_uri()})
        assert self.servers.postgres
        assert self.servers.redis
        self.port = self.home.ports(["web"])["web"]
        try:
            with self.servers.being_made() as made:
                for _, files in made:
                    files.result()
            # SIGQUIT is Postgres' immediate shutdown, INT the fast one, which sends clients away.
            self.postgres = self._kept(self.servers.postgres.program, stop_signal=signal.SIGINT)
            self.redis = self._kept(self.servers.redis.program)
            self.postgres.start()
            self.redis.start()
            until(self.servers.postgres.answers, "Postgres answers", START_S)
            until(self.servers.redis.answers, "Redis answers", START_S)
            upgrade(self.servers.database_url)
            program = next(found for found in self._programs() if found.name == "web")
            self.web = self._kept(program, self._web_settings)
            self.web.start()
            self.client = self.signed_in()
            self.wait_for_web()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(AttributeError):
            self.client.close()
        for kept in [*self.crew, *(getattr(self, name, None) for name in ("web", "redis", "postgres"))]:
            if kept:
                kept.signal_all(signal.SIGCONT)
                kept.stop(20)
        leftovers.stop(self.home)
        for path in self._tmpfs:
            subprocess.run(["umount", "-l", str(path)], check=False)

    # --- what runs ----------------------------------------------------------------------------------------------

    def workers(
        self,
        count: int = 1,
        *,
        slots: int = 1,
        rows_per_s: float | None = None,
        failpoints: str = "",
        database_url: str | None = None,
        altered: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> list[Kept]:
        """Stops the workers there are, and starts others.

        Args:
            count: of workers.
            slots: children of each.
            rows_per_s: of each child's null engine; None: as many as it can.
            failpoints: what `core.failpoints` shall be armed with.
            database_url: where they find Postgres, if not directly.
            altered: settings of `tests.faults.altered`, which then is their app.
            environment: further settings.
        """
        for kept in self.crew:
            kept.stop()
        self.failpoints_log.unlink(missing_ok=True)
        given = {"EMOBATCH_FAILPOINTS": failpoints, "EMOBATCH_FAILPOINTS_LOG": str(self.failpoints_log)}
        if rows_per_s:
            given["EMOBATCH_NULL_ROWS_PER_S"] = str(rows_per_s)
        if database_url:
            given["DATABASE_URL"] = database_url
        given |= {**(altered or {}), **(environment or {}), "EMOBATCH_WORKER_SLOTS": str(slots)}
        program = next(found for found in self._programs(slots) if found.name == "worker")
        self.crew = []
        for number in range(count):
            command = [f"w{number}{word[6:]}" if word.startswith("worker-") else word for word in program.command]
            if altered or os.environ.get("EMOBATCH_FAULTS_LATE"):
                command[command.index("worker.app")] = "tests.faults.altered"
            kept = self._kept(Program(f"worker{number}", tuple(command)), given)
            self.crew.append(kept)
            kept.start()
        return self.crew

    def _programs(self, slots: int = 1) -> list[Program]:
        settings = Settings(
            database_url=self.servers.database_url,  # type: ignore[arg-type]
            redis_url=self.servers.redis_url,  # type: ignore[arg-type]
            storage_url=self.servers.storage_url,
            port=self.port,
            worker_slots=slots,
        )
        return list(EMOBATCH.programs(settings, self._secrets.stack_id))

    def _kept(
        self,
        program: Program,
        given: Mapping[str, str] | None = None,
        *,
        stop_signal: int = signal.SIGTERM,
    ) -> Kept:
        environment = clean_environment(self.engine) | {
            "PYTHONPATH": str(SOURCES),
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": self.servers.database_url,
            "REDIS_URL": self.servers.redis_url,
            "STORAGE_URL": self.servers.storage_url,
            "EMOBATCH_HOST": "127.0.0.1",
            "EMOBATCH_PORT": str(self.port),
            "EMOBATCH_SECRET_KEY": self._secrets.secret_key,
            "EMOBATCH_ACCESS_TOKEN": self._secrets.access_token,
            "EMOBATCH_LEASE_S": str(self.lease_s),
            **program.environment,
            **(given or {}),
            MARK: f"{self._secrets.stack_id}/{program.name}",
        }
        environment.pop("EMOBATCH_WORKER_NODE", None)
        return Kept(program.name, program.command, environment, self.home.run, stop_signal)

    # --- how one speaks to it -----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Of web."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """Signs in to the default account."""
        return self._secrets.access_token

    @property
    def admin_url(self) -> str:
        """The application's database, as superuser."""
        assert self.servers.postgres
        return self.servers.postgres.admin_url.rsplit("/", 1)[0] + f"/{DATABASE}"

    def signed_in(self, patience_s: float = 120.0, token: str | None = None) -> Client:
        """A client of the default account, or of the one whose API key is given."""
        return Client(self.url, token or self.token, patience=Patience(stranger_s=patience_s, known_s=patience_s))

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        """A login that sees everything, each statement its own transaction."""
        with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def wait_for_web(self, seconds: float = START_S) -> None:
        """Returns as soon as web and what it needs answer."""

        def answers() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(f"{self.url}/api/v1/ready", timeout=5).status_code == 200
            return False

        until(answers, "web is ready", seconds)

    def wait_for_workers(self, count: int | None = None, seconds: float = START_S) -> None:
        """Returns as soon as so many workers have said that they live since this call; by default all of the crew."""
        wanted = len(self.crew) if count is None else count
        with self.database() as database:
            now = database.execute("SELECT now()").fetchone()
            query = "SELECT count(*) FROM worker WHERE heartbeat > %s"
            until(lambda: database.execute(query, now).fetchone()[0] >= wanted, f"{wanted} workers live", seconds)  # type: ignore[index]

    def deaths(self, name: str | None = None) -> list[tuple[float, str, int]]:
        """Failpoints that were met, in order: time, name, process id."""
        if not self.failpoints_log.exists():
            return []
        lines = [line.split() for line in self.failpoints_log.read_text().splitlines()]
        return [(float(at), found, int(pid)) for at, found, pid in lines if name in (None, found)]
