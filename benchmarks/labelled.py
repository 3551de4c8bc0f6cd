"""The labelled file of a contestant: the same columns from the same arithmetic for all, and how far two files agree."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory

COLUMNS = ("emotion", "emotion_score", "sentiment", "sentiment_score")


def labels(model: ModelDirectory, logits: NDArray[Any]) -> dict[str, list[Any]]:
    """The added columns of n rows from their logits (n, labels): top label and score in two taxonomies."""
    found: dict[str, list[Any]] = {}
    for column, taxonomy in (("emotion", model.taxonomy), ("sentiment", model.taxonomies["sentiment"])):
        index, score = taxonomy.top(taxonomy.scores(logits))
        found[column] = [taxonomy.labels[i] for i in index]
        found[f"{column}_score"] = score.round(4).tolist()
    return found


def as_logits(model: ModelDirectory, answers: Iterable[list[dict[str, Any]]]) -> NDArray[np.float32]:
    """(n, labels) logits from what a transformers pipeline says of n texts with `top_k=None`."""
    place = {label: index for index, label in enumerate(model.labels)}
    rows = []
    for answer in answers:
        row = np.empty(len(place), dtype=np.float32)
        for one in answer:
            row[place[one["label"]]] = one["score"]
        rows.append(row)
    return np.array(rows).reshape(len(rows), len(place))


def emotions(path: Path) -> dict[str, str]:
    """The emotion of each row by its id, from a labelled file or a folder of parts."""
    found: dict[str, str] = {}
    for part in sorted(path.rglob("*.csv")) if path.is_dir() else [path]:
        with part.open(newline="", encoding="utf-8") as file:
            found |= {row["id"]: row["emotion"] for row in csv.DictReader(file)}
    return found


def agreement(one: Path, other: Path) -> float:
    """The share of rows to which two labelled files give the same emotion.

    Raises:
        ValueError: they do not hold the same rows.
    """
    mine, theirs = emotions(one), emotions(other)
    if mine.keys() != theirs.keys() or not mine:
        raise ValueError(f"{one.name} and {other.name} do not hold the same rows.")
    return sum(mine[row] == theirs[row] for row in mine) / len(mine)
