"""What each lever against too much neutral gives, without training: a table of its price on dev and its gain elsewhere.

    python -m training.neutral [--model DIR] [--with DIR] [--data DIR] [--domain xed] [--out docs/model]

Every lever changes only how scores are made from the logits a model gives. Dev's figures are cross-fitted: the lever is
fitted on one half and priced on the other. Levers that look at the other domain look at its choosing part; what is
reported of it is the other part, with everything fitted on the whole of dev, as it would ship.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory, find_model
from core.taxonomy import Calibration, Taxonomy, logit
from training.calibrate import Method, fit_taxonomy, shifted
from training.command import says_errors
from training.data import NEUTRAL, data_dir, gather, read_tsv
from training.domain import Domain, domain_figures, read_domain
from training.evaluate import SPLITS, groups_of, logits_of
from training.figures import f1_by_label, judge, weighted_figures
from training.plots import lines

DOCS = Path(__file__).resolve().parent.parent / "docs" / "model"
GIVEN = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.03)  # of accuracy: the neutral_give that are tried
Fit = Callable[[NDArray[np.float16], NDArray[np.int8]], Taxonomy]
_DEV = ("accuracy_ekman7_single", "macro_f1_ekman7", "accuracy_six", "ece")
_ELSEWHERE = ("emotional_called_neutral", "neutral_called_emotional", "accuracy_six")


@dataclass(frozen=True)
class Lever:
    """One way to fit the taxonomy: from logits (n, 28) and gold (n, 28) of dev's rows."""

    name: str
    looks_at: str
    fit: Fit


def balanced(taxonomy: Taxonomy, logits: NDArray[np.float16], gold: NDArray[np.int8]) -> Taxonomy:
    """Neutral lowered to where the best label's macro-F1, not accuracy, is highest on dev: each label counts alike."""
    truth = gather(gold, taxonomy.members)
    single = truth.sum(axis=1) == 1
    answer, labels = truth[single].argmax(axis=1)[:, None] == np.arange(truth.shape[1]), np.ones((1, int(single.sum())))

    def macro(candidate: Taxonomy) -> float:
        best = candidate.scores(logits[single]).argmax(axis=1)
        return float(f1_by_label(best[:, None] == np.arange(truth.shape[1]), answer, labels).mean())

    candidates = [shifted(taxonomy, NEUTRAL, -by) for by in np.arange(0.0, 2.01, 0.05)]
    return max(candidates, key=macro)


def evened(taxonomy: Taxonomy, domain: Domain, logits: NDArray[np.float16]) -> Taxonomy:
    """Neutral lowered until, on the choosing part, as many neutral texts are called emotional as the reverse."""
    part = domain.choosing.astype(float)[None, :]

    def gap(by: float) -> float:
        found = domain_figures(shifted(taxonomy, NEUTRAL, -by), logits, domain.gold)(part)
        return float(found["emotional_called_neutral"][0] - found["neutral_called_emotional"][0])

    shifts = np.arange(0.0, 3.01, 0.05)
    return shifted(taxonomy, NEUTRAL, -float(min(shifts, key=lambda by: abs(gap(by)))))


def corrected(taxonomy: Taxonomy, dev: NDArray[np.int8], other: NDArray[np.float16]) -> Taxonomy:
    """All labels moved by how much oftener the other domain has them, estimated without its gold by EM.

    Saerens et al. 2002: priors that explain the scores' mean, found by reweighing them; (m, 28) `other` are logits of
    the other domain's texts.
    """
    truth = gather(dev, taxonomy.members)
    before = np.maximum(truth.mean(axis=0), 1e-6)
    before /= before.sum()
    scores = taxonomy.scores(other)
    p, prior = scores / scores.sum(axis=1, keepdims=True), before.copy()
    for _ in range(100):
        weighed = p * (prior / before)
        prior = (weighed / weighed.sum(axis=1, keepdims=True)).mean(axis=0)
    moved = logit(prior) - logit(before)
    out = taxonomy
    for label, by in zip(taxonomy.labels, moved, strict=True):
        out = shifted(out, label, float(by))
    return out


def softened(taxonomy: Taxonomy, slope: float) -> Taxonomy:
    """Neutral's slope taken times `slope`, turning around its score of one half: less sure of it, either way."""
    calibration = list(taxonomy.calibration)
    at = taxonomy.labels.index(NEUTRAL)
    old = calibration[at]
    calibration[at] = Calibration(old.slope * slope, old.offset * slope)
    return replace(taxonomy, calibration=tuple(calibration))


def levers(groups: Mapping[str, Sequence[int]], domain: Domain, logits: NDArray[np.float16]) -> list[Lever]:
    """Every lever, the fit without any first; (n, 28) `logits` are of the domain's texts."""
    choosing = logits[domain.choosing]

    def fitted(give: float = 0.0) -> Fit:
        return lambda z, gold: fit_taxonomy("ekman", groups, z, gold, Method(neutral_give=give))

    def less_sure(slope: float) -> Fit:
        return lambda z, gold: softened(fitted()(z, gold), slope)

    return [
        Lever("none: as fitted", "dev", fitted()),
        *(Lever(f"gives way, {give:g} of accuracy", "dev", fitted(give)) for give in GIVEN),
        Lever("lowered to the best macro-F1", "dev", lambda z, gold: balanced(fitted()(z, gold), z, gold)),
        *(Lever(f"neutral's slope × {slope:g}", "dev", less_sure(slope)) for slope in (0.75, 0.5)),
        Lever(
            "prior correction (EM)",
            "other texts, no gold",
            lambda z, gold: corrected(fitted()(z, gold), gold, choosing),
        ),
        Lever("errors evened out", "other texts, gold", lambda z, gold: evened(fitted()(z, gold), domain, logits)),
    ]


