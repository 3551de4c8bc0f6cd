"""The servers under a stack, part by part: embedded, or the user's own where the environment names one.

``DATABASE_URL``, ``REDIS_URL`` and ``STORAGE_URL`` each replace one part and leave the others as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote

from emobatch.stack.home import Home, Secrets
from emobatch.stack.postgres import Postgres
from emobatch.stack.redis import Redis
from emobatch.stack.supervision import Supervisor

Made = list[tuple[Postgres | Redis, Future[None]]]
"""Embedded servers, in the order of their start, and when the files of each are made."""

PATIENCE_S = 60.0
"""How long a server may take to answer: a database of a killed machine replays its log first."""


class Servers:
    """Postgres, Redis and storage of one data directory."""

    def __init__(self, home: Home, secrets: Secrets, environment: Mapping[str, str]) -> None:
        own = [name for name, url in (("postgres", "DATABASE_URL"), ("redis", "REDIS_URL")) if not environment.get(url)]
        ports = home.ports(own)
        self.postgres = Postgres(home, secrets, ports["postgres"]) if "postgres" in ports else None
        self.redis = Redis(home, secrets, ports["redis"]) if "redis" in ports else None
        self.embedded: list[Postgres | Redis] = [server for server in (self.postgres, self.redis) if server]
        self.database_url = self.postgres.url if self.postgres else environment["DATABASE_URL"]
        self.redis_url = self.redis.url if self.redis else environment["REDIS_URL"]
        self.storage_url = environment.get("STORAGE_URL") or f"file://{quote(str(home.storage))}"

    @contextmanager
    def being_made(self) -> Iterator[Made]:
        """Makes the files of the embedded servers, side by side and beside what the block does; waits at its end."""
        with ThreadPoolExecutor(len(self.embedded) or 1) as pool:
            # Redis first: it is up before initdb has ended.
            yield [(server, pool.submit(server.initialise)) for server in reversed(self.embedded)]

    def start(self, supervisor: Supervisor, made: Made | None = None) -> None:
        """Brings the embedded servers up as programs of `supervisor`, each as soon as its files are made.

        Args:
            made: from `being_made`; None: they are made now.

        Raises:
            Unavailable: a server's files could not be made, or it does not answer in time.
        """
        if made is None:
            with self.being_made() as made:
                return self.start(supervisor, made)
        for server, files in made:
            files.result()
            supervisor.start(server.name)
        for server in self.embedded:
            supervisor.wait_until(server.answers, server.name, seconds=PATIENCE_S)
