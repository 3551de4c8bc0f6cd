"""What is to be measured, and how much of it: read once from the command line and passed to every group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import Corpus
from core.model_directory import find_model
from core.settings import Settings

SIX_LAYERS = "emobatch-distilbert-6x384"
STUDENT = "emobatch-distilbert-3x384"
PRECISION: str = Settings.model_fields["precision"].default
EXACT = "float32"
"""What a stack computes in, by default and at its most exact."""


def mark_of(precision: str) -> tuple[str, str]:
    """How the keys and the words of lines begin that were measured in this precision: nothing for the default one."""
    return ("", "") if precision == PRECISION else (f"{precision}_", f"{precision}: ")


@dataclass(frozen=True)
class Plan:
    """One run of the benchmarks.

    Attributes:
        model: the model directory that rivals run too.
        student: the default model, measured against rivals with `model`.
        rounds: that count, for each group.
        quick: the short form.
        rows: of (a) and (b); 0: (a) as many as the pipeline labels in some 15 seconds (quick: 4), (b) thousands.
        scale: multiplies every other number of rows, to try the benchmarks themselves.
        corpus: where texts come from.
        folder: an empty one, for files.
        say: takes a line of progress.
    """

    model: str
    student: str
    rounds: int
    quick: bool
    rows: int
    scale: float
    corpus: Corpus
    folder: Path
    say: Callable[[str], None]

    def size(self, rows: int, least: int = 50) -> int:
        """So many rows, scaled."""
        return max(least, round(rows * self.scale))

    def path(self, name: str) -> Path:
        """A file for this run's own use."""
        return self.folder / name


def default_student(model: str) -> str:
    """What stands for the default student: the shipped default, unless that is `model` itself."""
    shipped = find_model(None).name
    return shipped if shipped != model else STUDENT
