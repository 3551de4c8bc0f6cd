"""The model card: README.md of a model directory, its figures from the training record and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.model_directory import ModelDirectory
from training.domain import MEANING as DOMAIN_MEANING
from training.recipe import MPNET
from training.report_page import MEANING, shown

_CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-classification
---

# {name} {version}

Labels short English texts with 28 emotions, and from these with six emotions and neutral, or with a sentiment.
A DistilBERT of {layers} layers × {dim} ({millions:.1f} M parameters, fp16), {made} on GoEmotions.

## What it is for

First sight of many texts: reviews, support mails, posts; counts, sorting, finding what to read first.
Not for decisions about a person, not for health or safety, and not for texts in other languages.

## Figures

On GoEmotions' dev split ({n} rows), **cross-fitted**: calibration and thresholds fitted on one half, figures on the
other, mean of {splits} seeded halvings. `{command}` prints them again.

{figures}

{note}\
GoEmotions' labels are noisy (an outside audit called some 30 % of 1,000 wrong), so these figures have a ceiling.
{elsewhere}
## How scores are made

p = sigmoid(logit); a group's raw score is 1 − Π(1 − p) over its members; a Platt calibration for each label makes it a
probability; a label is in the list from its own threshold. `emobatch.json` holds both, fitted on dev.
The window is {max_length} tokens; longer texts are scored in windows.

## Limits

- Trained on Reddit comments in English, 2005–2019, of some 3 to 30 words. Elsewhere (tweets, stories, formal mail) it
  says *neutral* too often. Sarcasm, quoted speech and mixed feelings are often missed.
- grief, relief, pride and nervousness are too rare in the data to be trusted one by one.
- Texts that name groups of people may be scored by the company those names keep on Reddit.

## Origin and licences

- Data: GoEmotions (Demszky et al., ACL 2020), CC BY 4.0, Google Research. Train split to learn, dev split to fit
  calibration and thresholds; the test split was not used.
- {origin}
- This directory: Apache-2.0. `training.json` records how it was made; `{again}` makes it again.
"""

_MINILM = "Base weights: {base}, Apache-2.0 (MiniLM-L6-H384, from sentence-transformers/all-MiniLM-L6-v2)."

_MPNET = " and from MPNet-base\n  (Apache-2.0, from sentence-transformers/all-mpnet-base-v2)"


def card(
    name: str, version: str, record: Mapping[str, Any], max_length: int, report: Mapping[str, Any] | None = None
) -> str:
    """The card's Markdown, with the figures of its teachers beside its own where model directories taught it.

    `record` needs `dev` (the cross-fitted figures), `architecture` and `recipe`; `teachers` as `Teacher.record` says,
    and `start`, the name of the model directory that the weights came from, if any. With the `report` that
    `training.report` wrote, figures have intervals, and those on other domains are there too.
    """
    architecture, recipe, teachers = record["architecture"], record["recipe"], record.get("teachers", [])
    return _CARD.format(
        name=name,
        version=version,
        layers=architecture["n_layers"],
        dim=architecture["dim"],
        millions=architecture["parameters"] / 1e6,
        made=f"distilled from {' and '.join(t['name'] for t in teachers)}" if teachers else "fine-tuned",
        command=f"make eval-dev MODEL={name}",
        figures=_table(name, record["dev"], teachers, (report or {}).get("figures", {})),
        elsewhere=_elsewhere(report) if report else "",
        note=f"{recipe['note'].strip()}\n\n" if recipe.get("note") else "",
        origin=_origin(record, teachers),
        again=f"make distil STUDENT={name}" if teachers else f"make train CONFIG={name}",
        n=record["dev"]["n"],
        max_length=max_length,
        splits=record["dev_splits"],
    )


def _elsewhere(report: Mapping[str, Any]) -> str:
    """What the report says of other domains and of the labels it does worst on."""
    parts = ["\n### Elsewhere, and where it is bad\n"]
    for found in report["domains"].values():
        rows = "\n".join(f"| {key} | {shown(found[key])} | {meaning} |" for key, meaning in DOMAIN_MEANING.items())
        parts.append(
            f"{found['title']}, {found['n']} rows by which nothing was chosen (other annotators, and more "
            f"noise):\n\n| figure | model | what it is |\n|---|---|---|\n{rows}\n"
        )
    worst = sorted(report["labels"]["goemotions"], key=lambda row: row["f1"][0])[:6]
    named = ", ".join(f"{row['label']} {shown(row['f1'], 2)}" for row in worst)
    parts.append(
        f"Lowest F1 on dev: {named}.\n`docs/model/{report['model']['name']}/report.md` has every label, the plots, and "
        "two baselines."
    )
    return "\n".join(parts) + "\n"


def write_card(directory: ModelDirectory, report: Mapping[str, Any]) -> None:
    """Writes the card of a model directory again, with the report; nothing else in the directory changes."""
    record = json.loads((directory.path / "training.json").read_text(encoding="utf-8"))
    text = card(directory.name, directory.version, record, directory.max_length, report)
    (directory.path / "README.md").write_text(text, encoding="utf-8")


def _table(
    name: str, own: Mapping[str, Any], teachers: Sequence[Mapping[str, Any]], intervals: Mapping[str, Any]
) -> str:
    """The figures as a Markdown table: one column for the model, with intervals where known, one for each teacher."""
    heads = [name, *(t["name"] for t in teachers)] if teachers else [""]
    lines = [f"| figure | {' | '.join(heads)} | what it is |".replace("|  |", "| |"), "|---" * (len(heads) + 2) + "|"]
    for key, meaning in MEANING.items():
        values = [dev[key] for dev in (own, *(t["dev"] for t in teachers))]
        if values[0] is None:  # a model of two labels has no figure on seven
            continue
        cells = [shown(intervals.get(key) or values[:1]), *(shown(value and [value]) for value in values[1:])]
        lines.append(f"| {key} | {' | '.join(cells)} | {meaning} |")
    return "\n".join(lines)


def _origin(record: Mapping[str, Any], teachers: Sequence[Mapping[str, Any]]) -> str:
    """What the weights started from, in a sentence or two."""
    recipe, start = record["recipe"], record.get("start")
    if not start:
        return _MINILM.format(base=recipe["base"])
    kept = f"layers {', '.join(map(str, recipe['layers']))} (counted from 0)" if recipe["layers"] else "all layers"
    neurons = f", {recipe['hidden_dim']} neurons of each feed-forward block" if recipe["hidden_dim"] else ""
    taught = ", ".join(f"{t['name']} {t['version']} ({t['sha256'][:12]})".replace("  ", " ") for t in teachers)
    return (
        f"Started from {start}: {kept}{neurons}, and its classifier.\n"
        f"  Taught by {taught}, Apache-2.0,\n"
        "  made from MiniLM-L6-H384 (Apache-2.0, from sentence-transformers/all-MiniLM-L6-v2)"
        f"{_MPNET if any(t['name'] == MPNET for t in teachers) else ''}."
    )
