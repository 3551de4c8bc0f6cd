"""A smaller model that says what a larger one says, and whether it is good enough to replace it.

    python -m training.distil --config emobatch-distilbert-3x384 [--data DIR] [--out DIR]

The recipe names a model directory as base and teacher, and what is kept of its layers and neurons; training is
`training.train`'s. Printed, as one JSON line, are the cross-fitted figures on dev of both models: a student that loses
no more than TOLERANCE of macro-F1 over the 28 labels may become the default, and of those the smallest does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.model_directory import directory_called
from training.command import says_errors
from training.recipe import RecipeError, read_recipe
from training.train import arguments_of, build

DEFAULT = "emobatch-distilbert-3x384"
TOLERANCE = 0.005  # of macro_f1_28: what speed may cost


def verdict(record: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of student and teacher from a training record, and whether the student is within TOLERANCE.

    Where there are several teachers, the one that is best by macro_f1_28 is the measure.
    """
    best = max(record["teachers"], key=lambda teacher: teacher["dev"]["macro_f1_28"])
    lost = best["dev"]["macro_f1_28"] - record["dev"]["macro_f1_28"]
    return {
        "student": record["recipe"]["name"],
        "teacher": best["name"],
        "figures": {key: [round(d[key], 4) for d in (record["dev"], best["dev"])] for key in _SHOWN},
        "lost": round(lost, 4),
        "within_tolerance": lost <= TOLERANCE,
    }


_SHOWN = ("macro_f1_28", "macro_f1_ekman7", "accuracy_ekman7_single", "accuracy_six", "ece")


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code. A student that is not good enough is a result, not an error."""
    options = arguments_of("python -m training.distil", __doc__, DEFAULT, arguments)
    recipe = read_recipe(options.config)
    if not any(directory_called(name) for run in recipe.runs for name in run.teachers):
        raise RecipeError(
            f"No run of {recipe.name!r} has a model directory as teacher.",
            next_step="Name one under `teachers`, or train without one: python -m training.train.",
        )
    out = build(options)
    print(json.dumps(verdict(json.loads((out / "training.json").read_text(encoding="utf-8")))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
