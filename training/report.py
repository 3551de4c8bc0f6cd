"""The report on a model: its figures with intervals beside two baselines, by label, by length, and on other domains.

    python -m training.report [--model DIR] [--data DIR] [--domain xed ...] [--out docs/model]

A page, its plots and the same numbers as JSON go to `docs/model/<name>/`. All of dev's figures are cross-fitted; an
interval is of the rows (see `training.figures`). On other domains the model directory's own calibration and thresholds
are used, and only the set's reporting part.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import EmobatchError
from core.model_directory import ModelDirectory, find_model
from core.taxonomy import plain
from training import plots
from training.baselines import fit_words, majority_logits, words_logits
from training.card import write_card
from training.command import says_errors
from training.data import Corpus, Rows, data_dir, gather, read_corpus
from training.domain import FIGURES as DOMAIN_FIGURES
from training.domain import Domain, domain_figures, read_domain
from training.evaluate import CrossFit, cross_fit, groups_of, logits_of, method_of
from training.figures import ECE_BINS, FIGURES, ece_of_chance, f1_by_label, figures, with_intervals
from training.report_page import page

DOCS = Path(__file__).resolve().parent.parent / "docs" / "model"
LENGTHS = ((1, 4), (5, 9), (10, 19), (20, None))  # words
_KEYS = FIGURES[:-1]


@dataclass(frozen=True)
class Subject:
    """What is reported on: the directory, dev's rows and the model's logits on them, cross-fitted."""

    directory: ModelDirectory
    dev: Rows
    logits: NDArray[np.float16]
    fit: CrossFit


def by_label(subject: Subject, name: str = "goemotions") -> list[dict[str, Any]]:
    """One row a label of a taxonomy: gold rows, precision, recall, F1 and its interval, average over the folds."""
    taxonomy = subject.directory.taxonomies[name]
    key = {"goemotions": "28", "ekman": "ekman7", "sentiment": "sentiment"}[name]
    truth = gather(subject.dev.gold, taxonomy.members)

    def f1(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        folds = [f1_by_label(*judged.lists[key], weights[:, rows]) for rows, judged in subject.fit.folds]
        mean = np.mean(folds, axis=0)
        return {label: mean[:, j] for j, label in enumerate(taxonomy.labels)}

    found = with_intervals(f1, len(truth), taxonomy.labels)
    both = np.mean([(said & gold).sum(axis=0) for said, gold in _lists(subject, key)], axis=0)
    said_mean = np.mean([said.sum(axis=0) for said, _ in _lists(subject, key)], axis=0)
    gold_mean = np.mean([gold.sum(axis=0) for _, gold in _lists(subject, key)], axis=0)
    return [
        {
            "label": label,
            "n": int(truth[:, j].sum()),
            "precision": round(float(both[j] / max(said_mean[j], 1e-12)), 4),
            "recall": round(float(both[j] / max(gold_mean[j], 1e-12)), 4),
            "f1": found[label],
        }
        for j, label in enumerate(taxonomy.labels)
    ]


def _lists(subject: Subject, key: str) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    return [judged.lists[key] for _, judged in subject.fit.folds]


def slices(subject: Subject, train: Rows) -> dict[str, dict[str, Any]]:
    """Figures with intervals of dev's rows by length in words, and of those that stand in train too."""
    words = np.array([len(text.split()) for text in subject.dev.texts])
    masks = {
        f"{low} to {high} words" if high else f"{low} words and more": (words >= low) & (words <= (high or words.max()))
        for low, high in LENGTHS
    }
    known = {text.lower().strip() for text in train.texts}  # the model does not see case
    masks["also in train, case aside"] = np.array([text.lower().strip() in known for text in subject.dev.texts])
    masks["not in train"] = ~masks["also in train, case aside"]
    return {name: with_intervals(subject.fit.figures, len(words), _KEYS, mask) for name, mask in masks.items()}


def baselines(corpus: Corpus) -> dict[str, dict[str, Any]]:
    """The figures of both baselines on dev; counted words are cross-fitted and have intervals, as the model's."""
    bare = {name: plain(name, dict(groups)) for name, groups in corpus.groups.items()}
    majority = figures(bare, majority_logits(corpus.train, len(corpus.dev)), corpus.dev.gold)
    logits = words_logits(fit_words(corpus.train), corpus.dev.texts)
    counted = cross_fit(corpus.groups, logits, corpus.dev.gold)
    return {
        "most frequent label": {k: None if v is None else [round(v, 4)] for k, v in majority.items() if k != "n"},
        "TF-IDF, logistic regression": with_intervals(counted.figures, len(corpus.dev), _KEYS),
    }


