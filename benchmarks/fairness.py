"""Fairness, as users feel it: ``python -m benchmarks.fairness``.

Small jobs of other accounts arrive at random while a million rows are being labelled, or cut: how long until each of
them starts? And accounts that all want more than there is: how evenly is it shared?
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from benchmarks import single
from benchmarks.accounts import Tenant, ledger, tenants
from benchmarks.arrivals import Arrival, arrive, times
from benchmarks.corpus import write_csv, write_rows_of_99_bytes
from benchmarks.group import Group, at_least, at_most
from benchmarks.interleaved import Figure
from benchmarks.shares import jain
from benchmarks.single import Trial
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, LocalStack, started
from core.db import Database
from core.model_directory import find_model
from worker.engine.null import ROWS_PER_S

ROWS = 1_000_000
SMALL_JOBS, SMALL_ROWS, OTHERS = 100, 100, 20
SPEED = 500
WINDOW_S = 200.0
"""Over which the small jobs arrive: at 500 rows/s they are a tenth of what is labelled meanwhile."""

SLOWED = MEMORY_OFF | NULL_MODEL | {ROWS_PER_S: str(SPEED), "EMOBATCH_MAX_ACTIVE_JOBS": "1000"}

WORDS_OF_200_TOKENS = 135
"""At 1.48 tokens a word, as in `benchmarks.corpus`."""
LONG_ROWS = 200_000

EQUALS = 8
MANY_JOBS, MANY_ROWS = 500, 1_000
SHARE_S = 120.0

HOW_STARTS = (
    f"{SMALL_JOBS} jobs of {SMALL_ROWS} rows, of {OTHERS} other accounts, arrive at moments drawn evenly. A job starts "
    "when a worker claims its first chunk; the time is that since the upload was answered, by Postgres' clock. One "
    "worker with one child, as shipped."
)


def beside_a_million_rows(trial: Trial) -> Group:
    """Small jobs beside a job of a million rows."""
    group = Group("label", f"Small jobs beside a million rows at {SPEED} rows/s", HOW_STARTS)
    big = write_rows_of_99_bytes(trial.path("big.csv"), trial.size(ROWS, 20_000))
    with _stack(trial, SLOWED) as (stack, db, others):
        job = stack.client.create_job(big, text_column="text")
        _report(group, _small_jobs(trial, db, others, WINDOW_S))
        _still_there(stack, job.id)
        group.notes.append(f"the null engine, slowed to {SPEED} rows/s")
    return group


def while_cutting(trial: Trial) -> Group:
    """Small jobs while two uploads of a million rows are being cut all the time."""
    group = Group("cut", "Small jobs while two uploads of a million rows are being cut", HOW_STARTS)
    big = write_rows_of_99_bytes(trial.path("big.csv"), trial.size(ROWS, 20_000))
    over = threading.Event()
    with _stack(trial, SLOWED) as (stack, db, others), tenants(stack, 2) as owners:
        cut = [0, 0]

        def keep_cutting(number: int, owner: Tenant) -> None:
            """Uploads the file again whenever it has been cut."""
            while not over.is_set():
                job = owner.client.create_job(big, text_column="text")
                while not over.is_set() and not owner.client.status(job.id).rows_total_final:
                    time.sleep(0.2)
                owner.client.cancel(job.id)
                cut[number] += 1

        threads = [threading.Thread(target=keep_cutting, args=found, daemon=True) for found in enumerate(owners)]
        for thread in threads:
            thread.start()
        try:
            _report(group, _small_jobs(trial, db, others, WINDOW_S))
        finally:
            over.set()
            for thread in threads:
                thread.join(60)
        group.notes.append(f"the null engine, slowed to {SPEED} rows/s; uploads cut meanwhile: {cut[0]} and {cut[1]}")
    return group


def with_the_model(trial: Trial) -> Group:
    """Small jobs of long rows beside a big one, all with the real model."""
    group = Group("model", "The same with the default model on rows of 200 tokens", HOW_STARTS)
    pool = _long_texts(trial, 2_000)
    rows = trial.size(LONG_ROWS, 5_000)
    big = write_csv(trial.path("big.csv"), [pool[row % len(pool)] for row in range(rows)])
    with _stack(trial, MEMORY_OFF) as (stack, db, others):
        job = stack.client.create_job(big, text_column="text")
        _report(group, _small_jobs(trial, db, others, WINDOW_S, pool))
        _still_there(stack, job.id)
        group.notes.append(f"{find_model(None).name}; the big job has {rows:,} rows and outlasts the small ones")
    return group


def shares(trial: Trial) -> Group:
    """Equal accounts, and one with many jobs against one with a single job."""
    group = Group(
        "shares",
        "Accounts that all want more than there is",
        f"{EQUALS} accounts with a job each, as long as all of them have work; then an account with {MANY_JOBS} jobs "
        f"of {MANY_ROWS:,} rows beside one whose single job has as many rows. Counted is what each got labelled in "
        f"{SHARE_S:.0f} s. Index of fairness: {' '.join((jain.__doc__ or '').split())}",
    )
    seconds = trial.size(SHARE_S, 15)
    enough = round(SPEED * seconds * 2)
    file = write_rows_of_99_bytes(trial.path("equal.csv"), enough)
    with _stack(trial, SLOWED, EQUALS) as (_, db, equals):
        for tenant in equals:
            tenant.client.create_job(file, text_column="text")
        rows = _labelled_in(db, equals, seconds, at_work=len(equals))
    group.add("jain", "fairness of the equal accounts' rows (Jain)", Figure.of([jain(rows)]), "", at_least(0.95))
    group.add("equal_rows", "rows of each", Figure.of(rows), "rows")

    count = trial.size(MANY_JOBS, 20)
    part = write_rows_of_99_bytes(trial.path("part.csv"), MANY_ROWS)
    whole = write_rows_of_99_bytes(trial.path("whole.csv"), count * MANY_ROWS)
    with _stack(trial, SLOWED, 2) as (_, db, (many, one)):
        one.client.create_job(whole, text_column="text")
        for _ in range(count):
            many.client.create_job(part, text_column="text")
        got_many, got_one = _labelled_in(db, [many, one], seconds, at_work=2)
    group.add(
        "many_over_one", f"rows of {count} jobs over rows of one", Figure.of([got_many / got_one]), "×", at_most(1.1)
    )
    group.add(
        "jain_many_one", "fairness of these two (Jain)", Figure.of([jain([got_many, got_one])]), "", at_least(0.95)
    )
    return group


@contextmanager
def _stack(
    trial: Trial, environment: dict[str, str], accounts: int = OTHERS
) -> Iterator[tuple[LocalStack, Database, list[Tenant]]]:
    warm = trial.corpus.texts(20)
    with started(environment, warm_with=warm) as stack, ledger(stack) as db, tenants(stack, accounts) as found:
        yield stack, db, found


def _still_there(stack: LocalStack, job_id: str) -> None:
    if not stack.client.status(job_id).state.active:
        raise RuntimeError("The big job was over before the small ones: nothing was in their way.")


def _small_jobs(
    trial: Trial, db: Database, others: Sequence[Tenant], window_s: float, pool: Sequence[str] = ()
) -> list[Arrival]:
    count = trial.size(SMALL_JOBS, 5)
    files: list[Path] = []
    for number in range(count):
        first = number * SMALL_ROWS
        texts = [pool[(first + row) % len(pool)] for row in range(SMALL_ROWS)] if pool else ()
        texts = texts or trial.corpus.texts(SMALL_ROWS, start=20 + first)
        files.append(write_csv(trial.path(f"small.{number}.csv"), texts))
    return arrive(db, others, files, times(count, window_s * count / SMALL_JOBS, trial.seed), trial.seed)


def _report(group: Group, arrivals: Sequence[Arrival]) -> None:
    started_ = Figure.of(arrival.started for arrival in arrivals)
    over = Figure.of(arrival.over for arrival in arrivals)
    group.add("start_median_s", "until a job starts, median", started_, "s")
    group.add("start_p95_s", "95 of 100 start within", Figure.of([started_.quantile(0.95)]), "s", at_most(5))
    group.add("start_p99_s", "99 of 100 start within", Figure.of([started_.quantile(0.99)]), "s", at_most(10))
    group.add("over_median_s", "until it is labelled, median", over, "s")
    group.add("over_p95_s", "95 of 100 are labelled within", Figure.of([over.quantile(0.95)]), "s")
    group.notes.append(f"{len(arrivals)} small jobs")


def _labelled_in(db: Database, accounts: Sequence[Tenant], seconds: float, *, at_work: int) -> list[float]:
    """Rows that each account got labelled in so many seconds, from when chunks of all are there to be claimed."""
    until = time.monotonic() + 300
    while len(_begun(db)) < at_work:
        if time.monotonic() > until:
            raise TimeoutError("Some account's rows were never cut.")
        time.sleep(0.1)
    before = _rows(db)
    time.sleep(seconds)
    after = _rows(db)
    return [float(after[tenant.account_id] - before.get(tenant.account_id, 0)) for tenant in accounts]


def _begun(db: Database) -> list[uuid.UUID]:
    with db.transaction() as session:
        return list(
            session.scalars(text("SELECT DISTINCT account_id FROM job WHERE rows_ok > 0 AND state <> 'completed'"))
        )


def _rows(db: Database) -> dict[uuid.UUID, int]:
    with db.transaction() as session:
        return {
            row.account_id: row.n
            for row in session.execute(text("SELECT account_id, sum(rows_ok) AS n FROM job GROUP BY 1"))
        }


def _long_texts(trial: Trial, count: int) -> list[str]:
    """Distinct texts of about 200 tokens: sentences of the corpus, one after the other."""
    words: list[str] = []
    found: list[str] = []
    place = 0
    while len(found) < count:
        while len(words) < WORDS_OF_200_TOKENS:
            words += trial.corpus.texts(1, start=place)[0].split()
            place += 1
        found.append(" ".join(words[:WORDS_OF_200_TOKENS]))
        words = words[WORDS_OF_200_TOKENS:]
    return found


PARTS = {"label": beside_a_million_rows, "cut": while_cutting, "model": with_the_model, "shares": shares}

if __name__ == "__main__":
    sys.exit(single.run("fairness", "How long small jobs wait for big ones, and how evenly accounts share.", PARTS))
