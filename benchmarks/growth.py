"""(d) A million rows with a model that costs nothing: does a row cost the same at the end as at the start?"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import write_rows_of_99_bytes
from benchmarks.course import Course, follow
from benchmarks.group import Group, at_least, at_most
from benchmarks.interleaved import Figure
from benchmarks.memory import MEGABYTE, MemoryWatch
from benchmarks.plan import Plan
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, cores_of_machine, started

ROWS = 1_000_000
LIMITS_MB = {"web": 200}

HOW = (
    "Jobs of rows of 99 bytes, one after the other, on a stack whose engine is the null engine, so that only our own "
    "machinery is seen. Marginal seconds per row come from the job's progress, asked ten times a second. Resident "
    "memory is that of the largest process of each kind, sampled twice a second during upload, labelling and (first "
    "job) download; the worker's child cuts, classifies and commits, and some 85 MB of it are the language detector's. "
    "The first job's labelled file is compared with the upload, cell by cell. Then the same jobs with a worker "
    "that has a child for each core."
)


@dataclass(frozen=True)
class Seen:
    """One job: its course, and the memory of the stack meanwhile."""

    course: Course
    memory: MemoryWatch


def measure(plan: Plan) -> Group:
    """A job a round on one stack; then on one with a worker's child for each core."""
    group = Group("d", "Growth: a million rows with the null model", HOW)
    rows = plan.size(ROWS, 10_000)
    source = write_rows_of_99_bytes(plan.path("d.csv"), rows)
    children = len(cores_of_machine())
    seen = _jobs(plan, source, rows, {})
    courses = [one.course for one in seen]
    last_over_first = Figure.of(course.growth() for course in courses)
    group.add("growth", "time per row, last tenth over second tenth", last_over_first, "×", at_most(1.1))
    halves = [growth for course in courses if (growth := course.growth_after_cutting()) is not None]
    if halves:
        group.add("growth_after_cutting", "the same, halves of what was left after cutting", Figure.of(halves), "×")
    goal = at_least(20_000)
    single = Figure.of(course.rows / course.seconds for course in courses)
    group.add("rows_per_s", "accepted to over, 1 child", single, "rows/s", goal if children == 1 else None)
    if children > 1:
        many = [one.course for one in _jobs(plan, source, rows, {"EMOBATCH_WORKER_SLOTS": str(children)})]
        all_cores = Figure.of(course.rows / course.seconds for course in many)
        group.add("rows_per_s_all_cores", f"accepted to over, {children} children", all_cores, "rows/s", goal)
    cut = Figure.of(course.rows / course.cut_after for course in courses)
    group.add("cut_rows_per_s", "until cut into chunks, labelling meanwhile", cut, "rows/s")
    _memory(group, [one.memory for one in seen])
    group.notes.append(f"{rows:,} rows, {source.stat().st_size / MEGABYTE:.0f} MB; every cell as it was")
    group.series = {
        "rows_done": [[round(seconds, 2), done] for seconds, done in courses[-1].points],
        "resident_mb": [
            [round(seconds, 1), {kind: round(size / MEGABYTE, 1) for kind, size in found.items()}]
            for seconds, found in seen[0].memory.samples
        ],
    }
    return group


def compare(source: Path, labelled: Path) -> tuple[int, int]:
    """Rows of the labelled file, and how many of them differ from the source's cells or have no status."""
    rows = wrong = 0
    with source.open(newline="", encoding="utf-8") as one, labelled.open(newline="", encoding="utf-8") as other:
        olds, news = csv.reader(one), csv.reader(other)
        header, given = next(olds), next(news)
        status = given.index("row_status")
        wrong += given[: len(header)] != header
        for old, new in zip(olds, news, strict=True):
            rows += 1
            wrong += new[: len(old)] != old or not new[status]
    return rows, wrong


def _jobs(plan: Plan, source: Path, rows: int, environment: dict[str, str]) -> list[Seen]:
    """A job for each round on a stack of its own."""
    found = []
    target = plan.path("d.labelled.csv")
    with started(MEMORY_OFF | NULL_MODEL | environment, warm_with=plan.corpus.texts(100)) as running:
        for number in range(1, plan.rounds + 1):
            plan.say(f"(d) {rows:,} rows, job {number} of {plan.rounds} {' '.join(environment)}")
            with MemoryWatch(running) as memory:
                accepted = running.client.create_job(source, text_column="text")
                course = follow(running.client, accepted.id, rows)
                if number == 1:
                    running.client.download_to(accepted.id, target)
            if number == 1 and (found_rows := compare(source, target)) != (rows, 0):
                raise RuntimeError(f"The labelled file is wrong: (rows, wrong) = {found_rows}.")
            found.append(Seen(course, memory))
    return found


def _memory(group: Group, watches: Sequence[MemoryWatch]) -> None:
    for kind in watches[0].kinds:
        most = Figure.of(max(watch.series(kind)) / MEGABYTE for watch in watches)
        limit = LIMITS_MB.get(kind)
        goal = at_most(limit) if limit else None
        group.add(f"rss_{kind.replace(' ', '_')}", f"resident memory at most: {kind}", most, "MB", goal)
    late = Figure.of(watch.late_over_early("worker child") for watch in watches)
    group.add(
        "rss_worker_late_over_early", "worker child: last fifth of the time over second fifth", late, "×", at_most(1.05)
    )
