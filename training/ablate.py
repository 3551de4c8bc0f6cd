"""What each idea gives: named variants trained one after the other on a part of train, in one table.

    python -m training.ablate [--variants FILE.toml] [--only NAME ...] [--threads 2] [--out docs/model]

Meant to run for hours in the background: it lowers its own priority, writes the table after each variant, and a
variant that was finished is not trained again. A variant is told from the plain one by one setting; those of other
seeds say how much of a difference is chance.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.batches import tokenize
from training.calibrate import Method, fit_taxonomy
from training.command import says_errors
from training.data import Corpus, Rows, data_dir, read_corpus
from training.domain import Domain, domain_figures, read_domain
from training.evaluate import cross_fitted
from training.recipe import Recipe, RecipeError, Run
from training.report_page import table
from training.run import new_classifier, predict
from training.teacher import Teacher
from training.train import WORK, Finished, finish_run

VARIANTS = Path(__file__).resolve().parent / "ablations.toml"
DOCS = Path(__file__).resolve().parent.parent / "docs" / "model"
_DEV = ("macro_f1_28", "macro_f1_ekman7", "accuracy_ekman7_single", "accuracy_six", "macro_f1_sentiment", "ece")
_ELSEWHERE = ("emotional_called_neutral", "neutral_called_emotional")


@dataclass(frozen=True)
class Variant:
    """One row of the table: a `run` to train, a finished `model`, or else variants whose logits are averaged; and how
    scores are fitted."""

    name: str
    run: Run | None
    mean: tuple[str, ...]
    method: Method
    model: str = ""


@dataclass(frozen=True)
class Logits:
    """A variant's logits (n, 28) on dev and on the other domain's reporting part, and the minutes they cost."""

    dev: NDArray[np.float16]
    other: NDArray[np.float16]
    minutes: float


def read_variants(path: Path) -> tuple[Recipe, list[Variant]]:
    """The variants of a TOML, and one recipe of all that have to be trained, in order.

    Raises RecipeError naming what is unknown or comes too late.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        defaults, rows = content.pop("defaults"), content.pop("variants")
        variants = [_variant(defaults, dict(row)) for row in rows]
        runs = tuple(variant.run for variant in variants if variant.run)
        recipe = Recipe(name=path.stem, version="0", runs=runs, **content)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RecipeError(f"No variants in {path}: {error!r}.") from error
    known: set[str] = set()
    for variant in variants:
        if late := [name for name in variant.mean if name not in known]:
            raise RecipeError(f"Variant {variant.name!r} needs {late[0]!r}, which does not come before it.")
        known.add(variant.name)
    return recipe, variants


def _variant(defaults: Mapping[str, Any], row: dict[str, Any]) -> Variant:
    method = Method(**row.pop("method", {}))
    of = (row["of"],) if "of" in row else tuple(row.get("mean", ()))
    if of or "model" in row:
        return Variant(row["name"], None, of, method, row.get("model", ""))
    if unknown := set(row) - {field.name for field in fields(Run)}:
        raise RecipeError(f"Variant {row['name']!r} has unknown settings: {', '.join(sorted(unknown))}.")
    settings = {**defaults, **row}
    return Variant(row["name"], Run(**settings | {"teachers": tuple(settings.get("teachers", ()))}), (), method)


