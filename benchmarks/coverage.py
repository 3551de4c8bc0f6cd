"""How often the intervals of a review hold the truth: files made up with known errors, sampled and answered many times.

    python -m benchmarks.coverage            # some minutes; the table of docs/statistics.md
    python -m benchmarks.coverage --runs 50  # a look

A file is made once for each case: every row has a true label, a label that is said of it, and scores. Then samples are
drawn from it with other and other seeds, answered by the truth, and read by `core.review.figures`, as a user's are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.intervals import Z95
from core.review.allocation import Draw
from core.review.figures import Answers, figures, trade
from core.taxonomy import Taxonomy, plain

SEVEN = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
GRAIN = 2.5e-4
"""A limit is given to a part in four thousand."""

# How often each label is found, as docs/model has it for the shipped model: in the order of SEVEN.
FOUND = (0.66, 0.45, 0.64, 0.84, 0.60, 0.66, 0.80)


@dataclass(frozen=True)
class Case:
    """A file, and how it is sampled.

    Attributes:
        prevalence: of each label; made to add up to 1.
        found: of the rows of each label, the share that it is said of.
        to_neutral: of the rest, the share of which neutral is said.
        rows, sample: of the file and of the sample.
        stopped: answers after which the user stopped; None: never.
    """

    name: str
    prevalence: Sequence[float]
    found: Sequence[float]
    to_neutral: float
    rows: int
    sample: int
    stopped: int | None = None


REDDIT = (0.13, 0.018, 0.019, 0.40, 0.07, 0.10, 0.263)
SKEWED = (0.03, 0.003, 0.004, 0.08, 0.02, 0.013, 0.85)
MANY = (*(1 / (1 + at) for at in range(1, 28)), 0.9)

CASES = (
    Case("like GoEmotions", REDDIT, FOUND, 0.55, 20_000, 50),
    Case("like GoEmotions", REDDIT, FOUND, 0.55, 20_000, 70),
    Case("like GoEmotions", REDDIT, FOUND, 0.55, 20_000, 100),
    Case("like GoEmotions, stopped", REDDIT, FOUND, 0.55, 20_000, 70, 30),
    Case("like GoEmotions, short file", REDDIT, FOUND, 0.55, 400, 70),
    Case("nine in ten neutral", SKEWED, (*FOUND[:6], 0.93), 0.55, 20_000, 70),
    Case("nine in ten neutral", SKEWED, (*FOUND[:6], 0.93), 0.55, 20_000, 100),
    Case(
        "says neutral too often",
        (0.2, 0.05, 0.05, 0.3, 0.15, 0.1, 0.15),
        (0.4, 0.25, 0.4, 0.6, 0.35, 0.35, 0.92),
        0.8,
        20_000,
        70,
    ),
    Case("nearly always right", REDDIT, (0.96,) * 7, 0.5, 20_000, 70),
    Case("wrong half of the time", (1,) * 7, (0.5,) * 7, 0.3, 20_000, 70),
    Case("28 labels", MANY, (0.5,) * 27 + (0.8,), 0.5, 20_000, 100),
    Case("28 labels", MANY, (0.5,) * 27 + (0.8,), 0.5, 20_000, 200),
)


@dataclass(frozen=True)
class File:
    """A made-up file: what is true and said of each row, and its scores."""

    taxonomy: Taxonomy
    truth: NDArray[np.int64]
    said: NDArray[np.int64]
    scores: NDArray[np.float64]

    @classmethod
    def make(cls, case: Case, seed: int = 0) -> File:
        """The file of a case. Of another label than neutral a row is mistaken for each as often as that one occurs."""
        rng = np.random.default_rng(seed)
        k = len(case.prevalence)
        shares = np.array(case.prevalence, np.float64)
        shares /= shares.sum()
        mistaken = np.tile(shares, (k, 1)) + 0.02
        mistaken[:, k - 1] = 0
        np.fill_diagonal(mistaken, 0)
        confusion = mistaken / mistaken.sum(axis=1, keepdims=True)
        confusion[:-1] *= 1 - case.to_neutral
        confusion[:-1, k - 1] = case.to_neutral
        found = np.array(case.found)
        confusion *= (1 - found)[:, None]
        np.fill_diagonal(confusion, found)
        truth = rng.choice(k, case.rows, p=shares)
        said = (rng.random((case.rows, 1)) > confusion.cumsum(axis=1)[truth]).sum(axis=1).clip(0, k - 1)
        scores = rng.beta(1, 9, (case.rows, k))
        every = np.arange(case.rows)
        scores[every, truth] = rng.beta(2, 3, case.rows)
        scores[every, said] = np.maximum(scores.max(axis=1) + 1e-6, rng.beta(3, 2, case.rows))
        names = SEVEN if k == len(SEVEN) else tuple(f"label {at}" for at in range(k))
        return cls(plain("made up", {name: [at] for at, name in enumerate(names)}), truth, said, scores)


THRESHOLD = 0.4
"""At which the trade is looked at."""


def coverage(case: Case, runs: int) -> dict[str, tuple[float, float]]:
    """How often each kind of interval holds the truth, over `runs` samples: the mean over labels, and the worst label.

    Labels that do not occur in the file, or of which nothing was said, have no truth to hold and are left out.
    `usual` is the prevalence with "estimate ± 1.96 standard errors" in place of the intervals.
    """
    file = File.make(case)
    k = len(file.taxonomy.labels)
    rows = np.bincount(file.said, minlength=k)
    prevalence = np.bincount(file.truth, minlength=k) / case.rows
    hit = np.bincount(file.truth[file.truth == file.said], minlength=k)
    with np.errstate(invalid="ignore"):
        really = {
            "accuracy": np.array([(file.truth == file.said).mean()]),
            "precision": hit / np.where(rows > 0, rows, np.nan),
            "recall": hit / np.where(prevalence > 0, prevalence * case.rows, np.nan),
            "prevalence": prevalence,
        }
    listed = file.scores >= THRESHOLD
    right = listed[np.arange(case.rows), file.truth].sum()
    really["listed: precision"] = np.array([right / listed.sum()])
    really["listed: recall"] = np.array([right / case.rows])
    held: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in [*really, "usual"]}
    for seed in range(runs):
        draw = Draw(k, seed, case.sample)
        draw.show(np.arange(case.rows), file.said)
        chosen, strata = (part[: case.stopped] for part in draw.chosen(case.sample))
        truth = np.zeros((len(chosen), k), np.bool_)
        truth[np.arange(len(chosen)), file.truth[chosen]] = True
        answers = Answers(rows, np.arange(k), strata, truth)
        found = figures(file.taxonomy.labels, answers)
        traded = trade(file.taxonomy, answers, file.scores[chosen], THRESHOLD)
        estimates = {
            "accuracy": [found.accuracy],
            "precision": [label.precision for label in found.labels],
            "recall": [label.recall for label in found.labels],
            "prevalence": [label.prevalence for label in found.labels],
            "listed: precision": [traded.precision],
            "listed: recall": [traded.recall],
        }
        for name, given in estimates.items():
            low = np.array([one.low for one in given]) - GRAIN
            high = np.array([one.high for one in given]) + GRAIN
            held[name].append((low <= really[name]) & (really[name] <= high))
        held["usual"].append(_usual(answers, prevalence))
    there = {"precision": rows > 0, "recall": prevalence > 0, "prevalence": prevalence > 0, "usual": prevalence > 0}
    table = {}
    for name, many in held.items():
        share = np.mean(many, axis=0)
        share = share[there[name]] if name in there else share
        table[name] = (float(share.mean()), float(share.min()))
    return table


def _usual(answers: Answers, prevalence: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the stratified estimate ± 1.96 of its standard errors (Cochran 1977, 5.15) holds the prevalence."""
    asked, rows = answers.asked, answers.rows
    weights, n = rows / rows.sum(), np.maximum(asked, 1)
    p = answers.counted / n
    variance = (weights**2 * (1 - asked / np.maximum(rows, 1)) * p * (1 - p) / np.maximum(n - 1, 1)).sum(axis=1)
    return np.abs((weights * p).sum(axis=1) - prevalence) <= Z95 * np.sqrt(variance)


def table(runs: int, cases: Sequence[Case] = CASES) -> str:
    """The table of docs/statistics.md: of labels the mean and, in brackets, the worst."""
    names = ["accuracy", "precision", "recall", "prevalence", "listed: precision", "listed: recall", "usual"]
    lines = [
        "| file | rows | sample | " + " | ".join(names) + " |",
        "| --- | --- | --- |" + " --- |" * len(names),
    ]
    for case in cases:
        found = coverage(case, runs)
        cells = [
            f"{mean:.3f}" if mean == worst else f"{mean:.3f} ({worst:.3f})"
            for mean, worst in (found[name] for name in names)
        ]
        sample = f"{case.stopped} of {case.sample}" if case.stopped else f"{case.sample}"
        lines.append(f"| {case.name} | {case.rows:,} | {sample} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="samples of each file (default: %(default)s)")
    print(table(parser.parse_args().runs))


if __name__ == "__main__":
    main()
