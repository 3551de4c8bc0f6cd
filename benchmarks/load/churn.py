"""Jobs that come and go: do the tables keep the size of what is in them?"""

from __future__ import annotations

import time

from sqlalchemy import text

from benchmarks.accounts import ledger
from benchmarks.corpus import write_rows_of_99_bytes
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure
from benchmarks.memory import MEGABYTE
from benchmarks.single import Trial
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, started
from core.db import Database

ROWS, CYCLES = 200_000, 10
TABLES = ("job", "upload", "chunk", "result_chunk", "idempotency", "account")
PATIENCE_S = 120.0

HOW = (
    f"{CYCLES} times a job of {ROWS:,} rows of 99 bytes is made, labelled with the null engine, and deleted; the next "
    "one begins when nothing of it is left in the tables. Sizes are those with indexes and TOAST "
    "(pg_total_relation_size), taken when the job is done and before it is deleted."
)


def measure(trial: Trial) -> Group:
    """The tables' sizes after each cycle over those after the first."""
    group = Group("churn", "Tables after many jobs have come and gone", HOW)
    rows = trial.size(ROWS, 5_000)
    cycles = CYCLES if trial.scale >= 0.1 else 3
    source = write_rows_of_99_bytes(trial.path("churn.csv"), rows)
    sizes: list[dict[str, int]] = []
    cycle_s: list[float] = []
    warm = trial.corpus.texts(20)
    with started(MEMORY_OFF | NULL_MODEL, warm_with=warm) as stack, ledger(stack) as db:
        for number in range(1, cycles + 1):
            began = time.perf_counter()
            job = stack.client.create_job(source, text_column="text")
            stack.client.wait(job.id, timeout_s=600)
            sizes.append(_sizes(db))
            stack.client.delete(job.id)
            _wait_until_gone(db, job.id)
            cycle_s.append(time.perf_counter() - began)
            total = sum(sizes[-1].values()) / MEGABYTE
            trial.say(f"(churn) cycle {number} of {cycles}: {total:.0f} MB, {cycle_s[-1]:.0f} s")
    first, last = (sum(found.values()) for found in (sizes[0], sizes[-1]))
    highest = max(sum(found.values()) for found in sizes)
    group.add("first_mb", "all tables in the first cycle", Figure.of([first / MEGABYTE]), "MB")
    group.add("last_mb", "all tables in the last cycle", Figure.of([last / MEGABYTE]), "MB")
    group.add("growth", "highest over first", Figure.of([highest / first]), "×", at_most(1.5))
    for table in TABLES:
        if sizes[0][table] > MEGABYTE:
            grown = max(found[table] for found in sizes) / sizes[0][table]
            group.add(f"growth_{table}", f"of it {table}", Figure.of([grown]), "×", at_most(1.5))
    group.add("cycle_s", "a cycle", Figure.of(cycle_s), "s")
    group.notes.append(f"{cycles} cycles of {rows:,} rows")
    return group


def _sizes(db: Database) -> dict[str, int]:
    with db.transaction() as session:
        return {
            table: session.execute(text("SELECT pg_total_relation_size(:name)"), {"name": table}).scalar_one()
            for table in TABLES
        }


def _wait_until_gone(db: Database, job_id: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        with db.transaction() as session:
            left = session.execute(
                text("""
                SELECT (SELECT count(*) FROM job WHERE id = :id)
                    + (SELECT count(*) FROM result_chunk WHERE job_id = :id)
                """),
                {"id": job_id},
            ).scalar_one()
        if not left:
            return
        if time.monotonic() > until:
            raise TimeoutError("A deleted job was not removed.")
        time.sleep(0.2)
