"""The figures of a model directory on labelled rows, as one JSON object.

    python -m training.evaluate --model DIR --data FILE.tsv
    python -m training.evaluate --model DIR --data dev.tsv --cross-fit

Calibration and thresholds come from the model directory only. On the rows they were fitted on that flatters, so
`--cross-fit` fits them anew on one half of the rows, in the way the directory's own were, and reports the other, both
ways, over several seeded splits.

Scores are made as a job's are: tokenizer and window of the directory, logits rounded to float16, then
`core.taxonomy`. The forward pass is torch's in float32. A text longer than the window is cut here (GoEmotions
has two such in 54,000); a job scores it in windows instead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from core.model_directory import ModelDirectory, find_model
from training.base import load_classifier
from training.batches import tokenize
from training.calibrate import METHOD, Method, fit_all
from training.command import says_errors
from training.data import Rows, read_tsv
from training.figures import Judged, figures, judge, none_if_nan, weighted_figures
from training.run import predict

SPLITS = 10  # seeded halvings of a cross-fit; over ten, the split's own noise is under 0.002


def logits_of(directory: ModelDirectory, texts: Sequence[str]) -> NDArray[np.float16]:
    """The (n, 28) float16 logits of `texts`, as a job would store them, by torch in float32."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(directory.tokenizer_path))
    return predict(load_classifier(directory), tokenize(tokenizer, texts, directory.max_length)).astype(np.float16)


@dataclass(frozen=True)
class CrossFit:
    """Rows judged by taxonomies that were fitted on other rows: both halves of several seeded splits.

    Attributes:
        folds: for each half, the indices of its rows and what the taxonomies fitted on the other half say of them.
        scores: by taxonomy, (n, k) out-of-fold scores of the first split, for curves and tables of single rows.
    """

    folds: tuple[tuple[NDArray[np.int64], Judged], ...]
    scores: Mapping[str, NDArray[np.float64]]

    def figures(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """FIGURES but n, each (b,), for b weightings (b, n) of the rows: the mean over the folds."""
        found = [weighted_figures(judged, weights[:, rows]) for rows, judged in self.folds]
        return {key: np.stack([f[key] for f in found]).mean(axis=0) for key in found[0]}


def cross_fit(
    groups: Mapping[str, Mapping[str, Sequence[int]]],
    logits: NDArray[np.float16],
    gold: NDArray[np.int8],
    splits: int = SPLITS,
    method: Method = METHOD,
) -> CrossFit:
    """Fits on one half of the rows and judges the other, both ways, over seeded splits."""
    folds: list[tuple[NDArray[np.int64], Judged]] = []
    scores: dict[str, NDArray[np.float64]] = {}
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(gold))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        for fit, report in (halves, halves[::-1]):
            taxonomies = fit_all(groups, logits[fit], gold[fit], method)
            folds.append((report, judge(taxonomies, logits[report], gold[report])))
            if seed == 0:
                for name, taxonomy in taxonomies.items():
                    scores.setdefault(name, np.zeros((len(gold), len(taxonomy.labels))))
                    scores[name][report] = taxonomy.scores(logits[report])
    return CrossFit(tuple(folds), scores)


def cross_fitted(
    groups: Mapping[str, Mapping[str, Sequence[int]]],
    logits: NDArray[np.float16],
    gold: NDArray[np.int8],
    splits: int = SPLITS,
    method: Method = METHOD,
) -> dict[str, Any]:
    """FIGURES with calibration and thresholds fitted on the other half, the mean over halves and seeded splits."""
    found = cross_fit(groups, logits, gold, splits, method).figures(np.ones((1, len(gold))))
    return {key: none_if_nan(value[0]) for key, value in found.items()} | {"n": len(gold)}


def groups_of(directory: ModelDirectory) -> dict[str, dict[str, Sequence[int]]]:
    """The groups of a model directory's taxonomies, as `data.read_groups` gives them."""
    return {t.name: dict(zip(t.labels, t.members, strict=True)) for t in directory.taxonomies.values()}


def method_of(directory: ModelDirectory) -> Method:
    """How the directory's calibration and thresholds were fitted, by its training record; without one, as usual."""
    try:
        record = json.loads((directory.path / "training.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return METHOD
    return Method(**record.get("calibration", {}))


def evaluate(directory: ModelDirectory, rows: Rows, *, cross_fit: bool = False) -> dict[str, Any]:
    """FIGURES of a model directory on labelled rows; see the module for what `cross_fit` changes."""
    logits = logits_of(directory, rows.texts)
    if not cross_fit:
        return figures(directory.taxonomies, logits, rows.gold)
    return cross_fitted(groups_of(directory), logits, rows.gold, method=method_of(directory))


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code. Standard output is the JSON object and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="model directory, or a name under models/ (default: the shipped one)")
    parser.add_argument("--data", required=True, type=Path, help="labelled rows: a TSV in GoEmotions' format")
    parser.add_argument("--cross-fit", action="store_true", help="refit on one half, report the other")
    options = parser.parse_args(arguments)
    directory = ModelDirectory.load(find_model(options.model), verify=True)
    result = evaluate(directory, read_tsv(options.data, len(directory.labels)), cross_fit=options.cross_fit)
    print(json.dumps({k: v if v is None or k == "n" else round(v, 4) for k, v in result.items()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
