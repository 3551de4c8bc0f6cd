"""(f) A hundred rows on a warm stack: how long until the labelled file is there."""

from __future__ import annotations

from benchmarks.corpus import write_csv
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure
from benchmarks.plan import Plan
from benchmarks.stacks import Timing, started
from core.model_directory import find_model

ROWS = 100
JOBS = 40

HOW = (
    "A warm stack with its default settings and model; one job after the other, each of 100 texts that the stack has "
    "not met before. From the beginning of the upload to the last byte of the download, with the Python client and "
    "its polling."
)


def measure(plan: Plan) -> Group:
    """One client, no other work."""
    group = Group("f", "Small jobs: 100 rows on a warm stack", HOW)
    jobs = max(30, 8 * plan.rounds) if plan.scale >= 1 else max(2, round(JOBS * plan.scale))
    plan.say(f"(f) {jobs} jobs of {ROWS} rows")
    with started({}, warm_with=plan.corpus.texts(ROWS)) as running:
        timings: list[Timing] = []
        for number in range(1, jobs + 1):
            source = write_csv(plan.path("f.csv"), plan.corpus.texts(ROWS, start=number * ROWS))
            timings.append(running.label(source, plan.path("f.labelled.csv")))
    seconds = Figure.of(timing.downloaded for timing in timings)
    group.add("small_job_s", "upload to complete download, median", seconds, "s", at_most(1.0))
    group.add("small_job_p95_s", "the same, 95 of 100 jobs are faster", Figure.of([seconds.quantile(0.95)]), "s")
    group.add("upload_s", "of it the upload", Figure.of(t.uploaded for t in timings), "s")
    group.add("wait_s", "of it until the job was over", Figure.of(t.done - t.uploaded for t in timings), "s")
    group.add("download_s", "of it the download", Figure.of(t.downloaded - t.done for t in timings), "s")
    group.notes.append(f"{jobs} jobs; {find_model(None).name}")
    return group
