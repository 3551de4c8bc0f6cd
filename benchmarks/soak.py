"""Half an hour of labelling, with a random fault a minute: ``python -m benchmarks.soak``, ``--minutes`` for less.

Faults, ground and judge are those of the fault campaign (`tests.faults`); here they come in any order, one on another,
for longer. The same seed gives the same faults at the same moments.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg
import redis

from benchmarks import single
from benchmarks.group import Group, at_least, at_most
from benchmarks.interleaved import Figure
from benchmarks.single import Trial
from tests.faults.ground import Ground
from tests.faults.trial import Feed, ground_and_watch
from tests.faults.trial import Trial as Faults

MINUTES = 30.0
EVERY_S = 60.0
FROZEN_S = 10.0
ROWS, ROWS_PER_S = 40_000, 300.0
BACK_WITHIN_S = 90.0

HOW = (
    f"Two workers label files of {ROWS:,} rows one after another, each with the null engine at {ROWS_PER_S:.0f} rows/s "
    "and leases of 3 s. Once a minute, at a random moment of it, a fault drawn at random. At the end the oracle of "
    "tests/faults judges every job: rows against those of an undisturbed run, byte for byte, and the ledger."
)


def faults(ground: Ground, random_: random.Random) -> dict[str, Callable[[], None]]:
    """What may happen, by name."""

    def child_killed() -> None:
        with suppress(ProcessLookupError, IndexError):
            os.kill(random_.choice(random_.choice(ground.crew).children()), signal.SIGKILL)

    def restarted() -> None:
        random_.choice(ground.crew).restart()

    def frozen(family: Callable[[int], None]) -> None:
        family(signal.SIGSTOP)
        time.sleep(FROZEN_S)
        family(signal.SIGCONT)

    def flushed() -> None:
        with redis.Redis.from_url(ground.servers.redis_url) as server:
            server.flushall()

    def cut_off() -> None:
        with redis.Redis.from_url(ground.servers.redis_url) as server:
            server.client_kill_filter(_type="normal", skipme=True)

    def terminated() -> None:
        with ground.database() as database:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name IN ('emobatch_web', 'emobatch_worker')"
            )

    def everything_killed() -> None:
        for kept in (ground.postgres, ground.redis, ground.web, *ground.crew):
            kept.kill()

    return {
        "worker killed": lambda: random_.choice(ground.crew).kill(),
        "worker's parent killed": lambda: random_.choice(ground.crew).kill(whole=False),
        "worker's child killed": child_killed,
        "worker restarted": restarted,
        "worker frozen": lambda: frozen(random_.choice(ground.crew).signal_all),
        "Redis flushed": flushed,
        "Redis killed": ground.redis.kill,
        "Redis clients cut off": cut_off,
        "Redis frozen": lambda: frozen(ground.redis.signal_all),
        "Postgres restarted at once": lambda: ground.postgres.signal(signal.SIGQUIT),
        "Postgres clients cut off": terminated,
        "Postgres frozen": lambda: frozen(ground.postgres.signal_all),
        "web killed": ground.web.kill,
        "everything killed": everything_killed,
    }


def measure(trial: Trial) -> Group:
    """The faults, and what the oracle says in the end."""
    group = Group("soak", f"{trial.minutes:g} minutes with a fault a minute", HOW)
    count = max(1, round(trial.minutes))
    references = trial.path("references")
    references.mkdir()
    struck: Counter[str] = Counter()
    with ground_and_watch(trial.path("ground")) as (ground, watch):
        soak = Faults("soak", count, trial.seed, references, ground, watch)
        feed = Feed(soak, trial.size(ROWS, 4_000), trial.seed)
        ground.workers(2, rows_per_s=ROWS_PER_S)
        ground.wait_for_workers()
        possible = faults(ground, soak.random)
        began = time.monotonic()
        early = _resident(ground)
        for minute in range(count):
            name = soak.random.choice(list(possible))
            time.sleep(max(0.0, began + (minute + soak.random.uniform(0, 0.6)) * EVERY_S - time.monotonic()))
            feed.busy(120)
            took = soak.strike(possible[name], BACK_WITHIN_S)
            struck[name] += 1
            trial.say(f"(soak) {minute + 1} of {count}: {name}; {'no progress' if took is None else f'{took:.1f} s'}")
            ground.wait_for_web()
            if minute == min(4, count // 2):
                early = _resident(ground)
        feed.finish(600)
        late = _resident(ground)
        with ground.database() as database:
            left = _left_over(database)
    outcome = soak.outcome
    group.add("faults", "faults that hit work in progress", Figure.of([outcome.count]), "")
    group.add(
        "recovered", "of them recovered without a hand", Figure.of([outcome.recovered]), "", at_least(outcome.count)
    )
    group.add("worst_s", "longest from a fault to the next progress", Figure.of([outcome.worst_s]), "s")
    group.add("lost", "rows lost", Figure.of([outcome.lost]), "rows", at_most(0))
    group.add("duplicated", "rows duplicated", Figure.of([outcome.duplicated]), "rows", at_most(0))
    group.add("wrong", "everything the oracle found wrong", Figure.of([len(outcome.problems)]), "", at_most(0))
    group.add("jobs", "jobs finished", Figure.of([outcome.jobs]), "")
    group.add("rows", "rows labelled", Figure.of([outcome.rows]), "rows")
    group.add("reruns", "chunks leased again", Figure.of([outcome.reruns]), "")
    group.add("left", "leases and unfinished jobs left", Figure.of([left]), "", at_most(0))
    for kind, before in early.items():
        group.add(f"{kind}_mb", f"{kind}: resident memory at the end", Figure.of([late[kind] / 1e6]), "MB")
        group.notes.append(f"{kind}: {before / 1e6:.0f} MB after the first minutes")
    group.notes.append("faults: " + ", ".join(f"{n} × {name}" for name, n in sorted(struck.items())))
    group.notes += outcome.problems[:20]
    return group


def _resident(ground: Ground) -> dict[str, int]:
    """Resident bytes of the largest process of web and of the workers."""
    found = {"web": 0, "worker": 0}
    for kind, kept in [("web", ground.web), *(("worker", one) for one in ground.crew)]:
        for process in kept.family():
            with suppress(psutil.Error):
                found[kind] = max(found[kind], process.memory_info().rss)
    return found


def _left_over(database: psycopg.Connection) -> int:
    """Leases, and jobs that are not over, when nothing is left to do."""
    row = database.execute("""
        SELECT (SELECT count(*) FROM chunk WHERE state = 'leased')
            + (SELECT count(*) FROM job WHERE state IN ('queued', 'ingesting', 'running'))
    """).fetchone()
    assert row
    return int(row[0])


if __name__ == "__main__":
    described = "Labels for a long time, with a random fault a minute, and judges every row."
    sys.exit(single.run("soak", described, {"soak": measure}, minutes=MINUTES))
