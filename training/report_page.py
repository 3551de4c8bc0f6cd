"""A report's numbers as a page: the Markdown that stands in docs/model/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.domain import MEANING as DOMAIN_MEANING

MEANING = {
    "macro_f1_28": "28 labels, thresholded lists",
    "macro_f1_ekman7": "six emotions and neutral, thresholded lists",
    "accuracy_ekman7_single": "best of seven, on rows with exactly one of seven",
    "accuracy_six": "best of six emotions, on rows whose gold is exactly one of them",
    "macro_f1_six": "the same rows, macro-F1",
    "macro_f1_sentiment": "positive, negative, ambiguous, neutral; thresholded lists",
    "ece": "calibration error of the best of seven, 15 bins of equal count",
}
_SLICE_KEYS = ("macro_f1_ekman7", "accuracy_ekman7_single", "accuracy_six", "ece")


def shown(found: Sequence[float] | None, digits: int = 3) -> str:
    """`0.525 [0.512, 0.538]`; a value without an interval alone; nothing for None."""
    if not found:
        return ""
    value, *edges = found
    return f"{value:.{digits}f}" + (f" [{edges[0]:.{digits}f}, {edges[1]:.{digits}f}]" if edges else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def page(found: Mapping[str, Any]) -> str:
    """The page of what `training.report` found."""
    model, figures, others = found["model"], found["figures"], found["baselines"]
    overall = table(
        ["figure", "model", *others, "what it is"],
        [[k, shown(figures[k]), *(shown(o[k]) for o in others.values()), m] for k, m in MEANING.items()],
    )
    labels = "\n\n".join(
        table(
            ["label", "gold rows", "precision", "recall", "F1"],
            [
                [row["label"], str(row["n"]), f"{row['precision']:.3f}", f"{row['recall']:.3f}", shown(row["f1"])]
                for row in rows
            ],
        )
        for rows in found["labels"].values()
    )
    slices = table(
        ["rows of dev", "n", *_SLICE_KEYS],
        [[name, str(part["n"]), *(shown(part[k]) for k in _SLICE_KEYS)] for name, part in found["slices"].items()],
    )
    return f"""\
# Report: {model["name"]} {model["version"]}

Written by `make report MODEL={model["name"]}`: do not edit. Model {model["sha256"][:12]}; GoEmotions dev,
{found["data"]["dev_rows"]} rows ({found["data"]["dev_sha256"][:12]}). Figures are **cross-fitted**: calibration and
thresholds fitted on one half of dev, figures on the other, mean of ten seeded halvings. In brackets the 95 % interval
of a bootstrap over the rows: how far other rows would move a figure. Another seed of training would move it too.

## Overall

{overall}

Half of dev's rows are so few that a model whose scores were exactly true would show an ece of about
{found["ece_of_chance"]:.3f}. The most frequent label is neutral, said of every text with certainty; counted words go
through the same calibration and thresholds as the model.

## Where it goes wrong

![Confusion matrix](confusion.svg)

## Is a score a probability?

![Reliability diagram](reliability.svg)

## Precision and recall

![Six emotions and neutral](precision-recall-ekman.svg)
![Sentiment](precision-recall-sentiment.svg)

## By label

![F1 by label](labels.svg)

{labels}

A label with few gold rows has a wide interval: what it says there is not to be trusted one row at a time.

## By length, and rows seen in training

{slices}

Macro-F1 counts every label alike, also one that a small slice hardly holds; compare accuracies across slices. Few rows
inflate an ece, and its interval takes that back: in a small slice it may lie below the figure.

{_domains(found["domains"])}"""


def _domains(domains: Mapping[str, Any]) -> str:
    if not domains:
        return ""
    parts = ["## Other domains", ""]
    for name, found in domains.items():
        rows = [[key, shown(found[key]), meaning] for key, meaning in DOMAIN_MEANING.items()]
        parts += [
            f"{found['title']}, `training/domains/{name}.toml`: the {found['n']} rows of the reporting part, with the "
            "thresholds that ship:",
            "",
            table(["figure", "model", "what it is"], rows),
            "",
        ]
    return "\n".join(parts)
