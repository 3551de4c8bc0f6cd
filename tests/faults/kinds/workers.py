"""Whole workers: killed, frozen past their leases, restarted in turn, with clocks that are wrong, killed with all."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import redis

from benchmarks.background import Background
from core.queue import QUEUE
from tests.faults.kinds import Kind
from tests.faults.prober import Prober
from tests.faults.processes import Kept
from tests.faults.trial import Feed, Trial

FAKETIME = "*/faketime/libfaketime.so.1"
"""Debian's package libfaketime, below /usr/lib."""


def parent(trial: Trial) -> None:
    """SIGKILL of a worker's parent at random in a long job; every other time its children die with it."""
    rows = 200_000 if trial.count >= 25 else 10_000
    feed = Feed(trial, rows)
    crew = trial.ground.workers(2, slots=2, rows_per_s=250)
    while trial.outcome.count < trial.count:
        feed.busy()
        victim = trial.random.choice(crew)
        whole = trial.random.random() < 0.5
        trial.strike(lambda victim=victim, whole=whole: victim.kill(whole=whole))
        trial.pause(1, 4)
    feed.finish(600)
    trial.outcome.notes["chunks leased again"] = trial.outcome.reruns


class Echo(Background):
    """Delivers every ticket five times: puts four more beside each that waits."""

    patience_s = 10.0

    def __init__(self, url: str) -> None:
        super().__init__()
        self._server = redis.Redis.from_url(url)
        self.added = 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        super().__exit__(kind, error, tb)
        self._server.close()

    def _run(self) -> None:
        seen: set[bytes] = set()
        while not self._over.wait(0.02):
            with suppress(redis.RedisError):
                for ticket in self._server.lrange(QUEUE, 0, -1):  # type: ignore[union-attr]
                    if ticket not in seen:
                        seen.add(ticket)
                        self._server.lpush(QUEUE, *[ticket] * 4)
                        self.added += 4


def zombies(trial: Trial) -> None:
    """A child is frozen in the middle of a bundle, for longer than its lease, and then woken: what it has is stale."""
    ground = trial.ground
    feed = Feed(trial, 40_000 if trial.count > 5 else 20_000)
    crew = ground.workers(2, slots=2, rows_per_s=1_000, failpoints=f"mid-inference:4:{trial.count}:STOP")
    asleep: dict[int, float] = {}
    seen = 0
    with Echo(ground.servers.redis_url) as echo:
        feed.busy()
        while trial.outcome.count < trial.count or asleep:
            deaths = ground.deaths()
            for at, _, pid in deaths[seen:]:
                asleep[pid] = at
            seen = len(deaths)
            if seen < trial.count and not trial.watch.active and not asleep:
                feed.busy()
            for pid, at in list(asleep.items()):
                # A lease, the sweeper's round, and a moment for somebody else to take the chunks over.
                if time.time() > at + ground.lease_s + 4:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                    trial.outcome.count += 1
                    del asleep[pid]
            time.sleep(0.05)
        verdicts = feed.finish()
        trial.outcome.notes["tickets delivered again"] = echo.added
    said = "".join(kept.log.read_text(errors="replace") for kept in crew)
    refused = sum(said.count(f'"event": "{words}') for words in ("stale results refused", "stale result refused"))
    # One that lost its leases before it began to score has nothing that could be refused: it drops them itself.
    trial.outcome.notes |= {"stale results refused": refused}
    if not refused:
        trial.problem("no stale result was refused: the zombies missed")
    if all(verdict.state == "completed" for verdict in verdicts):
        trial.outcome.recovered = trial.outcome.count


