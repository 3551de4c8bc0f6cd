"""A model to be compared with another: whatever its head, it ends in scores over one set of labels.

It is a model directory, whose taxonomies say how its logits become scores; or any classifier that transformers loads,
from a folder or from the hub by name. The latter's labels mean ours by a label map: a TOML with `activation` (`softmax`
or `sigmoid`), `taxonomy` and `[labels]` (theirs = ours). Known models have theirs under `training/labelmaps/`; one
whose labels are called as ours needs none. Several of their labels that mean one of ours are joined: probabilities of a
softmax add up, those of sigmoids go through the noisy-or. What they do not know scores 0.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from core.errors import EmobatchError
from core.model_directory import ModelDirectory, directory_called
from core.taxonomy import noisy_or, sigmoid
from training.base import load_classifier
from training.batches import tokenize

LABELMAPS = Path(__file__).resolve().parent / "labelmaps"
_WINDOW = 512  # tokens, where a tokenizer does not say
_BATCH = 32

Floats = NDArray[np.float64]


class ContenderError(EmobatchError):
    """A model cannot be compared: it is not there, not a classifier, or its labels are not declared."""


@dataclass(frozen=True)
class Labelmap:
    """What a foreign model's labels mean: `labels` theirs -> ours, of `taxonomy`; `activation` softmax or sigmoid."""

    activation: str
    taxonomy: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """What a contender says of n texts: `scores` (n, k) and the list `said` (n, k), and `seconds` of computing."""

    scores: Floats
    said: NDArray[np.bool_]
    seconds: float

    @property
    def best(self) -> NDArray[np.int64]:
        """(n,) the index of each text's best label."""
        return self.scores.argmax(axis=1).astype(np.int64)


@dataclass(frozen=True)
class Contender:
    """A loaded model: the `labels` (k) it scores, its head in words, `parameters`, and `megabytes` of weights."""

    name: str
    labels: tuple[str, ...]
    head: str
    parameters: int
    megabytes: float
    _ids: Callable[[Sequence[str]], list[list[int]]]
    _model: Any
    _pad: int
    _scores: Callable[[NDArray[np.float32]], tuple[Floats, NDArray[np.bool_]]]

    def __call__(self, texts: Sequence[str]) -> Said:
        """Scores of n texts, sorted by length in batches, float32 in torch; the seconds include tokenizing."""
        if texts:
            self._logits(self._ids(texts[:_BATCH]))  # the first call pays for threads and memory
        started = time.perf_counter()
        logits = self._logits(self._ids(texts))
        seconds = time.perf_counter() - started
        scores, said = self._scores(logits)
        return Said(scores, said, seconds)

    def _logits(self, ids: Sequence[list[int]]) -> NDArray[np.float32]:
        order = np.argsort([len(row) for row in ids], kind="stable")
        parts: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                rows = [ids[i] for i in order[start : start + _BATCH]]
                longest = max(map(len, rows))
                inputs = torch.tensor([row + [self._pad] * (longest - len(row)) for row in rows])
                mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
                parts.append(self._model(input_ids=inputs, attention_mask=mask).logits.float().numpy())
        out = np.empty((len(ids), parts[0].shape[1] if parts else 0), np.float32)
        out[order] = np.concatenate(parts) if parts else out
        return out


def open_contender(name: str, taxonomy: str = "ekman", labelmap: Labelmap | None = None) -> Contender:
    """The model called `name`: a model directory (its name or folder), a transformers folder, or a hub name.

    Args:
        name: which.
        taxonomy: the set of labels to compare in.
        labelmap: what a foreign model's labels mean; None looks for one under `training/labelmaps/`.

    Raises:
        ContenderError: see the class; without a network it says so.
    """
    if directory := directory_called(name):
        return _of_directory(directory, taxonomy)
    return _of_transformers(name, taxonomy, labelmap or _known(name))


def _of_directory(directory: ModelDirectory, name: str) -> Contender:
    if name not in directory.taxonomies:
        raise ContenderError(
            f"{directory.name} has no taxonomy {name!r}, only {', '.join(directory.taxonomies)}.",
            next_step="Choose one that both models know with --taxonomy.",
        )
    taxonomy = directory.taxonomies[name]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory.tokenizer_path))
    model = load_classifier(directory)

    def scores(logits: NDArray[np.float32]) -> tuple[Floats, NDArray[np.bool_]]:
        found = taxonomy.scores(logits.astype(np.float16))
        return found, taxonomy.selected(found)

    return Contender(
        name=f"{directory.name} {directory.version}",
        labels=taxonomy.labels,
        head=f"sigmoid over {len(directory.labels)}, calibrated",
        parameters=sum(p.numel() for p in model.parameters()),
        megabytes=directory.weights_path.stat().st_size / 1e6,
        _ids=lambda texts: tokenize(tokenizer, texts, directory.max_length),
        _model=model,
        _pad=0,
        _scores=scores,
    )


