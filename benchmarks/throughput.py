"""(a) Rows a second from a CSV to a labelled CSV: our engine against what a user would write today."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.corpus import write_csv
from benchmarks.group import Group, at_least
from benchmarks.interleaved import Figure, rounds
from benchmarks.labelled import agreement
from benchmarks.ours import Ours
from benchmarks.plan import EXACT, PRECISION, Plan
from benchmarks.remote import Remote
from benchmarks.rivals import Pipeline, RayData
from core.model_directory import directory_called
from worker.engine import available_cores

BATCH = 32
"""What the pipeline's documentation and most code of users say."""
BATCHES = (1, 8, 16, 32, 64, 128)
CALIBRATION = 256
"""Rows on which the rivals' settings are chosen."""
SECONDS, SECONDS_QUICK = 15.0, 4.0
"""Of the pipeline at the usual batch size: so many rows are taken."""

HOW = (
    "From a CSV (id, text) to a labelled CSV, wall time. Each contestant lives in a process of its own with the model "
    "loaded and warm; Ray starts afresh each time, and its clock starts when its workers have loaded the model. All "
    "use all cores. Texts are distinct, the memory of texts is off. Our engine computes in its default precision, and "
    "where that is not float32 here once more in that. Ratios are those of each round. Agreement is the share of rows "
    "whose top label in the default taxonomy is ours; the rivals' is taken from their own float32 logits."
)


def measure(plan: Plan) -> Group:
    """Runs the contestants in turns."""
    group = Group("a", "From CSV to labelled CSV, same weights, same rows", HOW)
    with ExitStack() as held:

        def hire(*arguments: object) -> Remote:
            factory, *rest = arguments
            return held.enter_context(Remote(factory, *rest))  # type: ignore[arg-type]

        pipeline, ours = hire(Pipeline, plan.model), hire(Ours, plan.model, PRECISION)
        best, rate = _best_batch(plan, pipeline)
        rows = plan.rows or max(100, round(rate * (SECONDS_QUICK if plan.quick else SECONDS), -2))
        texts = plan.corpus.texts(int(rows))
        source = write_csv(plan.path("a.csv"), texts)
        runs: dict[str, Callable[[Path], float]] = {
            "engine": lambda target: ours.call("label", str(source), str(target)),
            "pipeline_32": lambda target: pipeline.call("label", str(source), str(target), BATCH),
            "pipeline_best": lambda target: pipeline.call("label", str(source), str(target), best),
        }
        names = {
            "engine": "emobatch's engine",
            "pipeline_32": f"transformers pipeline, batch {BATCH}",
            "pipeline_best": f"transformers pipeline, its best batch ({best})",
        }
        if EXACT not in ours.call("setup").name:
            exact = hire(Ours, plan.model, EXACT)
            runs["exact"] = lambda target: exact.call("label", str(source), str(target))
            names["exact"] = f"emobatch's engine, {exact.call('setup').name}"
        if directory_called(plan.student):
            student = hire(Ours, plan.student, PRECISION)
            runs["student"] = lambda target: student.call("label", str(source), str(target))
            names["student"] = f"emobatch's engine, {plan.student}"
            group.notes.append(f"student: {plan.student}, {student.call('setup').name}")
        else:
            group.notes.append(f"No student: there is no model directory called {plan.student}.")
        if not plan.quick:
            half = hire(Pipeline, plan.model, "bfloat16")
            runs["pipeline_bf16"] = lambda target: half.call("label", str(source), str(target), BATCH)
            names["pipeline_bf16"] = f"transformers pipeline in bfloat16, batch {BATCH}"
            ray, workers = hire(RayData, plan.model, available_cores()), _best_workers(plan, hire, best)
            runs["ray"] = lambda target: ray.call("label", str(source), str(target), best, workers)
            names["ray"] = f"Ray Data around the pipeline, batch {best}, {workers} workers"

        targets = {key: plan.path(f"a.{key}.csv") for key in runs}
        plan.say(f"(a) {len(texts):,} rows, {plan.rounds} rounds")
        turns = {key: lambda key=key: runs[key](targets[key]) for key in runs}
        seconds = {key: Figure.of(found) for key, found in rounds(turns, plan.rounds, say=plan.say).items()}
        group.notes.insert(0, f"{len(texts):,} rows; {plan.corpus.source}; engine: {ours.call('setup').name}")
    return _report(group, names, seconds, targets, len(texts))


