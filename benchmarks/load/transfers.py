"""Slow senders and slow readers: do they get in the way of everybody else, of memory, of vacuum?"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from benchmarks.accounts import ledger, tenants
from benchmarks.background import Background
from benchmarks.corpus import write_rows_of_99_bytes
from benchmarks.group import Group, at_least, at_most
from benchmarks.interleaved import Figure
from benchmarks.load.generator import Generator, Seen, Target
from benchmarks.memory import MEGABYTE, MemoryWatch
from benchmarks.remote import Remote
from benchmarks.single import Trial
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, cores_of_machine, started
from core.db import Database

TRANSFERS = 20
SECONDS = 240.0
BYTES_PER_S = 250_000
UPLOAD_BYTES = 10_000_000
ROWS = 300_000

HOW = (
    f"{TRANSFERS} downloads of a labelled file of {ROWS:,} rows and {TRANSFERS} uploads of {UPLOAD_BYTES // MEGABYTE} "
    f"MB, all at once, each at about {BYTES_PER_S // 1000} kB/s, begun again when they end, for {SECONDS:.0f} s. "
    "Meanwhile another account asks other routes in turns, ten times a second. The generators are one process on one "
    "core. A snapshot is held while a transaction of a backend has one (pg_stat_activity: backend_xmin, xact_start), "
    "looked at twice a second."
)


class Snapshots(Background):
    """The longest time that a client of Postgres held a snapshot, for the length of a ``with`` block."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        self._db = db
        self.longest_s = 0.0

    def _run(self) -> None:
        while not self._over.wait(0.5):
            with self._db.transaction() as session:
                held = session.execute(
                    text("""
                    SELECT max(extract(epoch FROM clock_timestamp() - xact_start))::float FROM pg_stat_activity
                    WHERE backend_xmin IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid()
                    """)
                ).scalar_one()
            self.longest_s = max(self.longest_s, held or 0.0)


def measure(trial: Trial) -> Group:
    """Other routes' latency, web's memory and snapshots, beside slow transfers."""
    group = Group("transfers", "Beside slow downloads and uploads", HOW)
    seconds = max(20.0, SECONDS * trial.scale)
    count = TRANSFERS if trial.scale >= 0.1 else trial.size(TRANSFERS, 2)
    rows = trial.size(ROWS, 10_000)
    source = write_rows_of_99_bytes(trial.path("big.csv"), rows)
    warm = trial.corpus.texts(20)
    environment = MEMORY_OFF | NULL_MODEL | {"EMOBATCH_MAX_ACTIVE_JOBS": "1000"}
    with started(environment, warm_with=warm) as stack, ledger(stack) as db, tenants(stack, 2) as (slow, other):
        big = slow.client.create_job(source, text_column="text").id
        slow.client.wait(big, timeout_s=600)
        own = other.client.create_job(source, text_column="text").id
        other.client.wait(own, timeout_s=600)
        download = Target(f"/api/v1/jobs/{big}/results.csv", slow.key)
        upload = Target("/api/v1/jobs?text_column=text", slow.key)
        routes = [f"/api/v1/jobs/{own}", "/api/v1/jobs?limit=20", f"/api/v1/jobs/{own}/rows?limit=25"]
        routes += [f"/api/v1/jobs/{own}/summary", "/api/v1/ready"]
        cores = cores_of_machine()[-1:]
        with (
            Remote(Generator, stack.client.url, trial.seed, cores=cores) as transfers,
            Remote(Generator, stack.client.url, trial.seed, cores=cores) as asking,
            ThreadPoolExecutor(1) as pool,
            MemoryWatch(stack) as memory,
            Snapshots(db) as snapshots,
        ):
            asked = (download, upload, UPLOAD_BYTES, count, BYTES_PER_S, seconds)
            running = pool.submit(transfers.call, "transfers", *asked)
            time.sleep(3.0)
            targets = [Target(route, other.key) for route in routes]
            seen: Seen = asking.call("poll", targets, seconds - 5.0, len(routes) / 10)
            moved: dict[str, Seen] = running.result()
    times = Figure.of(1000 * value for value in seen.seconds)
    group.add("other_median_ms", "other routes, median", Figure.of([times.median]), "ms")
    group.add(
        "other_p95_ms", "95 of 100 answers are there within", Figure.of([times.quantile(0.95)]), "ms", at_most(200)
    )
    group.add("good", "share of good answers", Figure.of([_good(seen)]), "", at_least(1))
    for kind, one in moved.items():
        group.add(f"good_{kind}", f"share of good {kind}s", Figure.of([_good(one)]), "", at_least(1))
        group.notes.append(f"{len(one.seconds)} {kind}s, by status: {dict(one.statuses)}")
    most = max(memory.series("web")) / MEGABYTE
    group.add("web_mb", "web's resident memory at most", Figure.of([most]), "MB")
    growth = Figure.of([memory.late_over_early("web")])
    group.add("web_growth", "web: last fifth of the time over second fifth", growth, "×", at_most(1.1))
    group.add("snapshot_s", "longest snapshot held", Figure.of([snapshots.longest_s]), "s", at_most(60))
    group.notes.append(f"{count} downloads and {count} uploads at once")
    return group


def _good(seen: Seen) -> float:
    return sum(n for status, n in seen.statuses.items() if 200 <= status < 400) / max(1, seen.statuses.total())
