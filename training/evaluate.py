"""The figures of a model directory on labelled rows, as one JSON object.

    python -m training.evaluate --model DIR --data FILE.tsv
    python -m training.evaluate --model DIR --data dev.tsv --cross-fit

Calibration and thresholds come from the model directory only. On the rows they were fitted on that flatters, so
`--cross-fit` fits them anew on one half of the rows and reports the other, both ways, over several seeded splits.

Scores are made as a job's are: tokenizer and window of the directory, logits rounded to float16, then
`core.taxonomy`. The forward pass is torch's in float32. A text longer than the window is cut here (GoEmotions
has two such in 54,000); a job scores it in windows instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from transformers import PreTrainedTokenizerFast

from core.errors import EmobatchError
from core.model_directory import ModelDirectory, find_model
from core.taxonomy import Taxonomy
from training.base import load_classifier
from training.calibrate import fit_all
from training.data import NEUTRAL, Rows, gather, read_tsv
from training.run import predict, tokenize

FIGURES = (
    "macro_f1_28",
    "macro_f1_ekman7",
    "accuracy_ekman7_single",
    "accuracy_six",
    "macro_f1_six",
    "macro_f1_sentiment",
    "ece",
    "n",
)
ECE_BINS = 15
SPLITS = 10  # seeded halvings of a cross-fit; over ten, the split's own noise is under 0.002


def logits_of(directory: ModelDirectory, texts: Sequence[str]) -> NDArray[np.float16]:
    """The (n, 28) float16 logits of `texts`, as a job would store them, by torch in float32."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory.tokenizer_path))
    return predict(load_classifier(directory), tokenize(tokenizer, texts, directory.max_length)).astype(np.float16)


def expected_calibration_error(score: NDArray[np.float64], right: NDArray[np.bool_], bins: int = ECE_BINS) -> float:
    """The mean gap between score and accuracy over bins of equal count, weighed by count (Naeini et al. 2015).

    `score` (n,) is the top label's score, `right` (n,) whether that label is the gold one.
    """
    order = np.argsort(score, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(p) * abs(score[p].mean() - right[p].mean()) for p in parts) / len(score))


def figures(taxonomies: Mapping[str, Taxonomy], logits: NDArray[np.float16], gold: NDArray[np.int8]) -> dict[str, Any]:
    """All of FIGURES for (n, 28) logits and gold. A figure on no rows at all is None.

    Macro-F1 of 28, of seven and of sentiment is of the thresholded lists. The single-label figures look only at rows
    whose gold is exactly one of the seven; `six` bars neutral and leaves out the neutral rows.
    """
    out: dict[str, Any] = {}
    for key, name in (("28", "goemotions"), ("ekman7", "ekman"), ("sentiment", "sentiment")):
        taxonomy = taxonomies[name]
        said = taxonomy.selected(taxonomy.scores(logits))
        truth = gather(gold, taxonomy.members)
        out[f"macro_f1_{key}"] = float(f1_score(truth, said, average="macro", zero_division=0))
    ekman = taxonomies["ekman"]
    truth, scores = gather(gold, ekman.members), ekman.scores(logits)
    single = truth.sum(axis=1) == 1
    top, score = ekman.top(scores)
    right = top == truth.argmax(axis=1)
    out["accuracy_ekman7_single"] = float(right[single].mean()) if single.any() else None
    out["ece"] = expected_calibration_error(score[single], right[single]) if single.any() else None
    emotions = [j for j, label in enumerate(ekman.labels) if label != NEUTRAL]
    one = single & truth[:, emotions].any(axis=1)
    guess, answer = scores[one][:, emotions].argmax(axis=1), truth[one][:, emotions].argmax(axis=1)
    out["accuracy_six"] = float((guess == answer).mean()) if one.any() else None
    out["macro_f1_six"] = (
        float(f1_score(answer, guess, average="macro", labels=range(len(emotions)), zero_division=0))
        if one.any()
        else None
    )
    out["n"] = len(gold)
    return {key: out[key] for key in FIGURES}


def cross_fitted(
    groups: Mapping[str, Mapping[str, Sequence[int]]],
    logits: NDArray[np.float16],
    gold: NDArray[np.int8],
    splits: int = SPLITS,
) -> dict[str, Any]:
    """FIGURES with calibration and thresholds fitted on the other half, the mean over halves and seeded splits."""
    found = []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(gold))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        for fit, report in (halves, halves[::-1]):
            taxonomies = fit_all(groups, logits[fit], gold[fit])
            found.append(figures(taxonomies, logits[report], gold[report]))
    mean = {key: float(np.mean([f[key] for f in found])) for key in FIGURES}
    return mean | {"n": len(gold)}


def evaluate(directory: ModelDirectory, rows: Rows, *, cross_fit: bool = False) -> dict[str, Any]:
    """FIGURES of a model directory on labelled rows; see the module for what `cross_fit` changes."""
    logits = logits_of(directory, rows.texts)
    if not cross_fit:
        return figures(directory.taxonomies, logits, rows.gold)
    groups = {t.name: dict(zip(t.labels, t.members, strict=True)) for t in directory.taxonomies.values()}
    return cross_fitted(groups, logits, rows.gold)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code. Standard output is the JSON object and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="model directory, or a name under models/ (default: the shipped one)")
    parser.add_argument("--data", required=True, type=Path, help="labelled rows: a TSV in GoEmotions' format")
    parser.add_argument("--cross-fit", action="store_true", help="refit on one half, report the other")
    options = parser.parse_args(arguments)
    try:
        directory = ModelDirectory.load(find_model(options.model), verify=True)
        result = evaluate(directory, read_tsv(options.data, len(directory.labels)), cross_fit=options.cross_fit)
    except EmobatchError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({k: v if v is None or k == "n" else round(v, 4) for k, v in result.items()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