def priced(fit: Fit, logits: NDArray[np.float16], gold: NDArray[np.int8]) -> dict[str, float]:
    """A lever's cross-fitted figures on dev: (n, 28) logits and gold."""
    found = []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(gold))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        for half, report in (halves, halves[::-1]):
            judged = judge({"ekman": fit(logits[half], gold[half])}, logits[report], gold[report])
            found.append(weighted_figures(judged, np.ones((1, len(report)))))
    return {key: float(np.mean([f[key][0] for f in found])) for key in _DEV}


def row(
    lever: Lever, dev: NDArray[np.float16], gold: NDArray[np.int8], other: NDArray[np.float16], domain: Domain
) -> list[str]:
    """A lever's line of the table: its price on dev, then what it gives on the domain's reporting part."""
    price = priced(lever.fit, dev, gold)
    weights = (~domain.choosing).astype(float)[None, :]
    gain = domain_figures(lever.fit(dev, gold), other, domain.gold)(weights)
    return [
        *(lever.name, lever.looks_at),
        *(f"{price[key]:.4f}" for key in _DEV),
        *(f"{gain[key][0]:.3f}" for key in _ELSEWHERE),
    ]


def page(name: str, rows: Sequence[Sequence[str]], domain: Domain, plot: str) -> str:
    """The page's Markdown."""
    head = ["lever", "looks at", *(f"dev {key}" for key in _DEV), *(f"{domain.name} {key}" for key in _ELSEWHERE)]
    lines_ = [
        f"# Too much neutral: {name}",
        "",
        "Written by `python -m training.neutral`: do not edit. What changing only the scores gives against emotional",
        f"texts of another domain ({domain.title}) being called neutral. Dev's figures are cross-fitted; those of the",
        f"other domain are of its {int((~domain.choosing).sum())} reporting rows, by which nothing was chosen. All",
        "levers move along one curve: fewer emotional texts called neutral, more neutral ones called emotional.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
        *("| " + " | ".join(cells) + " |" for cells in rows),
        "",
        f"![The two errors as neutral is lowered]({plot})",
        "",
    ]
    return "\n".join(lines_)


def draw(path: Path, taxonomy: Taxonomy, dev: tuple, other: NDArray[np.float16], domain: Domain) -> None:
    """How dev's accuracy and the domain's two errors move as neutral is lowered; `dev` is logits and gold (n, 28)."""
    shifts = np.arange(0.0, 2.01, 0.1)
    weights = (~domain.choosing).astype(float)[None, :]
    curves: dict[str, list[float]] = {"dev: accuracy, best of seven": []}
    for by in shifts:
        moved = shifted(taxonomy, NEUTRAL, -float(by))
        judged = weighted_figures(judge({"ekman": moved}, *dev), np.ones((1, len(dev[1]))))
        curves["dev: accuracy, best of seven"].append(float(judged["accuracy_ekman7_single"][0]))
        found = domain_figures(moved, other, domain.gold)(weights)
        for key in _ELSEWHERE[:2]:
            curves.setdefault(f"{domain.name}: {key.replace('_', ' ')}", []).append(float(found[key][0]))
    lines(path, shifts.tolist(), curves, "neutral lowered by (logits)", "share of rows")


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.neutral", description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="model directory, or a name under models/ (default: the shipped one)")
    parser.add_argument("--with", dest="other", help="a second model, to price the mean of both")
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    parser.add_argument("--domain", default="xed", help="a TOML file, or a name in training/domains/")
    parser.add_argument("--out", type=Path, default=DOCS, help="where the page goes")
    options = parser.parse_args(arguments)
    directory = ModelDirectory.load(find_model(options.model), verify=True)
    folder = data_dir(options.data)
    gold = read_tsv(folder / "dev.tsv", len(directory.labels))
    groups = groups_of(directory)["ekman"]
    domain = read_domain(options.domain, tuple(groups), folder.parent)
    dev, other = logits_of(directory, gold.texts), logits_of(directory, domain.texts)
    rows = [row(lever, dev, gold.gold, other, domain) for lever in levers(groups, domain, other)]
    if options.other:
        second = ModelDirectory.load(find_model(options.other), verify=True)
        both = [
            ((mine.astype(np.float32) + logits_of(second, texts)) / 2).astype(np.float16)
            for mine, texts in ((dev, gold.texts), (other, domain.texts))
        ]
        plain = levers(groups, domain, both[1])[0]
        rows.append(row(replace(plain, name=f"mean with {second.name}"), both[0], gold.gold, both[1], domain))
    base = f"{directory.name}/neutral"
    draw(options.out / f"{base}.svg", fit_taxonomy("ekman", groups, dev, gold.gold), (dev, gold.gold), other, domain)
    path = options.out / f"{base}.md"
    path.write_text(page(directory.name, rows, domain, "neutral.svg"), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
