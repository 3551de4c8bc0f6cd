"""(c) What the whole program costs beside its engine: upload to complete download against scoring alone."""

from __future__ import annotations

from benchmarks.corpus import write_csv
from benchmarks.group import Group, Target, at_least
from benchmarks.interleaved import Figure, rounds
from benchmarks.ours import Ours
from benchmarks.plan import EXACT, PRECISION, Plan, mark_of
from benchmarks.remote import Remote
from benchmarks.stacks import MEMORY_OFF, Timing, started
from core.model_directory import find_model

ROWS = 30_000
QUICK_SECONDS = 6.0
WARM = 500

HOW = (
    "A warm local stack with its default settings and model, the memory of texts off. One client uploads a CSV of "
    "distinct texts, waits, and downloads the labelled CSV; the same texts are scored by the engine alone in another "
    "process, in turns. Share = engine alone over end to end, round by round. The idle stack runs on meanwhile; "
    "where the default precision is not float32 here, all of it comes once more in float32."
)


def measure(plan: Plan) -> Group:
    """One file, one job at a time."""
    group = Group("c", "End to end against the engine alone", HOW)
    name = _one(plan, group, PRECISION)
    if EXACT not in name and not plan.quick:
        _one(plan, group, EXACT)
    return group


def _one(plan: Plan, group: Group, precision: str) -> str:
    """Measures in one precision; returns the name of the runtime that it led to."""
    model = find_model(None).name
    environment = MEMORY_OFF | {"EMOBATCH_PRECISION": precision}
    with (
        Remote(Ours, model, precision) as ours,
        started(environment, warm_with=plan.corpus.texts(WARM)) as running,
    ):
        name: str = ours.call("setup").name
        rows = _quick_rows(plan, ours) if plan.quick else plan.size(ROWS)
        texts = plan.corpus.texts(rows)
        source, target = write_csv(plan.path("c.csv"), texts), plan.path("c.labelled.csv")
        plan.say(f"(c) {rows:,} rows through the stack, {name}, {plan.rounds} rounds")
        spent: list[dict[str, float]] = []

        def whole() -> Timing:
            before = running.cpu_seconds()
            timing = running.label(source, target)
            after = running.cpu_seconds()
            spent.append({kind: after[kind] - before.get(kind, 0.0) for kind in after})
            return timing

        idle: list[float] = []

        def alone() -> float:
            before = sum(running.cpu_seconds().values())
            seconds, _ = ours.call("score", texts)
            idle.append((sum(running.cpu_seconds().values()) - before) / seconds)
            return seconds

        found = rounds({"whole": whole, "alone": alone}, plan.rounds, say=plan.say)
    timings: list[Timing] = found["whole"]  # type: ignore[assignment]
    whole_s = Figure.of(timing.downloaded for timing in timings)
    alone_s = Figure.of(found["alone"])  # type: ignore[arg-type]
    prefix, mark = mark_of(precision)

    def add(key: str, what: str, figure: Figure, unit: str, goal: Target | None = None) -> None:
        group.add(f"{prefix}{key}", f"{mark}{what}", figure, unit, goal)

    add("end_to_end_share", "engine alone over end to end", alone_s.over(whole_s), "share", at_least(0.95))
    add("engine_rows_per_s", "engine alone", alone_s.rate(rows), "rows/s")
    add("end_to_end_rows_per_s", "upload to complete download", whole_s.rate(rows), "rows/s")
    add("upload_s", "of it the upload", Figure.of(t.uploaded for t in timings), "s")
    add("wait_s", "of it until the job was over", Figure.of(t.done - t.uploaded for t in timings), "s")
    add("download_s", "of it the download", Figure.of(t.downloaded - t.done for t in timings), "s")
    for kind in sorted(spent[-1]):
        cpu = Figure.of(1e6 * one.get(kind, 0.0) / rows for one in spent[-plan.rounds :])
        add(f"cpu_{kind.replace(' ', '_')}", f"processor time: {kind}", cpu, "µs/row")
    group.notes.append(
        f"{rows:,} rows; {model}, {name}; beside the engine alone, the idle stack used "
        f"{Figure.of(idle[-plan.rounds :]).median:.1%} of one core"
    )
    return name


def _quick_rows(plan: Plan, ours: Remote) -> int:
    """As many rows as the engine scores in a few seconds."""
    sample = plan.corpus.texts(plan.size(2_000))
    seconds, _ = ours.call("score", sample)
    return plan.size(min(ROWS, int(round(QUICK_SECONDS * len(sample) / seconds, -2))))
