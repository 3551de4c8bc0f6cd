"""The record of a training run: small enough to be tracked, whole enough to compare runs by.

A model directory's training.json says everything. The record beside the code keeps of it what a comparison needs: the
settings, hashes of data and code, seed, machine, hours, loss and macro-F1 by epoch, and the figures on dev. The models
of most runs are thrown away; their records stay, under `training/records/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import EmobatchError

RECORDS = Path(__file__).resolve().parent / "records"


class RecordError(EmobatchError):
    """A folder holds no record of a training run."""


def epochs_of(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Loss and macro-F1 by epoch from the Trainer's log: `epoch`, `train_loss` (mean since the one before, where it was
    logged), `dev_loss` and `macro_f1` (at one threshold of 0.3: a curve to watch, not a figure to report)."""
    out: list[dict[str, float]] = []
    losses: list[float] = []
    for line in log:
        if "loss" in line:
            losses.append(float(line["loss"]))
        elif "eval_loss" in line:
            row = {"epoch": round(float(line["epoch"]), 3), "dev_loss": round(float(line["eval_loss"]), 5)}
            if losses:
                row["train_loss"] = round(sum(losses) / len(losses), 5)
            row["macro_f1"] = round(float(line["eval_macro_f1"]), 5)
            out.append(row)
            losses = []
    return out


def _without_place(name: str) -> str:
    """A folder's own name, where a recipe named it by its whole path."""
    return Path(name).name if Path(name).is_absolute() else name


def record_of(training: Mapping[str, Any]) -> dict[str, Any]:
    """The record of what training.json says."""
    recipe = dict(training["recipe"])
    recipe["base"] = _without_place(recipe["base"])
    recipe["runs"] = [run | {"teachers": [_without_place(t) for t in run["teachers"]]} for run in recipe["runs"]]
    return {
        "name": recipe["name"],
        "recipe": recipe,
        "data": training["data"],
        "code": training["code"],
        "machine": training["machine"],
        "hours": training["hours"],
        "architecture": training["architecture"],
        "dev": {k: v if v is None or k == "n" else round(v, 4) for k, v in training["dev"].items()},
        "teachers": [teacher["name"] for teacher in training.get("teachers", [])],
        "runs": [
            {"name": run["name"], "seconds": run["seconds"], "epochs": epochs_of(run["log"])}
            for run in training["runs"]
        ],
    }


def keep(model: Path, folder: Path = RECORDS) -> Path:
    """Writes the record of a model directory to `folder` under its name, and returns the file.

    Raises RecordError where there is no training.json, or it is not one of ours.
    """
    try:
        record = record_of(json.loads((model / "training.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(
            f"{model} holds no training record: {error!r}.", next_step="Name a model directory that `make train` wrote."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['name']}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_records(folder: Path = RECORDS) -> list[dict[str, Any]]:
    """Every record in `folder`, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
