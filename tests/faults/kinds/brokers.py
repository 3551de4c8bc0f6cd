"""Redis flushed, killed and restarted empty, cut off from all its clients, frozen. Tickets are lost, work is not."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable

import redis

from tests.faults.ground import Stuck, until
from tests.faults.kinds import Kind
from tests.faults.trial import Feed, Trial

ROWS = 40_000
ROWS_PER_S = 400.0

# Short ticks, so that a lost ticket is missed at once.
TICK = {"EMOBATCH_TICK_S": "1"}


def _batter(trial: Trial, inject: Callable[[], None], *, within_s: float, every_s: float, heard: bool = False) -> None:
    """Strikes a job of two workers again and again.

    Args:
        within_s: how soon work must go on.
        every_s: seconds from one fault to the next.
        heard: whether each worker must have work again before the next fault: none has gone deaf.
    """
    feed = Feed(trial, ROWS if trial.count > 10 else ROWS // 4)
    trial.ground.workers(2, rows_per_s=ROWS_PER_S, environment=TICK)
    feed.busy()
    all_work(trial, feed)
    while trial.outcome.count < trial.count:
        feed.busy()
        began = time.monotonic()
        trial.strike(inject, within_s)
        if heard:
            all_work(trial, feed)
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))
    feed.finish()


def all_work(trial: Trial, feed: Feed, seconds: float = 90.0) -> None:
    """Waits until each worker of the crew holds a lease; notes the longest that took."""
    seen: set[int] = set()
    began = time.monotonic()
    with trial.ground.database() as database:

        def all_seen() -> bool:
            if not trial.watch.active:
                feed.busy()
            rows = database.execute("SELECT DISTINCT worker_id FROM chunk WHERE state = 'leased'").fetchall()
            seen.update(int(row[0].rsplit(":", 2)[1]) for row in rows if row[0])
            return {kept.pid for kept in trial.ground.crew} <= seen  # one that had gone deaf starts anew meanwhile

        try:
            until(all_seen, "every worker works", seconds)
        except Stuck:
            trial.problem(f"fault {trial.outcome.count}: a worker is silent for {seconds:g} s")
    took = time.monotonic() - began
    trial.outcome.notes["all workers back, s"] = round(max(took, trial.outcome.notes.get("all workers back, s", 0)), 1)


def flush(trial: Trial) -> None:
    """FLUSHALL."""
    with redis.Redis.from_url(trial.ground.servers.redis_url) as server:
        _batter(trial, lambda: server.flushall(), within_s=5, every_s=5 if trial.count >= 25 else 2)


def restart(trial: Trial) -> None:
    """Killed with -9; comes back with nothing in it."""
    ground = trial.ground

    def kill() -> None:
        ground.redis.hold()
        ground.redis.kill()
        time.sleep(1)
        shutil.rmtree(ground.home.redis)
        ground.home.redis.mkdir(mode=0o700)
        ground.redis.release()

    _batter(trial, kill, within_s=60, every_s=4, heard=True)


def cut(trial: Trial) -> None:
    """Every connection of a client is closed by the server."""

    def kill() -> None:
        with redis.Redis.from_url(trial.ground.servers.redis_url) as server:
            for kind in ("pubsub", "normal"):
                server.client_kill_filter(_type=kind, skipme=True)

    _batter(trial, kill, within_s=60, every_s=2)


def freeze(trial: Trial) -> None:
    """Stands still for 30 seconds, connections and all, and then goes on."""
    ground = trial.ground
    seconds = 30 if trial.count > 1 else 12

    def stand_still() -> None:
        ground.redis.signal_all(signal.SIGSTOP)
        time.sleep(seconds)
        ground.redis.signal_all(signal.SIGCONT)

    _batter(trial, stand_still, within_s=seconds + 60, every_s=0, heard=True)


KINDS = [
    Kind("redis-flush", "Redis flushed", 50, 420, flush),
    Kind("redis-restart", "Redis killed, back empty", 15, 420, restart),
    Kind("redis-cut", "all Redis clients cut off", 50, 300, cut),
    Kind("redis-freeze", "Redis frozen for 30 s", 3, 420, freeze),
]