def _of_transformers(name: str, taxonomy: str, labelmap: Labelmap | None) -> Contender:
    if not Path(name).is_dir():
        _reachable(name)
    try:
        config = AutoConfig.from_pretrained(name)
        model = AutoModelForSequenceClassification.from_pretrained(name).float().eval()
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ContenderError(f"{name!r} is no classifier that transformers can load: {error}") from error
    theirs = [str(config.id2label[i]) for i in range(config.num_labels)]
    known = labelmap or Labelmap(_activation(config), taxonomy, {label: label.lower() for label in theirs})
    if known.taxonomy != taxonomy:
        raise ContenderError(f"The labels of {name!r} are declared for {known.taxonomy!r}, not for {taxonomy!r}.")
    if missing := [label for label in theirs if label not in known.labels]:
        raise ContenderError(f"What the label {missing[0]!r} of {name!r} means is not declared.", next_step=DECLARE)
    ours = tuple(dict.fromkeys(known.labels[label] for label in theirs))
    members = [[i for i, label in enumerate(theirs) if known.labels[label] == our] for our in ours]

    def scores(logits: NDArray[np.float32]) -> tuple[Floats, NDArray[np.bool_]]:
        return _activated(logits, known.activation, members)

    window = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", _WINDOW) - 2, _WINDOW)
    return Contender(
        name=Path(name).name if Path(name).is_dir() else name,
        labels=ours,
        head=f"{known.activation} over {len(theirs)}",
        parameters=sum(p.numel() for p in model.parameters()),
        megabytes=sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6,
        _ids=lambda texts: tokenizer(list(texts), truncation=True, max_length=window)["input_ids"],
        _model=model,
        _pad=int(tokenizer.pad_token_id or 0),
        _scores=scores,
    )


DECLARE = "Write a label map (activation, taxonomy, [labels]) and name it with --labels-a or --labels-b."


def _activation(config: Any) -> str:
    """transformers' own rule: a head without a declared problem is one choice among its labels."""
    return "sigmoid" if config.problem_type == "multi_label_classification" else "softmax"


def _activated(
    logits: NDArray[np.float32], activation: str, members: Sequence[Sequence[int]]
) -> tuple[Floats, NDArray[np.bool_]]:
    if activation == "sigmoid":
        p = sigmoid(logits)
        scores = np.stack([noisy_or(p, group) for group in members], axis=1)
        return scores, scores >= 0.5
    e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    scores = np.stack([p[:, list(group)].sum(axis=1) for group in members], axis=1)
    return scores, scores.argmax(axis=1)[:, None] == np.arange(len(members))


def _reachable(name: str) -> None:
    """Raises ContenderError at once where a hub model is neither cached nor to be had; loading would retry for long."""
    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    try:
        HfApi().model_info(name, timeout=10)
    except HfHubHTTPError as error:
        raise ContenderError(f"The hub has no model {name!r} for us: {error}") from error
    except ValueError as error:
        raise ContenderError(f"{name!r} is neither a folder nor a name on the hub: {error}") from error
    except Exception as error:  # whatever the HTTP library calls it, there is no answer
        raise ContenderError(
            f"There is no network: the hub did not answer, and {name!r} is not in this machine's cache ({error}).",
            next_step="Download it where there is one, and name the folder.",
        ) from error


def read_labelmap(path: Path) -> Labelmap:
    """A label map from its TOML. Raises ContenderError where it is missing or does not fit."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found = Labelmap(content["activation"], content["taxonomy"], dict(content["labels"]))
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise ContenderError(f"No label map in {path}: {error!r}.", next_step=DECLARE) from error
    if found.activation not in ("softmax", "sigmoid"):
        raise ContenderError(f"{path.name}: activation is softmax or sigmoid, not {found.activation!r}.")
    return found


def _known(name: str) -> Labelmap | None:
    path = LABELMAPS / f"{name.replace('/', '--')}.toml"
    return read_labelmap(path) if path.is_file() else None


def over(labels: Sequence[str], contender: Contender, said: Said) -> Said:
    """What a contender said, over other labels: columns moved, 0 for those it lacks."""
    at = [contender.labels.index(label) if label in contender.labels else None for label in labels]
    columns = [said.scores[:, i] if i is not None else np.zeros(len(said.scores)) for i in at]
    lists = [said.said[:, i] if i is not None else np.zeros(len(said.said), bool) for i in at]
    return Said(np.stack(columns, axis=1), np.stack(lists, axis=1), said.seconds)
