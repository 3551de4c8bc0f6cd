"""At the end of a run: whatever its servers and stacks have kept is searched for every secret that they issued.

It runs while the session's servers still do, before their fixtures are torn down, and looks at

* each file under pytest's folder of this run and in data directories made elsewhere, as far as they still stand:
  tables, Redis' files, logs, spools, storage; and write-ahead logs, which `tests.servers` has the session's servers
  keep from their first byte on, so that what tests have truncated, dropped or deleted is found as well;
* each row of each table of each database of the Postgres servers that run, as text, and what their sessions last asked;
* each key and value in the Redis servers that run.

What Postgres has compressed (values of more than 2 kB) is found in the rows alone. Where a secret is found the run
fails, and says which kind, where, and which test it was issued to: never the secret.

Nothing under pytest's folder is let be: a client is given its key in the environment, and keeps it in no file.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from emobatch.stack.home import Home, Secrets
from emobatch.stack.postgres import Postgres
from emobatch.stack.redis import Redis
from tests.issued import Issued
from tests.needles import Needles

MOST_LINES = 20
PLUGIN = "issued secrets"


@dataclass
class Sweep:
    """One search: what was found, and how much was looked at."""

    issued: Issued
    found: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How often: kind of secret, place, test that it was issued to."""
    files: int = 0
    tables: int = 0
    values: int = 0
    bytes: int = 0
    seconds: float = 0.0
    unread: list[str] = field(default_factory=list)
    """Running servers that could not be asked."""

    def run(self, base: Path) -> None:
        """Searches everything under `base`, and in data directories made elsewhere."""
        began = time.monotonic()
        self._needles = Needles(self.issued.marks)
        elsewhere = {home.root for home in self.issued.homes if not home.root.is_relative_to(base)}
        folders = (base, *sorted(elsewhere))
        for path in every_file(*folders):
            if path.name == "secrets.json":
                self._servers(Home(path.parent), os.path.relpath(path.parent, base))
        # Listed again: checkpoints have written what was in memory, and renamed write-ahead logs.
        for path in every_file(*folders):
            self._file(path, os.path.relpath(path, base))
        self.seconds = time.monotonic() - began

    def _look(self, place: str, stream: io.BufferedIOBase) -> None:
        for mark in self._needles.in_stream(stream):  # type: ignore[arg-type]
            kind, test = self.issued.marks[mark]
            self.found[kind, place, test] += 1
        self.bytes += stream.tell()

    def _file(self, path: Path, place: str) -> None:
        try:
            with path.open("rb") as stream:
                self._look(place, stream)
        except OSError:  # Postgres recycles its logs, a worker that still runs removes what is done
            return
        self.files += 1

    def _servers(self, home: Home, place: str) -> None:
        try:
            ports = json.loads((home.root / "ports.json").read_text())
            kept = Secrets(**json.loads((home.root / "secrets.json").read_text()))
        except (OSError, ValueError, TypeError):  # a test has broken it on purpose
            return
        if "postgres" in ports and (home.postgres / "postmaster.pid").exists():
            try:
                self._postgres(Postgres(home, kept, ports["postgres"]), place)
            except psycopg.OperationalError as error:
                if Postgres(home, kept, ports["postgres"]).answers() and "password" not in str(error):
                    self.unread.append(f"Postgres of {place}")
        if "redis" in ports:
            # It may not be running; its files are searched all the same.
            with suppress(redis.ConnectionError, redis.AuthenticationError):
                self._redis(Redis(home, kept, ports["redis"]).url, place)

    def _postgres(self, server: Postgres, place: str) -> None:
        with psycopg.connect(server.admin_url, autocommit=True, connect_timeout=5) as admin:
            admin.execute("CHECKPOINT")
            names = admin.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
        for (name,) in names:
            with psycopg.connect(server.admin_url, dbname=name, connect_timeout=5) as connection:
                connection.execute("SET lock_timeout = '2s'")
                tables = connection.execute(
                    """
                    SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                    WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')
                    """
                ).fetchall()
                for table in [*tables, ("pg_catalog", "pg_stat_activity"), ("pg_catalog", "pg_class")]:
                    rows = sql.SQL("COPY (SELECT t::text FROM {} t) TO STDOUT").format(sql.Identifier(*table))
                    with connection.cursor().copy(rows) as copy:
                        self._look(f"{place}: Postgres, {name}, table {table[1]}", io.BytesIO(b"".join(copy)))
                    self.tables += 1

    def _redis(self, url: str, place: str) -> None:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            for key in client.scan_iter(count=1000):
                self._look(f"{place}: Redis", io.BytesIO(key + b"\n" + value_of(client, key)))
                self.values += 1

    def summary(self) -> str:
        """One line: what was looked for, and where."""
        what = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.issued.counts.items())) or "none"
        return (
            f"secrets issued: {what}; searched for in {self.files:,} files, {self.tables:,} tables and {self.values:,} "
            f"values of Redis, {self.bytes / 1e6:,.0f} MB, in {self.seconds:.1f} s: {sum(self.found.values())} found"
        )

    def complaints(self) -> list[str]:
        """What was found, in words without the secret, and what could not be looked at."""
        said = [
            f"{place} holds a secret ({kind}, {count} times) that was issued in {test or 'no test'}"
            for (kind, place, test), count in self.found.most_common()
        ]
        if len(said) > MOST_LINES:
            said[MOST_LINES:] = [f"and {len(said) - MOST_LINES} more"]
        return said + [f"{server} runs but could not be searched" for server in self.unread]


def every_file(*folders: Path) -> list[Path]:
    """Every file under some folders; no links, sockets or pipes."""
    found = (Path(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names)
    return [path for path in found if path.is_file() and not path.is_symlink()]


def value_of(client: redis.Redis, key: bytes) -> bytes:
    """All that stands under a key, as bytes."""
    read = {
        b"string": lambda: [client.get(key)],
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        b"zset": lambda: client.zrange(key, 0, -1),
        b"stream": lambda: [part for _, entry in client.xrange(key) for pair in entry.items() for part in pair],
    }.get(client.type(key), list)
    return b"\n".join(part for part in read() if part)


class Plugin:
    """Listens from the start of the run, and searches at its end."""

    def __init__(self) -> None:
        self.issued = Issued()
        self.base: Path | None = None
        self._sweep: Sweep | None = None
        self._patch = pytest.MonkeyPatch()
        self.issued.listen(self._patch)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> None:
        if nextitem is None:  # the servers stop with the last test
            self._search()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):  # who interrupts a run will not wait
            self._search()  # after -x no test was the last, and the servers stop after this
        if self._sweep and self._sweep.complaints() and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._patch.undo()

    def _search(self) -> None:
        if self._sweep is None and self.base is not None:
            self._sweep = Sweep(self.issued)
            self._sweep.run(self.base)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._sweep is None:
            terminalreporter.write_line("secrets issued: not searched for")
            return
        if complaints := self._sweep.complaints():
            terminalreporter.section("secrets that should be nowhere", red=True)
            for said in complaints:
                terminalreporter.write_line(said, red=True)
        terminalreporter.write_line(self._sweep.summary())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Plugin(), PLUGIN)


@pytest.fixture(scope="session", autouse=True)
def issued(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """What was issued until now; all of it is searched for when the run ends."""
    plugin = pytestconfig.pluginmanager.get_plugin(PLUGIN)
    assert isinstance(plugin, Plugin)
    plugin.base = tmp_path_factory.getbasetemp()
    return plugin.issued
