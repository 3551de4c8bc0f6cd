"""Five hundred clients that ask for a job's status once a second, as the Python client and the page do."""

from __future__ import annotations

from benchmarks.accounts import tenants
from benchmarks.corpus import write_csv, write_rows_of_99_bytes
from benchmarks.group import Group, at_least, at_most
from benchmarks.interleaved import Figure
from benchmarks.load.generator import Generator, Seen, Target
from benchmarks.remote import Remote
from benchmarks.single import Trial
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, cores_of_machine, started
from worker.engine.null import ROWS_PER_S

POLLERS, ACCOUNTS = 500, 25
SECONDS = 120.0
SPEED = 500

HOW = (
    f"{POLLERS} clients of {ACCOUNTS} accounts ask once a second for a job's status, with the last answer's ETag; half "
    f"of the jobs are over, half are running at {SPEED} rows/s with the null engine. The time is that from when a "
    "request was due until its answer was read. Web has a process a core; the clients are one process on one core."
)


def measure(trial: Trial) -> Group:
    """Latency of the status, and how many answers were wrong."""
    group = Group("poll", "Status asked by many at once", HOW)
    pollers = trial.size(POLLERS, 10)
    seconds = max(10.0, SECONDS * trial.scale)
    processes = {"EMOBATCH_WEB_PROCESSES": str(len(cores_of_machine()))}
    environment = MEMORY_OFF | NULL_MODEL | {ROWS_PER_S: str(SPEED)} | processes
    small = write_csv(trial.path("small.csv"), trial.corpus.texts(10))
    long = write_rows_of_99_bytes(trial.path("long.csv"), trial.size(100_000, 5_000))
    with started(environment, warm_with=trial.corpus.texts(20)) as stack, tenants(stack, ACCOUNTS) as accounts:
        targets = []
        for tenant in accounts:
            over = tenant.client.create_job(small, text_column="text").id
            tenant.client.wait(over, timeout_s=120)
            targets.append(Target(f"/api/v1/jobs/{over}", tenant.key))
        for tenant in accounts:
            targets.append(Target(f"/api/v1/jobs/{tenant.client.create_job(long, text_column='text').id}", tenant.key))
        everybody = [targets[number % len(targets)] for number in range(pollers)]
        before = stack.cpu_seconds()
        with Remote(Generator, stack.client.url, trial.seed, cores=cores_of_machine()[-1:]) as generator:
            seen: Seen = generator.call("poll", everybody, seconds, 1.0)
        spent = {kind: after - before.get(kind, 0.0) for kind, after in stack.cpu_seconds().items()}
    times = Figure.of(seen.seconds)
    good = sum(seen.statuses[status] for status in (200, 304))
    group.add("status_median_ms", "until the status is there, median", Figure.of([1000 * times.median]), "ms")
    group.add(
        "status_p95_ms", "95 of 100 are there within", Figure.of([1000 * times.quantile(0.95)]), "ms", at_most(100)
    )
    group.add("status_p99_ms", "99 of 100 are there within", Figure.of([1000 * times.quantile(0.99)]), "ms")
    group.add("answers_per_s", "answers", Figure.of([len(times.values) / seconds]), "1/s")
    group.add("good", "of them 200 or 304", Figure.of([good / len(times.values)]), "", at_least(1))
    group.notes.append(f"answers by status: {dict(seen.statuses)}")
    group.notes.append(
        "processor time: " + ", ".join(f"{kind} {value / seconds:.2f} cores" for kind, value in sorted(spent.items()))
    )
    return group
