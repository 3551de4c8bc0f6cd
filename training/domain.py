"""Labelled rows from elsewhere than GoEmotions, to see how the model does where it was not trained.

A set is a CSV `text,label` (several labels joined by a separator) and a TOML beside this module, under `domains/`, that
says where the file is and which label of which taxonomy each of its labels means. Every set has two parts, told apart
by a hash of the text: `choosing`, by which something may be chosen, and `reporting`, by which nothing ever is. Texts
that differ only in case, spacing or punctuation fall into the same part.
"""

from __future__ import annotations

import csv
import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.taxonomy import Taxonomy
from training.data import NEUTRAL, DataError
from training.figures import Floats, f1_by_label

DOMAINS = Path(__file__).resolve().parent / "domains"
FIGURES = (
    "emotional_called_neutral",
    "emotional_said_nothing",
    "neutral_called_emotional",
    "accuracy_single",
    "accuracy_six",
    "macro_f1",
)
MEANING = {
    "emotional_called_neutral": "rows with an emotion, not neutral, whose best label is neutral",
    "emotional_said_nothing": "the same rows: no emotion reaches its threshold",
    "neutral_called_emotional": "rows that are only neutral, whose best label is an emotion",
    "accuracy_single": "best label, on rows with exactly one",
    "accuracy_six": "best of the emotions, on rows with exactly one of them",
    "macro_f1": "thresholded lists",
}


@dataclass(frozen=True)
class Domain:
    """A labelled set: `texts` (n), `gold` (n, k) int8 over `labels` of `taxonomy`, `choosing` (n) which part."""

    name: str
    title: str
    taxonomy: str
    labels: tuple[str, ...]
    texts: list[str]
    gold: NDArray[np.int8]
    choosing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.texts)


def read_domain(name_or_path: str | Path, labels: tuple[str, ...], beside: Path) -> Domain:
    """The set that a TOML describes.

    Args:
        name_or_path: a TOML file, or the name of one under `training/domains/`.
        labels: the labels of its taxonomy, in order.
        beside: the folder that `file` is relative to.

    Raises:
        DataError: the TOML or the CSV is missing, or a label of either is unknown.
    """
    path = Path(name_or_path)
    if not path.suffix:
        path = DOMAINS / f"{path}.toml"
    try:
        described = tomllib.loads(path.read_text(encoding="utf-8"))
        file, meaning = beside / described["file"], dict(described["labels"])
        if unknown := set(meaning.values()) - set(labels):
            raise DataError(
                f"{path.name}: no label of {described['taxonomy']!r} is called {', '.join(sorted(unknown))}."
            )
        with file.open(encoding="utf-8", newline="") as stream:
            texts, gold = _rows(csv.DictReader(stream), described, meaning, labels, file.name)
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise DataError(
            f"The set {path.stem!r} cannot be read: {type(error).__name__}: {error}.",
            next_step="A TOML needs name, title, file, taxonomy and [labels]; the CSV the columns text and label.",
        ) from error
    choosing = np.array([chooses(text) for text in texts])
    return Domain(described["name"], described["title"], described["taxonomy"], labels, texts, gold, choosing)


def _rows(
    reader: csv.DictReader, described: dict[str, Any], meaning: dict[str, str], labels: tuple[str, ...], file: str
) -> tuple[list[str], NDArray[np.int8]]:
    texts, rows = [], []
    for number, record in enumerate(reader, start=1):
        said = record["label"].split(described["separator"]) if described.get("separator") else [record["label"]]
        if unknown := [label for label in said if label not in meaning]:
            raise DataError(f"{file}: the label {unknown[0]!r} is not declared.", row=number, line=reader.line_num)
        texts.append(record["text"])
        rows.append([int(label in {meaning[s] for s in said}) for label in labels])
    return texts, np.array(rows, np.int8)


def chooses(text: str) -> bool:
    """Whether a text belongs to the choosing part: half of all, by a hash of its letters and digits alone."""
    bare = re.sub(r"[\W_]+", "", text.lower())
    return hashlib.sha256(bare.encode()).digest()[0] % 2 == 0


def domain_figures(taxonomy: Taxonomy, logits: NDArray[np.float16], gold: NDArray[np.int8]) -> Any:
    """A function from weights (b, n) of the rows to FIGURES, each (b,), for (n, 28) logits and (n, k) gold."""
    scores = taxonomy.scores(logits)
    return figures_of(scores.argmax(axis=1), taxonomy.selected(scores), scores, gold, taxonomy.labels)


def figures_of(
    best: NDArray[np.int64],
    said: NDArray[np.bool_],
    scores: Floats,
    gold: NDArray[np.int8],
    labels: tuple[str, ...],
) -> Any:
    """The same from what was said: the best label (n,), the list (n, k) and the scores (n, k)."""
    at = labels.index(NEUTRAL) if NEUTRAL in labels else len(labels)  # no label of that number is ever said
    emotions = [j for j in range(len(labels)) if j != at]
    bare = np.zeros((len(gold), 1), np.int8)
    feels, single = np.hstack([gold, bare])[:, at] == 0, gold.sum(axis=1) == 1
    right = {
        "emotional_called_neutral": (best == at, feels),
        "emotional_said_nothing": (~said[:, emotions].any(axis=1), feels),
        "neutral_called_emotional": (best != at, single & ~feels),
        "accuracy_single": (best == gold.argmax(axis=1), single),
        "accuracy_six": (scores[:, emotions].argmax(axis=1) == gold[:, emotions].argmax(axis=1), single & feels),
    }

    def at_weights(weights: Floats) -> dict[str, Floats]:
        out = {}
        for key, (hit, among) in right.items():
            total = weights @ among.astype(np.float64)
            out[key] = np.where(
                total > 0, weights @ (hit & among).astype(np.float64) / np.maximum(total, 1e-12), np.nan
            )
        return out | {"macro_f1": f1_by_label(said, gold.astype(bool), weights).mean(axis=1)}

    return at_weights
