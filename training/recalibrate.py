"""Calibration and thresholds of a model directory fitted anew, in another way: the same weights, a new version.

    python -m training.recalibrate MODEL --version 1.1.0 --neutral-give 0.01 --out DIR [--data DIR]

Weights, tokenizer and config stay as they are, byte for byte; manifest, record and card are written again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from core.errors import EmobatchError
from core.model_directory import ModelDirectory, find_model
from training.base import load_classifier
from training.calibrate import METHOD, Method, fit_all
from training.command import says_errors
from training.data import data_dir, read_corpus
from training.evaluate import cross_fitted, groups_of, logits_of
from training.export import export
from training.trust import fit_trust


def recalibrate(directory: ModelDirectory, method: Method, version: str, data: Path, out: Path) -> Path:
    """Writes `directory` to `out` under `version` with scores fitted on dev by `method`, and returns `out`.

    Raises EmobatchError where data is missing, or the model has other labels than the data.
    """
    corpus = read_corpus(data)
    if directory.labels != corpus.labels:
        raise EmobatchError(f"{directory.name} has other labels than the data.")
    logits, groups = logits_of(directory, corpus.dev.texts), groups_of(directory)
    record = json.loads((directory.path / "training.json").read_text(encoding="utf-8"))
    record["calibration"] = asdict(method)
    record["recipe"] |= {"version": version, "calibration": asdict(method)}
    record["dev"] = cross_fitted(groups, logits, corpus.dev.gold, method=method)
    return export(
        out,
        name=directory.name,
        version=version,
        model=load_classifier(directory),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(directory.path),
        labels=directory.labels,
        max_length=directory.max_length,
        taxonomies=fit_all(groups, logits, corpus.dev.gold, method),
        record=record,
        trust=fit_trust(logits, directory.labels),
        default_taxonomy=directory.default_taxonomy,
    )


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.recalibrate", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="model directory, or a name under models/")
    parser.add_argument("--version", required=True, help="of what is written")
    parser.add_argument("--neutral-give", type=float, default=0.0, help="accuracy on dev that neutral may cost")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    options = parser.parse_args(arguments)
    directory = ModelDirectory.load(find_model(options.model), verify=True)
    method = replace(METHOD, neutral_give=options.neutral_give)
    print(recalibrate(directory, method, options.version, data_dir(options.data), options.out))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
