"""Real servers for tests: one Postgres and one Redis a session, and the whole stack for those who need it all.

They come from `emobatch.stack`, as a user's do, in folders of their own; they stop with the session, and also when the
session is killed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from redis import Redis as RedisClient

from emobatch import stack
from emobatch.stack import leftovers
from emobatch.stack.home import Home
from emobatch.stack.postgres import DATABASE, OWNER, Postgres
from emobatch.stack.programs import inherited_environment
from emobatch.stack.redis import Redis
from emobatch.stack.servers import Servers
from emobatch.stack.supervision import NAME as SUPERVISOR
from emobatch.stack.supervision import Supervisor

# What a developer has set for a server of theirs must not lead tests to it.
OUTSIDE = ("DATABASE_URL", "REDIS_URL", "STORAGE_URL", "EMOBATCH_HOME", "EMOBATCH_PORT")


@pytest.fixture(scope="session", autouse=True)
def no_outside_servers() -> Iterator[None]:
    """Hides the developer's own servers and data directory from every test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in OUTSIDE:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def servers_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of `servers`."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def servers(servers_home: Path) -> Iterator[Servers]:
    """Postgres and Redis, running; nothing is in them."""
    home = Home(servers_home)
    home.create()
    kept = home.secrets()
    made = Servers(home, kept, {})
    programs = [server.program for server in made.embedded]
    supervisor = Supervisor(home, kept, home.ports([SUPERVISOR])[SUPERVISOR], programs)
    try:
        supervisor.launch(inherited_environment())
        made.start(supervisor)
        assert made.postgres
        assert made.redis
        _forget_nothing(made.postgres, made.redis)
        yield made
    finally:
        supervisor.stop()
        leftovers.stop(home)


@pytest.fixture(scope="session")
def postgres(servers: Servers) -> Postgres:
    """The session's Postgres."""
    assert servers.postgres
    return servers.postgres


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """The session's Redis."""
    return servers.redis_url


@pytest.fixture(scope="session")
def database_url(postgres: Postgres) -> Iterator[str]:
    """A database with all migrations applied, for the whole session; the login is its owner."""
    from migrations.run import upgrade

    with fresh_database(postgres) as url:
        upgrade(url)
        yield url


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A database with nothing in it, for one test; the login is its owner."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def local_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of `local_stack`."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def local_stack(local_home: Path) -> Iterator[stack.RunningStack]:
    """Everything, as `emobatch up` runs it: servers, web and a worker with the shipped model.

    Its webhooks may lead to receivers on this host.
    """
    with ExitStack() as until_the_end:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EMOBATCH_WEBHOOK_PRIVATE", "true")
            running = until_the_end.enter_context(stack.start(local_home, quiet=True))
        home = Home(local_home)
        _forget_nothing(Postgres.of(home), Redis.of(home))
        yield running


@pytest.fixture
def fail_rows(local_home: Path) -> Callable[..., None]:
    """Says in the ledger of `local_stack` that rows of a finished job of one chunk failed: with its model none does."""

    def fail(job_id: str, *rows: int) -> None:
        with psycopg.connect(Postgres.of(Home(local_home)).admin_url, dbname=DATABASE) as connection:
            for row in rows:
                connection.execute(
                    """
                    UPDATE result_chunk SET status[%(row)s] = 2, top_label[%(row)s] = -1,
                        detail = detail || jsonb_build_object(%(at)s::text, '{"reason": "crashed the model"}'::jsonb)
                    WHERE job_id = %(job)s
                    """,
                    {"job": job_id, "row": row, "at": row - 1},
                )
            connection.execute(
                """
                UPDATE job SET state = 'completed_with_errors', rows_ok = rows_ok - %(n)s, rows_failed = %(n)s
                WHERE id = %(job)s
                """,
                {"job": job_id, "n": len(rows)},
            )

    return fail


@contextmanager
def fresh_database(postgres: Postgres) -> Iterator[str]:
    """A fresh database of the owner's, dropped at the end of the block."""
    name = f"test_{secrets.token_hex(4)}"
    database = sql.Identifier(name)
    _as_superuser(postgres, sql.SQL("CREATE DATABASE {} OWNER {}").format(database, sql.Identifier(OWNER)))
    yield postgres.url_of(name)
    _as_superuser(postgres, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def _forget_nothing(postgres: Postgres, redis: Redis) -> None:
    """Has servers keep their logs of all that was ever written: `tests.sweep` finds there what tests have deleted."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_keep_size = '8GB'")
        connection.execute("SELECT pg_reload_conf()")
    with RedisClient.from_url(redis.url) as client:
        client.config_set("auto-aof-rewrite-percentage", 0)


def _as_superuser(postgres: Postgres, statement: sql.Composed) -> None:
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(statement)
