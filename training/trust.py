"""From where on a row counts as unfamiliar: fitted on dev, and measured on text that no emotion model should know.

    python -m training.trust [--model DIR] [--data DIR]

`core.flags` says what is measured and why neutral is left out of it. The threshold is the trace under which `SHARE` of
dev's rows lie: a promise about ordinary text, kept whatever else comes. What it finds elsewhere is printed beside the
plain energy: words drawn from dev in random order, random letters, Python source, and messages in other languages
(those of WTForms, which the pages use). So is how often close rows are right, which is where the margin comes from.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.flags import MARGIN, Trust, neutral_of, trace
from core.model_directory import ModelDirectory, find_model
from training.command import says_errors
from training.data import data_dir, gather, read_groups, read_tsv
from training.evaluate import logits_of

SHARE = 0.02
"""Of dev's rows that are called unfamiliar."""

DRAWN = 1000
_GAPS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


def fit_trust(logits: NDArray[np.float16], labels: Sequence[str]) -> Trust:
    """The trust of a model version, from its logits (n, labels) on dev."""
    return Trust(round(float(np.quantile(trace(logits, neutral_of(labels)), SHARE)), 4), MARGIN)


def strange_texts(texts: Sequence[str], seed: int = 0) -> dict[str, list[str]]:
    """By name, texts that are unlike `texts`: made of them, of nothing, and of what is installed anyway."""
    drawn = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    source = (Path(__file__).parent / "train.py").read_text(encoding="utf-8").splitlines()
    found = {
        "words in random order": [" ".join(drawn.choice(words) for _ in range(12)) for _ in range(DRAWN)],
        "random letters": [
            "".join(drawn.choice("abcdefghijklmnopqrstuvwxyz    ") for _ in range(60)) for _ in range(DRAWN)
        ],
        "program code": [line.strip() for line in source if len(line.strip()) > 15],
    }
    if foreign := foreign_texts():
        found["other languages"] = foreign
    return found


def foreign_texts() -> list[str]:
    """Messages of WTForms in the languages it ships but English, those of at least twelve characters."""
    spec = find_spec("wtforms")
    if spec is None or not spec.submodule_search_locations:
        return []
    found = []
    for path in sorted(Path(spec.submodule_search_locations[0]).glob("locale/*/LC_MESSAGES/*.po")):
        if path.parts[-3].startswith("en"):
            continue
        for message in re.findall(r'^msgstr "(.+)"$', path.read_text(encoding="utf-8"), re.MULTILINE):
            text = re.sub(r"%\(\w+\)[sd]", "", message).strip()
            if len(text) >= 12 and "\\n" not in text and "charset" not in text:
                found.append(text)
    return found


def measure(directory: ModelDirectory, data: Path) -> dict[str, Any]:
    """What the flags find: by kind of text the share called unfamiliar, and how well two measures tell it from dev."""
    dev, labels = read_tsv(data / "dev.tsv", len(directory.labels)), directory.labels
    logits, neutral = logits_of(directory, dev.texts), neutral_of(labels)
    trust = fit_trust(logits, labels)
    strange = {}
    for name, texts in strange_texts(dev.texts).items():
        other = logits_of(directory, texts)
        truth = np.r_[np.ones(len(logits)), np.zeros(len(other))]

        def area(column: int | None, other: NDArray[np.float16] = other, truth: NDArray[Any] = truth) -> float:
            return round(float(roc_auc_score(truth, np.r_[trace(logits, column), trace(other, column)])), 3)

        strange[name] = {
            "texts": len(texts),
            "unfamiliar": round(float((trace(other, neutral) < (trust.trace or 0.0)).mean()), 3),
            "area_trace": area(neutral),
            "area_energy": area(None),
        }
    return {"trust": trust.to_dict(), "strange": strange, "close": closeness(directory, logits, dev.gold, data)}


def closeness(
    directory: ModelDirectory, logits: NDArray[np.float16], gold: NDArray[np.int8], data: Path
) -> list[dict[str, float]]:
    """By the gap between the best label of seven and the second: share of rows, and how often each of them is right.

    First the rows that are flagged as close.
    """
    scores = directory.taxonomies["ekman"].scores(logits)
    truth = gather(gold, list(read_groups(data, directory.labels)["ekman"].values()))
    order, single = np.argsort(-scores, axis=1), truth.sum(axis=1) == 1
    ranked = np.take_along_axis(scores, order, axis=1)
    gap, answer = ranked[:, 0] - ranked[:, 1], truth.argmax(axis=1)
    rows = []
    for low, high in [(0.0, MARGIN), *pairwise(_GAPS)]:
        inside = (gap >= low) & (gap < high)
        judged = inside & single
        first, second = ((order[judged, at] == answer[judged]).mean() for at in (0, 1))
        rows.append(
            {
                "from": low,
                "to": high,
                "share": round(float(inside.mean()), 3),
                "best_right": round(float(first), 3),
                "second_right": round(float(second), 3),
            }
        )
    return rows


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.trust", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="model directory, or a name under models/ (default: the shipped one)")
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    options = parser.parse_args(arguments)
    directory = ModelDirectory.load(find_model(options.model), verify=True)
    print(json.dumps(measure(directory, data_dir(options.data)), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
