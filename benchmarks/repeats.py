"""(i) What the memory of texts saves on a file in which many rows say the same."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.corpus import with_repeats, write_csv
from benchmarks.group import Group
from benchmarks.interleaved import Figure, rounds
from benchmarks.plan import Plan
from benchmarks.stacks import MEMORY_OFF, LocalStack, Timing, started
from core.model_directory import find_model

ROWS = 12_000
SHARE = 0.4

HOW = (
    "Two stacks with the default model, one with the default memory of texts, one with none. In each round both label "
    "the same file, whose texts neither has met before; 40 % of its rows repeat an earlier row of the file, anywhere. "
    "From the accepted upload to the end of the job."
)


def measure(plan: Plan) -> Group:
    """Two stacks in turns; each round another file."""
    group = Group("i", "40 % repeated texts, memory on against off", HOW)
    rows = plan.size(ROWS)
    fresh = rows - round(rows * SHARE)
    plan.say(f"(i) {rows:,} rows, {plan.rounds} rounds")
    files = []
    for number in range(plan.rounds + 1):
        texts = with_repeats(plan.corpus.texts(fresh, start=number * fresh), rows, SHARE, seed=number)
        files.append(write_csv(plan.path(f"i.{number}.csv"), texts))
    warm = plan.corpus.texts(200, start=(plan.rounds + 1) * fresh)
    with ExitStack() as held:
        stacks = {
            "on": held.enter_context(started({}, warm_with=warm)),
            "off": held.enter_context(started(MEMORY_OFF, warm_with=warm)),
        }
        taken = dict.fromkeys(stacks, 0)

        def label(name: str, running: LocalStack) -> Timing:
            file = files[taken[name]]
            taken[name] += 1
            return running.label(file, plan.path("i.labelled.csv"))

        turns = {name: lambda name=name, running=running: label(name, running) for name, running in stacks.items()}
        found: dict[str, list[Timing]] = rounds(turns, plan.rounds, say=plan.say)
    on, off = (Figure.of(t.done - t.uploaded for t in found[name]) for name in ("on", "off"))
    group.add("repeats_ratio", "rows/s with memory over without", off.over(on), "×")
    group.add("memory_on_rows_per_s", "memory on", on.rate(rows), "rows/s")
    group.add("memory_off_rows_per_s", "memory off", off.rate(rows), "rows/s")
    group.notes.append(f"{rows:,} rows, {SHARE:.0%} of them repeat an earlier one; {find_model(None).name}")
    return group
