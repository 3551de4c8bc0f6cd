"""SIGKILL of a worker's child at each failpoint. Its parent lives, sees the death and returns what the child held."""

from __future__ import annotations

import time
from functools import partial

from tests.faults.ground import until
from tests.faults.kinds import Kind
from tests.faults.trial import Feed, Trial

ROWS = 40_000
ISOLATED_ROWS = 10_000
ROWS_PER_S = 4_000.0

# At which pass a child dies: late enough that each life brings the job on, early enough that ten deaths fit in a job.
# A life has three bundles in hand, claimed, scored and being committed: of six that it claims three are done for sure.
PASSES = {
    "after-claim": 6,
    "mid-inference": 5,  # the first is warming up
    "before-insert": 4,
    "after-insert": 4,
    "before-commit": 4,
    "after-commit": 4,
    "before-ring": 1,
    "heartbeat": 3,
    "ingest-slice": 4,
}


SAMPLED = ("mid-inference", "before-commit")
"""Those that are tried with the real model, too."""


def kill_at(trial: Trial, name: str) -> None:
    """Children die of one failpoint until the count is full, and then no more: the job ends."""
    slowly = name in ("before-ring", "heartbeat")
    # So long that no death finds it nearly done: a chunk that was scored at one comes last, and should meet no other.
    rows = ROWS if slowly else 2 * ROWS
    feed = Feed(trial, rows if trial.count > 3 else rows // 2)
    trial.ground.workers(
        1,
        rows_per_s=ROWS_PER_S / 5 if slowly else ROWS_PER_S,
        failpoints=f"{name}:{PASSES[name]}:{trial.count}",
        environment={
            "EMOBATCH_CRASH_BUDGET": "1000",
            "EMOBATCH_TICK_S": "2",
            # A slice of one chunk at a time makes every file one of many slices.
            **({"EMOBATCH_INGEST_SLICE_S": "0"} if name == "ingest-slice" else {}),
        },
    )
    follow_deaths(trial, feed, name)


def follow_deaths(trial: Trial, feed: Feed, name: str, within_s: float = 60.0) -> None:
    """Keeps jobs coming until all deaths due have happened, and measures how long work stands still after each."""
    limit_s = trial.ground.lease_s + 5
    seen = 0
    feed.busy()
    deadline = time.monotonic() + 30.0 * trial.count + 60
    while seen < trial.count and time.monotonic() < deadline:
        deaths = trial.ground.deaths(name)
        if len(deaths) == seen:
            if not trial.watch.active:
                feed.busy()
            time.sleep(0.02)
            continue
        at = deaths[seen][0]
        seen += 1
        # The clock of the log is the wall's; from here on it is the monotonic one.
        began = time.monotonic() - (time.time() - at)
        trial.outcome.count += 1
        took = trial.watch.goes_on(trial.watch.look(), began, within_s)
        if took is None and trial.watch.active:
            trial.problem(f"death {seen} at {name}: no progress within {within_s:g} s")
            continue
        trial.outcome.recovered += 1
        trial.outcome.worst_s = max(trial.outcome.worst_s, took or 0.0)
    verdicts = feed.finish()
    if trial.outcome.worst_s > limit_s:
        trial.problem(f"back after {trial.outcome.worst_s:.1f} s, due within {limit_s:g} s")
    if trial.outcome.most_leases > 3:
        trial.problem(f"a row range was leased {trial.outcome.most_leases} times, due are 3 at most")
    if name not in ("before-ring", "ingest-slice", "after-commit") and not sum(v.reclaimed for v in verdicts):
        trial.problem("no chunk was leased again: the kills missed")
    until(lambda: not trial.ground.deaths(name)[trial.count :], "no more deaths than due")


def isolated(trial: Trial) -> None:
    """Children die in isolated mode, each on another row, so that no row is to blame twice."""
    feed = Feed(trial, ISOLATED_ROWS)
    per_life = {"EMOBATCH_CRASH_BUDGET": "1000", "EMOBATCH_TICK_S": "2"}
    while trial.outcome.count < trial.count:
        # The first death makes a chunk run isolated, the second falls into it; the row is another one each time.
        row = trial.random.randrange(2, 200)
        trial.ground.workers(
            1, rows_per_s=ROWS_PER_S, failpoints=f"mid-inference:3:1,isolated:{row}:1", environment=per_life
        )
        feed.busy()
        until(lambda: trial.ground.deaths("isolated") or not trial.watch.active, "a child dies isolated", 60)
        deaths = trial.ground.deaths("isolated")
        if not deaths:
            continue
        began = time.monotonic() - (time.time() - deaths[0][0])
        trial.outcome.count += 1
        took = trial.watch.goes_on(trial.watch.look(), began, 60)
        if took is None and trial.watch.active:
            trial.problem("no progress after a death in isolated mode")
        else:
            trial.outcome.recovered += 1
            trial.outcome.worst_s = max(trial.outcome.worst_s, took or 0.0)
    verdicts = feed.finish()
    trial.outcome.notes["rows condemned"] = sum(verdict.failed_rows for verdict in verdicts)


KINDS = [
    *(Kind(f"child-{name}", f"worker child killed: {name}", 10, 300, partial(kill_at, name=name)) for name in PASSES),
    Kind("child-isolated", "worker child killed: isolated", 10, 400, isolated, sampled=False),
]