class Ablation:
    """Variants on one corpus: `logits` trains what is missing, `row` measures."""

    def __init__(self, recipe: Recipe, corpus: Corpus, domain: Domain | None, work: Path) -> None:
        self.recipe, self.corpus, self.domain, self.work = recipe, corpus, domain, work
        self.finished: dict[str, Finished] = {}
        self.found: dict[str, Logits] = {}

    def logits(self, variant: Variant) -> Logits:
        """A variant's logits, trained or read back, kept for those that build on it."""
        if variant.run:
            self.found[variant.name] = self._trained(variant.run)
        elif variant.model:
            self.found[variant.name] = self._of_model(variant.model)
        else:
            parts = [self.found[name] for name in variant.mean]
            dev, other = (
                np.mean([getattr(part, side).astype(np.float32) for part in parts], axis=0).astype(np.float16)
                for side in ("dev", "other")
            )
            minutes = sum(part.minutes for part in parts) if len(parts) > 1 else 0.0
            self.found[variant.name] = Logits(dev, other, minutes)
        return self.found[variant.name]

    def _of_model(self, name: str) -> Logits:
        """Those of a finished model directory, which cost no training here."""
        teacher = Teacher(name, self.corpus.labels, self.work)
        texts = self._elsewhere()
        gold = np.zeros((len(texts), len(self.corpus.labels)), np.int8)
        other = Rows(texts, gold, hashlib.sha256("\n".join(texts).encode()).hexdigest())
        return Logits(teacher.logits(self.corpus.dev), teacher.logits(other), 0.0)

    def _elsewhere(self) -> list[str]:
        """The texts of the other domain's reporting part."""
        return [self.domain.texts[i] for i in np.flatnonzero(~self.domain.choosing)] if self.domain else []

    def _trained(self, run: Run) -> Logits:
        corpus = self.corpus
        arguments = (self.recipe, run, corpus.labels, corpus.train, corpus.dev, self.finished, self.work)
        done = self.finished[run.name] = finish_run(*arguments)
        elsewhere = self._elsewhere()
        kept = [done.weights.with_name(f"{side}.npy") for side in ("dev", "other")]
        if not all(path.is_file() for path in kept):
            model, tokenizer = new_classifier(self.recipe, corpus.labels, run.dropout)
            model.load_state_dict(torch.load(done.weights, weights_only=True))
            for path, texts in zip(kept, (corpus.dev.texts, elsewhere), strict=True):
                fresh = path.with_name(f"new-{path.name}")
                np.save(fresh, predict(model, tokenize(tokenizer, texts, self.recipe.max_length)).astype(np.float16))
                fresh.replace(path)
        return Logits(np.load(kept[0]), np.load(kept[1]), done.seconds / 60)

    def row(self, variant: Variant) -> list[str]:
        """A variant's line of the table: cross-fitted on dev, then elsewhere as fitted on the whole of dev."""
        logits, corpus = self.logits(variant), self.corpus
        dev = cross_fitted(corpus.groups, logits.dev, corpus.dev.gold, method=variant.method)
        cells = [variant.name, *(f"{dev[key]:.4f}" for key in _DEV)]
        if self.domain:
            ekman = fit_taxonomy("ekman", corpus.groups["ekman"], logits.dev, corpus.dev.gold, variant.method)
            gold = self.domain.gold[~self.domain.choosing]
            found = domain_figures(ekman, logits.other, gold)(np.ones((1, len(gold))))
            cells += [f"{found[key][0]:.3f}" for key in _ELSEWHERE]
        return [*cells, f"{logits.minutes:.1f}"]


def page(rows: Sequence[Sequence[str]], domain: Domain | None, recipe: Recipe, variants: Sequence[Variant] = ()) -> str:
    """The table as a page; `variants` are all there could be, of which those without a row are named."""
    missing = [variant.name for variant in variants if variant.name not in {row[0] for row in rows}]
    left = f"\nNot run yet: {', '.join(missing)}.\n" if missing else ""
    head = ["variant", *_DEV, *((f"{domain.name} {key}" for key in _ELSEWHERE) if domain else ()), "minutes"]
    shares = sorted({f"{run.share:g}" for run in recipe.runs})
    return (
        "# Ablations\n\nWritten by `python -m training.ablate` from `training/ablations.toml`: do not edit. Rows\n"
        "named shipped are finished models under other ways of fitting scores, and trained nothing; the first of them\n"
        "lets neutral give no way. The others are short runs on a part of train "
        f"(share {', '.join(shares)}), so\ntheir figures are lower: compare rows with rows, and differences with those "
        "between seeds. Dev's figures are\ncross-fitted; the other domain's are of its reporting part, by which "
        "nothing was chosen. Minutes are of training\nalone, on a machine that also did other things.\n\n"
        + table(head, rows)
        + "\n"
        + left
    )


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.ablate", description=__doc__.split("\n")[0])
    parser.add_argument("--variants", type=Path, default=VARIANTS)
    parser.add_argument("--only", nargs="+", help="these variants, and those they build on")
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    parser.add_argument("--domain", default="xed", help="the other domain; an empty name leaves it out")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves its own choice")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, default=DOCS, help="where the page goes")
    options = parser.parse_args(arguments)
    os.nice(19)
    if options.threads:
        torch.set_num_threads(options.threads)
    recipe, variants = read_variants(options.variants)
    folder = data_dir(options.data)
    corpus = read_corpus(folder)
    domain = read_domain(options.domain, tuple(corpus.groups["ekman"]), folder.parent) if options.domain else None
    ablation, rows = Ablation(recipe, corpus, domain, options.work / "ablate"), []
    for variant in variants:
        if options.only and variant.name not in needed(variants, options.only):
            continue
        print(variant.name, file=sys.stderr, flush=True)
        rows.append(ablation.row(variant))
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "ablations.md").write_text(page(rows, domain, recipe, variants), encoding="utf-8")
    print(options.out / "ablations.md")
    return 0


def needed(variants: Sequence[Variant], names: Sequence[str]) -> set[str]:
    """The variants of these names and all that they build on. Raises RecipeError for an unknown name."""
    known = {variant.name: variant for variant in variants}
    if unknown := set(names) - set(known):
        raise RecipeError(f"No variant is called {', '.join(sorted(unknown))}.")
    out: set[str] = set()
    for name in names:
        variant = known[name]
        out |= {name} | needed(variants, [*variant.mean, *(variant.run.teachers if variant.run else ())])
    return out


if __name__ == "__main__":
    raise SystemExit(main())
