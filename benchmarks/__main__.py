"""The command line: ``python -m benchmarks`` measures everything, ``--quick`` the short form, ``--only`` some of it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import (
    cold_start,
    csv_speed,
    end_to_end,
    growth,
    limit,
    machine,
    plot,
    repeats,
    report,
    scaling,
    small_jobs,
    throughput,
)
from benchmarks.corpus import Corpus, data_folder
from benchmarks.group import Group
from benchmarks.plan import SIX_LAYERS, Plan, default_student

GROUPS: dict[str, Callable[[Plan], Group]] = {
    "a": throughput.measure,
    "b": limit.measure,
    "c": end_to_end.measure,
    "d": growth.measure,
    "e": scaling.measure,
    "f": small_jobs.measure,
    "g": csv_speed.measure,
    "h": cold_start.measure,
    "i": repeats.measure,
}
QUICK = ("a", "b", "c")
ROUNDS, QUICK_ROUNDS = 5, 3
WIDTH = 150
"""Of the table where there is no terminal."""
RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    """Measures, and says so on stderr; with --quick, one line of JSON on stdout."""
    options = _options()
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=True, highlight=False, width=WIDTH)
    letters = options.only or (QUICK if options.quick else tuple(GROUPS))
    began = time.monotonic()
    load = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="emobatch-bench") as folder:
        plan = Plan(
            model=options.model,
            student=options.student or default_student(options.model),
            rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
            quick=options.quick,
            rows=options.rows,
            scale=options.scale,
            corpus=Corpus(data_folder()),
            folder=Path(folder),
            say=lambda text: console.print(f"[dim]{time.monotonic() - began:6.0f} s[/] {text}"),
        )
        groups = [_measure(letter, plan) for letter in letters]
        facts = {
            "machine": machine.describe(),
            "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - began),
            "load_average_before": load,
            "rounds": plan.rounds,
            "corpus": plan.corpus.source,
        }
    report.print_table(console, groups)
    report.write(options.out, facts, groups)
    plot.draw(groups, facts, options.out / "results.svg")
    failed = [group for group in groups if group.skipped.startswith("failed")]
    console.print(f"{facts['seconds']} s. Results are in {os.path.relpath(options.out)}.")
    if options.quick:
        print(report.quick_line(groups))
    return 1 if failed else 0


def _measure(letter: str, plan: Plan) -> Group:
    """One group; what goes wrong in it costs no other group its figures."""
    began = time.monotonic()
    try:
        group = GROUPS[letter](plan)
    except Exception as error:
        plan.say(f"[bold red]({letter}) failed[/]: {error}")
        return Group(letter, GROUPS[letter].__module__.rpartition(".")[2], skipped=f"failed: {error}")
    group.notes.append(f"{plan.rounds} rounds; took {time.monotonic() - began:.0f} s")
    return group


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("``")[0])
    parser.add_argument("--only", type=_letters, metavar="a,b", help="groups to measure, of a to i")
    parser.add_argument("--quick", action="store_true", help="the short form: a, b, c; one line of JSON on stdout")
    parser.add_argument("--rounds", type=int, default=0, help=f"default: {ROUNDS}, quick {QUICK_ROUNDS}")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help="for results.json, .md and .svg")
    parser.add_argument("--model", default=SIX_LAYERS, help="what rivals and engine both run (default: %(default)s)")
    parser.add_argument("--student", help="the default model, run by the engine alone (default: the shipped default)")
    parser.add_argument(
        "--rows", type=int, default=0, help="of (a) and (b); default: measured, some 15 s of the slowest"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all other numbers of rows: for a trial")
    return parser.parse_args()


def _letters(text: str) -> tuple[str, ...]:
    letters = tuple(letter.strip() for letter in text.split(","))
    if unknown := [letter for letter in letters if letter not in GROUPS]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; choose from {', '.join(GROUPS)}")
    return letters


if __name__ == "__main__":
    sys.exit(main())