def rolling(trial: Trial) -> None:
    """One service after another is restarted in order, each 30 s, while a long job runs."""
    ground = trial.ground
    every_s = 30 if trial.count >= 10 else 10
    per_s = 250
    rows = int(2 * per_s * every_s * (trial.count + 2))
    feed = Feed(trial, rows)
    ground.workers(2, rows_per_s=per_s)
    ground.wait_for_workers()
    slowest = 0.0
    with Prober(ground) as prober:
        feed.busy()
        began = time.monotonic()
        turn = 0
        while trial.outcome.count < trial.count:
            time.sleep(max(0.0, began + (turn + 1) * every_s - time.monotonic()))
            services: list[Kept] = [*ground.crew, ground.web, ground.redis, ground.postgres]
            service = services[turn % len(services)]
            turn += 1
            leave_s = 0.0

            def restart(service: Kept = service) -> None:
                nonlocal leave_s
                leave_s = service.restart()

            trial.strike(restart, 60)
            if service in ground.crew:
                slowest = max(slowest, leave_s)
        trial.wait(feed.jobs, 300)
        took = time.monotonic() - began
        feed.finish()
    expected = rows / (2 * per_s)
    trial.outcome.notes |= {
        "slowest worker left after, s": round(slowest, 1),
        "added time, %": round(100 * (took / expected - 1), 1),
        "web answered": dict(prober.answers),
    }
    if slowest > 30:
        trial.problem(f"a worker took {slowest:.0f} s to leave")
    if trial.count >= 10 and took > 1.15 * expected:
        trial.problem(f"the restarts added {took / expected - 1:.0%} to the job's time")
    if prober.wrong:
        trial.problem(f"web gave {prober.wrong} answers that it must not give: {dict(prober.answers)}")


def everything(trial: Trial) -> None:
    """Postgres, Redis, web and workers get SIGKILL at once, and all come back."""
    ground = trial.ground
    feed = Feed(trial, 40_000)
    ground.workers(2, rows_per_s=500)

    def kill() -> None:
        for kept in (ground.postgres, ground.redis, ground.web, *ground.crew):
            kept.kill()

    while trial.outcome.count < trial.count:
        feed.busy(120)
        trial.strike(kill, 90)
        ground.wait_for_web()
        trial.pause(1, 4)
    feed.finish()


def clocks(trial: Trial) -> None:
    """One worker's clock is an hour ahead or behind; a death beside it shows that leases run out as they should."""
    ground = trial.ground
    feed = Feed(trial, 10_000)
    liar = next(Path("/usr/lib").glob(FAKETIME), None)
    trial.outcome.notes["clocks shifted by"] = "libfaketime" if liar else "a patch of Python's time.time"
    for number in range(trial.count):
        shift = 3_600 if number % 2 == 0 else -3_600
        crew = ground.workers(2, rows_per_s=500)
        wrong = crew[1]
        altered = {"EMOBATCH_FAULTS_CLOCK": str(shift)}
        if liar:
            altered = {
                "LD_PRELOAD": str(liar),
                "FAKETIME": f"{shift:+d}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        else:
            wrong.command = [word.replace("worker.app", "tests.faults.altered") for word in wrong.command]
        wrong.restart({**wrong.environment, **altered})
        ground.wait_for_workers()
        feed.busy()
        trial.pause(1, 2)
        before = trial.outcome.overdue_s
        trial.strike(crew[0].kill)
        trial.wait(feed.jobs)
        trial.outcome.overdue_s = max(before, trial.watch.overdue_s)
    for verdict in feed.finish():
        if verdict.most_leases > 3:
            trial.problem(f"a chunk was leased {verdict.most_leases} times")
    if trial.outcome.overdue_s > ground.lease_s + 4:
        trial.problem(f"a lease was overdue by {trial.outcome.overdue_s:.1f} s")


KINDS = [
    Kind("parent", "worker parent killed at random in a 200k-row job", 50, 700, parent),
    Kind("zombies", "worker frozen past its lease, then woken; tickets × 5", 50, 420, zombies),
    Kind("rolling", "a service restarted each 30 s", 15, 1_000, rolling, sampled=False, alone=True),
    Kind("everything", "everything killed at once", 10, 420, everything),
    Kind("clocks", "a worker's clock an hour ahead or behind", 6, 420, clocks, sampled=False),
]
