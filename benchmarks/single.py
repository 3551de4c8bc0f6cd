"""One command that measures one thing: its options, its table on the terminal, its JSON and Markdown in the results."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import machine, report
from benchmarks.corpus import Corpus, data_folder
from benchmarks.group import Group

RESULTS = Path(__file__).resolve().parent / "results"
WIDTH = 150
"""Of the table where there is no terminal."""


@dataclass(frozen=True)
class Trial:
    """One run of such a command.

    Attributes:
        seed: of everything random.
        scale: multiplies numbers of rows, jobs and seconds, to try the command itself.
        corpus: where texts come from.
        folder: an empty one, for files.
        say: takes a line of progress.
        minutes: how long it goes on, where that is for the caller to say.
    """

    seed: int
    scale: float
    corpus: Corpus
    folder: Path
    say: Callable[[str], None]
    minutes: float = 0.0

    def size(self, full: float, least: int = 1) -> int:
        """`full`, scaled, but at least `least`."""
        return max(least, round(full * self.scale))

    def path(self, name: str) -> Path:
        """A file of this run."""
        return self.folder / name


def run(
    name: str,
    described: str,
    parts: Mapping[str, Callable[[Trial], Group]],
    *,
    minutes: float | None = None,
) -> int:
    """Measures the parts, or those that ``--only`` names; 1 if one of them failed or missed a target.

    Args:
        name: of the command, ``python -m benchmarks.<name>``, and of its files in the results.
        described: what ``--help`` says.
        parts: by the word that ``--only`` knows them by.
        minutes: the default of ``--minutes``; None: there is no such option.
    """
    options = _options(name, described, list(parts), minutes)
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=True, highlight=False, width=WIDTH)
    began = time.monotonic()
    load = machine.load_average()
    groups = []
    with tempfile.TemporaryDirectory(prefix=f"emobatch-{name}") as folder:
        trial = Trial(
            seed=options.seed,
            scale=options.scale,
            corpus=Corpus(data_folder()),
            folder=Path(folder),
            say=lambda text: console.print(f"[dim]{time.monotonic() - began:6.0f} s[/] {text}"),
            minutes=getattr(options, "minutes", 0.0),
        )
        for part in options.only or parts:
            trial.say(f"({part}) begins")
            groups.append(_measured(part, parts[part], trial))
    facts = {
        "machine": machine.describe(),
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began),
        "load_average_before": load,
        "seed": options.seed,
        "scale": options.scale,
        "corpus": trial.corpus.source,
    }
    report.print_table(console, groups)
    report.write(options.out, facts, groups, name)
    console.print(f"{facts['seconds']} s. Results are in {os.path.relpath(options.out)}.")
    return 0 if all(_passed(group) for group in groups) else 1


def _measured(part: str, measure: Callable[[Trial], Group], trial: Trial) -> Group:
    """One part; what goes wrong in it costs no other part its figures."""
    began = time.monotonic()
    try:
        group = measure(trial)
    except Exception as error:
        trial.say(f"[bold red]({part}) failed[/]: {error}")
        return Group(part, measure.__name__, skipped=f"failed: {error}")
    group.notes.append(f"took {time.monotonic() - began:.0f} s")
    return group


def _passed(group: Group) -> bool:
    """Whether it was measured and every target is met; a part that cannot be measured here has not failed."""
    if group.skipped:
        return not group.skipped.startswith("failed")
    return all(line.target is None or line.target.met(line.figure.median) for line in group.lines)


def _options(name: str, described: str, parts: list[str], minutes: float | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=described.split("``")[0])
    if len(parts) > 1:
        parser.add_argument("--only", nargs="+", choices=parts, metavar="PART", help=f"of: {', '.join(parts)}")
    else:
        parser.set_defaults(only=None)
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies rows, jobs and seconds: for a trial")
    if minutes is not None:
        parser.add_argument("--minutes", type=float, default=minutes, help="how long (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help=f"for {name}.json and {name}.md")
    return parser.parse_args()