def draw(subject: Subject, folder: Path) -> None:
    """The plots of dev: confusion, reliability, precision and recall, F1 by label; out of fold."""
    ekman = subject.directory.taxonomies["ekman"]
    scores, truth = subject.fit.scores["ekman"], gather(subject.dev.gold, ekman.members)
    single = truth.sum(axis=1) == 1
    best, answer = scores.argmax(axis=1)[single], truth.argmax(axis=1)[single]
    matrix = np.zeros((len(ekman.labels),) * 2, np.int64)
    np.add.at(matrix, (answer, best), 1)
    plots.confusion(folder / "confusion.svg", matrix, ekman.labels, "best of seven, rows with exactly one")
    plots.reliability(
        folder / "reliability.svg",
        scores.max(axis=1)[single],
        best == answer,
        ECE_BINS,
        "15 bins of equal count, ±2 SE",
    )
    for name in ("ekman", "sentiment"):
        taxonomy = subject.directory.taxonomies[name]
        gold = gather(subject.dev.gold, taxonomy.members)
        plots.precision_recall(
            folder / f"precision-recall-{name}.svg", subject.fit.scores[name], gold, taxonomy.labels, name
        )


def elsewhere(directory: ModelDirectory, domain: Domain) -> dict[str, Any]:
    """A domain's figures, with intervals on its reporting part."""
    at = domain_figures(directory.taxonomies[domain.taxonomy], logits_of(directory, domain.texts), domain.gold)
    return {"title": domain.title} | with_intervals(at, len(domain), DOMAIN_FIGURES, ~domain.choosing)


def report(directory: ModelDirectory, data: Path, domains: Sequence[str], out: Path, *, card: bool = False) -> Path:
    """Writes page, plots and JSON on a model of GoEmotions' 28 labels into `out/<name>`, and returns the page.

    With `card` the model directory's card is written again too, with these figures.

    Raises EmobatchError where data or a domain is missing, or the model has other labels than the data.
    """
    corpus = read_corpus(data)
    if directory.labels != corpus.labels:
        raise EmobatchError(f"{directory.name} has other labels than the data: nothing to report on.")
    logits = logits_of(directory, corpus.dev.texts)
    fit = cross_fit(groups_of(directory), logits, corpus.dev.gold, method=method_of(directory))
    subject = Subject(directory, corpus.dev, logits, fit)
    folder = out / directory.name
    draw(subject, folder)
    ekman = gather(corpus.dev.gold, directory.taxonomies["ekman"].members).sum(axis=1) == 1
    found: dict[str, Any] = {
        "model": {"name": directory.name, "version": directory.version, "sha256": directory.sha256},
        "data": {"dev_sha256": corpus.dev.sha256, "dev_rows": len(corpus.dev), "train_sha256": corpus.train.sha256},
        "figures": with_intervals(fit.figures, len(corpus.dev), _KEYS),
        "ece_of_chance": round(ece_of_chance(fit.scores["ekman"].max(axis=1)[ekman][: int(ekman.sum()) // 2]), 4),
        "baselines": baselines(corpus),
        "labels": {name: by_label(subject, name) for name in ("goemotions", "ekman", "sentiment")},
        "slices": slices(subject, corpus.train),
        "domains": {},
    }
    for name in domains:
        domain = read_domain(name, directory.taxonomies["ekman"].labels, data.parent)
        found["domains"][domain.name] = elsewhere(directory, domain)
    rows = [(row["label"], *row["f1"]) for row in found["labels"]["goemotions"]]
    plots.intervals(folder / "labels.svg", sorted(rows, key=lambda row: -row[1]), "F1 by label, 95 % interval", "F1")
    (folder / "report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    path = folder / "report.md"
    path.write_text(page(found), encoding="utf-8")
    if card:
        write_card(directory, found)
    return path


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.report", description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="model directory, or a name under models/ (default: the shipped one)")
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    parser.add_argument("--domain", nargs="*", default=["xed"], help="TOML files, or names in training/domains/")
    parser.add_argument("--out", type=Path, default=DOCS, help="where the folder of the report goes")
    parser.add_argument("--card", action="store_true", help="write the figures into the model directory's card too")
    options = parser.parse_args(arguments)
    directory = ModelDirectory.load(find_model(options.model), verify=True)
    print(report(directory, data_dir(options.data), options.domain, options.out, card=options.card))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
