"""Labelled rows in GoEmotions' format, and the groups its authors made of the 28 labels.

A TSV without header: text, label ids (0-based lines of labels.txt) joined by commas, comment id. It is not CSV: quotes
mean nothing, and only LF ends a line. The data stands outside the repository (CC BY 4.0, read in place): `--data`,
else the environment's EMOBATCH_DATA, else `../shared/data/goemotions` beside the checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import EmobatchError

NEUTRAL = "neutral"
_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "goemotions"


class DataError(EmobatchError):
    """The labelled data is missing or is not in GoEmotions' format."""


@dataclass(frozen=True)
class Rows:
    """Labelled rows: `texts` (n), `gold` (n, labels) int8 of 0 and 1, `sha256` of the file they came from."""

    texts: list[str]
    gold: NDArray[np.int8]
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def __add__(self, other: Rows) -> Rows:
        sha256 = hashlib.sha256((self.sha256 + other.sha256).encode()).hexdigest()
        return Rows(self.texts + other.texts, np.concatenate([self.gold, other.gold]), sha256)

    def part(self, share: float) -> NDArray[np.int64]:
        """The indices, rising, of a share of the rows: the same for every run, so that runs can be compared."""
        count = max(1, round(share * len(self)))
        return np.sort(np.random.default_rng(0).permutation(len(self))[:count])

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> Rows:
        """The rows at `index`, in that order, under a hash of their own."""
        chosen = np.asarray(index, dtype=np.int64)
        sha256 = hashlib.sha256(self.sha256.encode() + chosen.tobytes()).hexdigest()
        return Rows([self.texts[i] for i in chosen], self.gold[chosen], sha256)


@dataclass(frozen=True)
class Corpus:
    """What a recipe learns from: label names, the taxonomies' groups of them, and the two splits."""

    labels: tuple[str, ...]
    groups: dict[str, dict[str, list[int]]]
    train: Rows
    dev: Rows


def data_dir(given: str | Path | None = None) -> Path:
    """The folder with train.tsv, dev.tsv, labels.txt and the two mappings. Raises DataError where it is not there."""
    folder = Path(given or os.environ.get("EMOBATCH_DATA") or _DEFAULT).expanduser()
    if not (folder / "labels.txt").is_file():
        raise DataError(
            f"There is no labels.txt in {folder}.",
            next_step="Give the folder of GoEmotions' TSV files as --data or in EMOBATCH_DATA.",
        )
    return folder


def read_labels(folder: Path) -> tuple[str, ...]:
    """The label names, one a line of labels.txt, in the order of the ids."""
    return tuple((folder / "labels.txt").read_text(encoding="utf-8").split())


def read_groups(folder: Path, labels: Sequence[str]) -> dict[str, dict[str, list[int]]]:
    """The taxonomies' groups: name -> label in output order -> indices of its members.

    `goemotions` is the labels themselves; `ekman` and `sentiment` are the authors' files, to which neutral is added
    (they leave it out). Raises DataError where a mapping names an unknown label, or leaves one out.
    """
    groups = {"goemotions": {label: [i] for i, label in enumerate(labels)}}
    for taxonomy, file in (("ekman", "ekman_mapping.json"), ("sentiment", "sentiment_dict.json")):
        mapping = json.loads((folder / file).read_text(encoding="utf-8")) | {NEUTRAL: [NEUTRAL]}
        if sorted(name for names in mapping.values() for name in names) != sorted(labels):
            raise DataError(f"{file} does not hold every label of labels.txt exactly once.")
        groups[taxonomy] = {group: [labels.index(name) for name in names] for group, names in mapping.items()}
    return groups


def read_tsv(path: Path, labels: int = 28) -> Rows:
    """The rows of a TSV in GoEmotions' format.

    Args:
        path: the file; UTF-8.
        labels: how many labels there are.

    Raises:
        DataError: naming the file and line that is not `text TAB ids [TAB comment id]`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    texts, rows = [], []
    for number, line in enumerate(content.decode("utf-8").split("\n"), start=1):
        if not line:
            continue
        fields = line.rstrip("\r").split("\t")
        try:
            ids = [int(i) for i in fields[1].split(",")]
            row = np.zeros(labels, np.int8)
            row[ids] = 1
            if min(ids) < 0:
                raise ValueError("a negative id")
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}, line {number}: not `text TAB label ids`: {error}.") from error
        texts.append(fields[0])
        rows.append(row)
    if not rows:
        raise DataError(f"{path} has no rows.")
    return Rows(texts, np.stack(rows), hashlib.sha256(content).hexdigest())


def gather(gold: NDArray[np.int8], groups: Sequence[Sequence[int]]) -> NDArray[np.int8]:
    """Gold labels (n, 28) to gold groups (n, k): a group holds where any of its members does."""
    return np.stack([gold[:, list(group)].max(axis=1) for group in groups], axis=1)


def read_corpus(folder: Path, labels: str = "goemotions") -> Corpus:
    """The corpus in `folder` for a recipe's `labels`: `goemotions`, or `polarity` made of it (see `polarity`)."""
    names = read_labels(folder)
    groups = read_groups(folder, names)
    corpus = Corpus(names, groups, *(read_tsv(folder / f"{split}.tsv", len(names)) for split in ("train", "dev")))
    return polarity(corpus) if labels == "polarity" else corpus


def polarity(corpus: Corpus) -> Corpus:
    """The rows that are either positive or negative, under these two labels.

    Rows that are also the other, ambiguous or neutral are left out: a model of two labels has no word for them.
    """
    sentiment = corpus.groups["sentiment"]
    two = ("positive", "negative")

    def only(rows: Rows) -> Rows:
        found = gather(rows.gold, list(sentiment.values()))
        columns = [list(sentiment).index(name) for name in two]
        clear = np.flatnonzero((found.sum(axis=1) == 1) & found[:, columns].any(axis=1))
        kept = rows.take(clear)
        return Rows(kept.texts, found[clear][:, columns], kept.sha256)

    return Corpus(two, {"sentiment": {name: [i] for i, name in enumerate(two)}}, only(corpus.train), only(corpus.dev))