def _report(
    group: Group, names: dict[str, str], seconds: dict[str, Figure], targets: dict[str, Path], rows: int
) -> Group:
    goals = {"pipeline_32": at_least(3.1), "pipeline_best": at_least(2.5)}
    ratios = {"pipeline_32": "same_weights_ratio", "pipeline_best": "best_batch_ratio"}
    for key, name in names.items():
        group.add(f"{key}_rows_per_s", name, seconds[key].rate(rows), "rows/s")
    rivals = [key for key in names if key not in ("engine", "student", "exact")]
    for key in rivals:
        ratio = seconds[key].over(seconds["engine"])
        group.add(ratios.get(key, f"{key}_ratio"), f"engine over {names[key]}", ratio, "×", goals.get(key))
    if "exact" in seconds:
        ratio = seconds["pipeline_32"].over(seconds["exact"])
        group.add("exact_ratio", f"{names['exact']} over {names['pipeline_32']}", ratio, "×")
    if "student" in seconds:
        ratio = seconds["pipeline_32"].over(seconds["student"])
        group.add("student_ratio", f"student over {names['pipeline_32']} (six layers)", ratio, "×", at_least(7))
    for key in [*rivals, *(["exact"] if "exact" in names else [])]:
        share = agreement(targets["engine"], targets[key])
        goal = at_least(0.999) if key in goals else None
        name = "label_agreement" if key == "pipeline_32" else f"{key}_agreement"
        group.add(name, f"same top label as {names[key]}", Figure.of([share]), "share", goal)
    return group


def _best_batch(plan: Plan, pipeline: Remote) -> tuple[int, float]:
    """The batch size with which the pipeline is fastest, and its rows/s at the usual one."""
    texts = plan.corpus.texts(CALIBRATION // 2 if plan.quick else plan.size(CALIBRATION))
    source, target = write_csv(plan.path("calibration.csv"), texts), plan.path("calibration.out.csv")
    plan.say(f"(a) choosing the pipeline's batch size on {len(texts)} rows")
    turns = {size: lambda size=size: pipeline.call("label", str(source), str(target), size) for size in BATCHES}
    found = rounds({str(size): turn for size, turn in turns.items()}, 2, warm_up=0)
    fastest = {int(size): min(seconds) for size, seconds in found.items()}
    best = min(fastest, key=lambda size: fastest[size])
    plan.say(", ".join(f"{size}: {len(texts) / seconds:.0f} rows/s" for size, seconds in fastest.items()))
    return best, len(texts) / fastest[BATCH]


def _best_workers(plan: Plan, hire: Callable[..., Remote], batch: int) -> int:
    """One Ray worker on all cores, or one for each core: whichever is faster."""
    cores = available_cores()
    if cores == 1:
        return 1
    texts = plan.corpus.texts(plan.size(4 * CALIBRATION))
    source, target = write_csv(plan.path("ray.csv"), texts), plan.path("ray.parts")
    ray = hire(RayData, plan.model, cores)
    plan.say(f"(a) choosing Ray's workers on {len(texts)} rows")
    seconds = {workers: ray.call("label", str(source), str(target), batch, workers) for workers in (1, cores)}
    plan.say(", ".join(f"{workers} workers: {len(texts) / s:.0f} rows/s" for workers, s in seconds.items()))
    return min(seconds, key=lambda workers: seconds[workers])
