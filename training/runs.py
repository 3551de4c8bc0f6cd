"""One page that shows every recorded training run side by side, with its curves.

    python -m training.runs [--add MODEL_DIR ...] [--out docs/model]

`--add` keeps the record of a model directory first: those trained by `training.train` are kept already.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.command import says_errors
from training.plots import learning_curves
from training.records import RECORDS, keep, read_records

DOCS = Path(__file__).resolve().parent.parent / "docs" / "model"
_FIGURES = ("macro_f1_28", "macro_f1_ekman7", "accuracy_six", "macro_f1_sentiment", "ece")
_HEAD = """\
# Training runs

Written by `python -m training.runs` from the records in `training/records/`: do not edit. Each run is a config in
`training/configs/`; `make train CONFIG=name` repeats it. Figures are cross-fitted on dev and those of the last run of
a config, which is the model that came out. Hours are of all its runs, on the machine named; a time says nothing about
another machine, nor about a busy one.
"""


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown: settings and figures of every record, then what each was made of."""
    head = ["config", "base", "layers", "rate", "epochs", "batch", "from teachers", *_FIGURES, "hours"]
    lines = [_HEAD, "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for record in records:
        run, recipe = record["recipe"]["runs"][-1], record["recipe"]
        seen = record["runs"][-1]["epochs"]
        epochs = f"{run['epochs']:g}" if not run.get("patience") else f"{len(seen)} of {run['epochs']:g}"
        cells = [
            *(record["name"], recipe["base"], str(record["architecture"]["n_layers"]), f"{run['learning_rate']:g}"),
            *(epochs, str(run["batch_size"]), f"{run['teacher_weight']:g}" if run["teachers"] else ""),
            *(_shown(record["dev"].get(key)) for key in _FIGURES),
            f"{record['hours']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for record in records:
        data, machine = record["data"], record["machine"]
        seeds = ", ".join(f"{run['name']} {run['seed']}" for run in record["recipe"]["runs"])
        lines += [
            f"## {record['name']}",
            "",
            f"Seeds: {seeds}. Code {record['code']}; train {data['train_rows']} rows ({data['train_sha256'][:12]}), "
            f"dev {data['dev_rows']} rows ({data['dev_sha256'][:12]}). {machine['processor']}, {machine['cores']} "
            f"cores, autocast {machine['autocast']}, torch {machine['torch']}, transformers {machine['transformers']}.",
            "",
            f"![Loss and macro-F1 by epoch](runs/{record['name']}.svg)",
            "",
        ]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def write(records: Sequence[Mapping[str, Any]], out: Path) -> Path:
    """Writes the page and one plot a record into `out`, and returns the page."""
    for record in records:
        learning_curves(out / "runs" / f"{record['name']}.svg", {run["name"]: run["epochs"] for run in record["runs"]})
    path = out / "runs.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(records), encoding="utf-8")
    return path


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.runs", description=__doc__.split("\n")[0])
    parser.add_argument("--add", nargs="+", type=Path, default=[], help="model directories whose records to keep")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--out", type=Path, default=DOCS, help="where the page goes")
    options = parser.parse_args(arguments)
    for model in options.add:
        keep(model, options.records)
    print(write(read_records(options.records), options.out))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
