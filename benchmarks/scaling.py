"""(e) Two workers on a core each against one worker on one core."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.corpus import write_csv
from benchmarks.group import Group, at_least
from benchmarks.interleaved import Figure, rounds
from benchmarks.plan import Plan
from benchmarks.stacks import cores_of_machine, started
from core.model_directory import find_model

ROWS = 30_000

HOW = (
    "Two stacks with the default model and the memory of texts off: one lives on one core, with one worker; the other "
    "on two, with a worker kept on each. So Postgres, Redis and web share the workers' cores in both. The same file, "
    "from the accepted upload to the end of the job, in turns; the stack whose turn it is not stands idle."
)


def measure(plan: Plan) -> Group:
    """Needs two cores."""
    group = Group("e", "Two workers against one", HOW)
    cores = cores_of_machine()
    if len(cores) < 2:
        group.skipped = "this machine has one core"
        return group
    rows = plan.size(ROWS)
    source, target = write_csv(plan.path("e.csv"), plan.corpus.texts(rows)), plan.path("e.labelled.csv")
    warm = plan.corpus.texts(500)
    plan.say(f"(e) {rows:,} rows, {plan.rounds} rounds")
    with ExitStack() as held:
        one = held.enter_context(started(cores=cores[:1], warm_with=warm))
        two = held.enter_context(started(cores=cores[:2], worker_cores=cores[:2], warm_with=warm * 4))

        def seconds(running: object) -> float:
            timing = running.label(source, target)  # type: ignore[attr-defined]
            return timing.done - timing.uploaded

        found = rounds({"one": lambda: seconds(one), "two": lambda: seconds(two)}, plan.rounds, say=plan.say)
    single, double = Figure.of(found["one"]), Figure.of(found["two"])
    group.add("scaling", "rows/s of two over one", single.over(double), "×", at_least(1.9))
    group.add("one_worker_rows_per_s", "one worker, one core", single.rate(rows), "rows/s")
    group.add("two_workers_rows_per_s", "two workers, a core each", double.rate(rows), "rows/s")
    group.notes.append(f"{rows:,} rows; {find_model(None).name}")
    return group
