"""(e) Two workers on a core each against one worker on one core."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.corpus import write_csv
from benchmarks.group import Group, at_least
from benchmarks.interleaved import Figure, rounds
from benchmarks.plan import EXACT, PRECISION, Plan, mark_of
from benchmarks.stacks import MEMORY_OFF, LocalStack, cores_of_machine, started
from core.model_directory import find_model
from worker.engine.openvino_runtime import has_bfloat16

ROWS = 30_000

HOW = (
    "Two stacks with the default model and the memory of texts off: one lives on one core, with one worker; the other "
    "on two, with a worker kept on each. So Postgres, Redis and web share the workers' cores in both. The same file, "
    "from the accepted upload to the end of the job, in turns; the stack whose turn it is not stands idle. Once in the "
    "default precision, and once in float32 where that is another."
)


def measure(plan: Plan) -> Group:
    """Needs two cores."""
    group = Group("e", "Two workers against one", HOW)
    cores = cores_of_machine()
    if len(cores) < 2:
        group.skipped = "this machine has one core"
        return group
    rows = plan.size(ROWS)
    source = write_csv(plan.path("e.csv"), plan.corpus.texts(rows))
    for precision in dict.fromkeys((PRECISION, EXACT)) if has_bfloat16() else (PRECISION,):
        plan.say(f"(e) {rows:,} rows, precision {precision}, {plan.rounds} rounds")
        _one(plan, group, source, rows, precision, cores)
    group.notes.append(f"{rows:,} rows; {find_model(None).name}")
    return group


def _one(plan: Plan, group: Group, source: Path, rows: int, precision: str, cores: list[int]) -> None:
    target, warm = plan.path("e.labelled.csv"), plan.corpus.texts(500)
    environment = MEMORY_OFF | {"EMOBATCH_PRECISION": precision}
    with ExitStack() as held:
        one = held.enter_context(started(environment, cores=cores[:1], warm_with=warm))
        two = held.enter_context(started(environment, cores=cores[:2], worker_cores=cores[:2], warm_with=warm * 4))

        def seconds(running: LocalStack) -> float:
            timing = running.label(source, target)
            return timing.done - timing.uploaded

        found = rounds({"one": lambda: seconds(one), "two": lambda: seconds(two)}, plan.rounds, say=plan.say)
    single, double = Figure.of(found["one"]), Figure.of(found["two"])
    prefix, mark = mark_of(precision)
    group.add(f"{prefix}scaling", f"{mark}rows/s of two over one", single.over(double), "×", at_least(1.9))
    group.add(f"{prefix}one_worker_rows_per_s", f"{mark}one worker, one core", single.rate(rows), "rows/s")
    group.add(f"{prefix}two_workers_rows_per_s", f"{mark}two workers, a core each", double.rate(rows), "rows/s")
