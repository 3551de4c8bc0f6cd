"""The model card: README.md of a model directory, its figures taken from the training record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-classification
---

# {name} {version}

Labels short English texts with 28 emotions, and from these with six emotions and neutral, or with a sentiment.
A DistilBERT of {layers} layers × {dim} ({millions:.1f} M parameters, fp16), fine-tuned on GoEmotions.

## What it is for

First sight of many texts: reviews, support mails, posts; counts, sorting, finding what to read first.
Not for decisions about a person, not for health or safety, and not for texts in other languages.

## Figures

On GoEmotions' dev split ({n} rows), **cross-fitted**: calibration and thresholds fitted on one half, figures on the
other, mean of {splits} seeded halvings. `make eval-dev` prints them again.

| figure | | what it is |
|---|---|---|
| macro_f1_28 | {macro_f1_28:.3f} | 28 labels, thresholded lists |
| macro_f1_ekman7 | {macro_f1_ekman7:.3f} | six emotions and neutral, thresholded lists |
| accuracy_ekman7_single | {accuracy_ekman7_single:.3f} | best of seven, on rows with exactly one of seven |
| accuracy_six | {accuracy_six:.3f} | best of six emotions, on rows whose gold is exactly one of them |
| macro_f1_six | {macro_f1_six:.3f} | the same rows, macro-F1 |
| macro_f1_sentiment | {macro_f1_sentiment:.3f} | positive, negative, ambiguous, neutral; thresholded lists |
| ece | {ece:.3f} | calibration error of the best of seven, 15 bins of equal count |

GoEmotions' labels are noisy (an outside audit called some 30 % of 1,000 wrong), so these figures have a ceiling.

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
- Base weights: {base}, Apache-2.0 (MiniLM-L6-H384, from sentence-transformers/all-MiniLM-L6-v2).
- This directory: Apache-2.0. `training.json` records how it was made; `make train` makes it again.
"""


def card(name: str, version: str, record: Mapping[str, Any], max_length: int) -> str:
    """The card's Markdown. `record` needs `dev` (the cross-fitted figures), `architecture` and `recipe`."""
    architecture = record["architecture"]
    figures = {key: float("nan") if value is None else value for key, value in record["dev"].items()}
    return _CARD.format(
        name=name,
        version=version,
        layers=architecture["n_layers"],
        dim=architecture["dim"],
        millions=architecture["parameters"] / 1e6,
        base=record["recipe"]["base"],
        max_length=max_length,
        splits=record["dev_splits"],
        **figures,
    )
