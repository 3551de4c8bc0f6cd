"""The servers under a stack, part by part: embedded, or the user's own where the environment names one.

``DATABASE_URL``, ``REDIS_URL`` and ``STORAGE_URL`` each replace one part and leave the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from emobatch.stack.home import Home, Secrets
from emobatch.stack.postgres import Postgres
from emobatch.stack.redis import Redis
from emobatch.stack.supervision import Supervisor

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

    def start(self, supervisor: Supervisor) -> None:
        """Brings the embedded servers up, side by side, as programs of `supervisor`.

        Raises:
            Unavailable: a server's files could not be made, or it does not answer in time.
        """
        with ThreadPoolExecutor(len(self.embedded) or 1) as pool:
            made = [(server, pool.submit(server.initialise)) for server in reversed(self.embedded)]
            for server, files in made:  # Redis first: it is up before initdb has ended.
                files.result()
                supervisor.start(server.name)
        for server in self.embedded:
            supervisor.wait_until(server.answers, server.name, seconds=PATIENCE_S)
