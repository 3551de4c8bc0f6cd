"""What tests of the local stack look at: its processes, its programs' environment, what it remembers."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import psutil
import psycopg
import redis

from emobatch import stack
from emobatch.stack import leftovers
from emobatch.stack.home import Home
from emobatch.stack.programs import inherited_environment
from tests.emobatch.fake_application import HERE

PROGRAMS = ["postgres", "redis", "web", "worker"]


class Up:
    """An ``emobatch up`` in a process of its own, with the fakes."""

    def __init__(self, home: Home, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", HERE, str(home.root)],
            env=inherited_environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def read(self) -> str:
        return self.process.stdout.readline()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; like a terminal, tells its whole process group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        return self.process.wait(60)


def processes(home: Home) -> dict[str, list[psutil.Process]]:
    return leftovers.find(home)


def first(home: Home, name: str) -> psutil.Process:
    """The process of a program that is the parent of its others."""
    found = processes(home)[name]
    return next(process for process in found if process.ppid() not in {other.pid for other in found})


def until(is_so, what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.05)


def environment_of(address: stack.Address) -> dict[str, str]:
    """What the fake web was given."""
    with urllib.request.urlopen(address.url, timeout=5) as answer:
        return json.load(answer)


def works(address: stack.Address) -> bool:
    """Whether web, Postgres and Redis all answer."""
    try:
        given = environment_of(address)
        psycopg.connect(given["DATABASE_URL"]).close()
        return redis.Redis.from_url(given["REDIS_URL"]).ping()
    except (OSError, psycopg.OperationalError, redis.RedisError):
        return False


def remember(address: stack.Address, value: str) -> None:
    given = environment_of(address)
    with psycopg.connect(given["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])
    redis.Redis.from_url(given["REDIS_URL"]).rpush("kept", value)


def remembered(address: stack.Address) -> tuple[list[str], list[str]]:
    given = environment_of(address)
    with psycopg.connect(given["DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT value FROM kept").fetchall()
    return [row[0] for row in rows], redis.Redis.from_url(given["REDIS_URL"], decode_responses=True).lrange(
        "kept", 0, -1
    )
