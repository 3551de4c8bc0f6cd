"""Postgres restarted, its backends terminated, frozen; and connections cut while a COMMIT is under way."""

from __future__ import annotations

import signal
import time

from tests.faults.ground import until
from tests.faults.kinds import Kind
from tests.faults.prober import Prober
from tests.faults.proxy import CommitCutter
from tests.faults.trial import Feed, Trial

ROWS = 40_000
ROWS_PER_S = 500.0


def _batter(trial: Trial, inject: object, *, within_s: float, pauses: tuple[float, float]) -> None:
    """Strikes a job of two workers again and again, while somebody asks web all the time."""
    feed = Feed(trial, ROWS if trial.count > 10 else ROWS // 4)
    trial.ground.workers(2, rows_per_s=ROWS_PER_S)
    with Prober(trial.ground) as prober:
        while trial.outcome.count < trial.count:
            feed.busy(120)
            trial.strike(inject, within_s)  # type: ignore[arg-type]
            trial.pause(*pauses)
        feed.finish()
    trial.outcome.notes |= {"web answered": dict(prober.answers), "slowest answer, s": round(prober.slowest_s, 1)}
    if prober.wrong:
        trial.problem(f"web gave {prober.wrong} answers that it must not give: {dict(prober.answers)}")


def restart(trial: Trial) -> None:
    """Postgres' immediate shutdown, which is a crash: it recovers from its log."""
    _batter(trial, lambda: trial.ground.postgres.signal(signal.SIGQUIT), within_s=60, pauses=(1, 4))


def terminate(trial: Trial) -> None:
    """Every connection of web and workers is terminated."""

    def inject() -> None:
        with trial.ground.database() as database:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name IN ('emobatch_web', 'emobatch_worker')"
            )

    _batter(trial, inject, within_s=30, pauses=(0.1, 1.5))


def freeze(trial: Trial) -> None:
    """Every process of Postgres stands still for 20 seconds, and then goes on."""
    seconds = 20 if trial.count > 1 else 8

    def inject() -> None:
        trial.ground.postgres.signal_all(signal.SIGSTOP)
        time.sleep(seconds)
        trial.ground.postgres.signal_all(signal.SIGCONT)

    _batter(trial, inject, within_s=60, pauses=(2, 4))


def commit(trial: Trial) -> None:
    """The connection goes between COMMIT and its answer; whether it happened, the worker must find out."""
    due = trial.count
    passed_on = 0

    def choose() -> bool | None:
        nonlocal passed_on
        if trial.outcome.count >= due or trial.random.random() > 0.3:
            return None
        trial.outcome.count += 1
        happened = trial.random.random() < 0.5
        passed_on += happened
        return happened

    feed = Feed(trial, ROWS if trial.count > 10 else ROWS // 2)
    with CommitCutter(trial.ground.servers.database_url, choose) as proxy:
        trial.ground.workers(2, rows_per_s=2_000, database_url=proxy.url)
        while trial.outcome.count < due:
            feed.busy()
            cut = trial.outcome.count
            began = time.monotonic()
            until(lambda cut=cut: trial.outcome.count > cut or not trial.watch.active, "a commit is cut", 60)
            took = trial.watch.goes_on(trial.watch.look(), began, 60)
            trial.outcome.worst_s = max(trial.outcome.worst_s, took or 0)
        verdicts = feed.finish()
    trial.outcome.recovered = trial.outcome.count if all(v.state == "completed" for v in verdicts) else 0
    trial.outcome.notes["commits that had happened"] = passed_on


KINDS = [
    Kind("postgres-restart", "Postgres crashes and restarts", 15, 420, restart),
    Kind("postgres-terminate", "all Postgres backends terminated", 100, 420, terminate),
    Kind("postgres-freeze", "Postgres frozen for 20 s", 3, 300, freeze),
    Kind("commit-cut", "connection cut between COMMIT and its answer", 50, 240, commit),
]
