"""From a recipe to a model directory, in one command.

    python -m training.train --config emobatch-distilbert-6x384 [--data DIR] [--out DIR]

Every run of the recipe, then calibration and thresholds on dev, then the export. Work in progress lies under
`.training/` by the run's key: a command that was stopped resumes at the last epoch, and finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.model_directory import directory_called, file_sha256
from core.taxonomy import sigmoid
from training.augment import augmented, kept_labels
from training.batches import tokenize
from training.calibrate import fit_all
from training.command import says_errors
from training.data import Corpus, Rows, data_dir, read_corpus
from training.domain import read_domain
from training.evaluate import SPLITS, cross_fitted
from training.export import export, half
from training.recipe import Recipe, Run, read_recipe
from training.records import RECORDS, keep
from training.run import bf16_is_fast, new_classifier, new_model, predict, train_run
from training.teacher import Teacher
from training.trust import fit_trust

REPO = Path(__file__).resolve().parent.parent
WORK = REPO / ".training"
CONFIG = "emobatch-distilbert-6x384"
"""What is trained unless something else is asked for: the large model, from which the default one is distilled."""


@dataclass(frozen=True)
class Finished:
    """What a run leaves behind: its weights, its log, the seconds it took; and, asked, what it says of other rows."""

    recipe: Recipe
    run: Run
    weights: Path
    history: list[dict[str, Any]]
    seconds: float

    def logits(self, labels: Sequence[str], rows: Rows) -> NDArray[np.float16]:
        """Its logits (n, labels) on `rows`; kept beside its weights."""
        kept = self.weights.parent / f"said-{rows.sha256[:12]}.npy"
        if not kept.is_file():
            model, tokenizer = new_model(self.recipe, self.run, labels, self.weights.parent.parent)
            model.load_state_dict(torch.load(self.weights, weights_only=True))
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16_is_fast()):  # a target needs no more digits
                said = predict(model, tokenize(tokenizer, rows.texts, self.recipe.max_length))
            np.save(fresh := kept.with_suffix(f".{os.getpid()}.npy"), said.astype(np.float16))
            fresh.replace(kept)
        return np.load(kept)


def soften(gold: NDArray[np.int8], run: Run, teachers: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """A run's targets (n, labels): gold, or its blend with the mean probability of the teachers' logits (n, labels)."""
    hard = gold.astype(np.float32)
    if not teachers:
        return hard
    soft = np.mean([sigmoid(logits) for logits in teachers], axis=0)
    return ((1 - run.teacher_weight) * hard + run.teacher_weight * soft).astype(np.float32)


def finish_run(
    recipe: Recipe,
    run: Run,
    labels: Sequence[str],
    train: Rows,
    dev: Rows,
    finished: dict[str, Finished],
    work: Path,
    unlabelled: Mapping[str, Rows] | None = None,
) -> Finished:
    """Trains `run`, or reads what an earlier command left of it.

    `finished` are the recipe's earlier runs by name, `unlabelled` the sets that its runs name so.
    """
    folder = work / f"{run.name}-{recipe.key(run, train.sha256)[:12]}"
    weights, log = folder / "weights.pt", folder / "log.json"
    if not log.is_file():
        rows, targets = lesson(recipe, run, labels, train, finished, work, unlabelled)
        started = time.monotonic()
        model, _, history = train_run(recipe, run, labels, rows, dev, targets, folder / "checkpoints")
        torch.save(model.state_dict(), weights)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        log.write_text(json.dumps({"history": history, "seconds": round(time.monotonic() - started)}))
    kept = json.loads(log.read_text())
    return Finished(recipe, run, weights, kept["history"], kept["seconds"])


def lesson(
    recipe: Recipe,
    run: Run,
    labels: Sequence[str],
    train: Rows,
    finished: dict[str, Finished],
    work: Path,
    unlabelled: Mapping[str, Rows] | None = None,
) -> tuple[Rows, NDArray[np.float32]]:
    """What a run learns: rows, and targets (n, labels). Of variants and texts without gold what the teachers say."""
    more, soft = _variants(recipe, run, labels, train, finished, work)
    rows, targets = more, soft
    for name in run.unlabelled:
        texts = (unlabelled or {})[name]
        said = [teach(teacher, labels, texts, finished, work) for teacher in run.teachers]
        rows = rows + texts
        targets = np.concatenate([targets, soften(texts.gold, replace(run, teacher_weight=1.0), said)])
    return rows, targets


def _variants(
    recipe: Recipe, run: Run, labels: Sequence[str], train: Rows, finished: dict[str, Finished], work: Path
) -> tuple[Rows, NDArray[np.float32]]:
    targets = soften(train.gold, run, [teach(name, labels, train, finished, work) for name in run.teachers])
    if run.share < 1:
        index = train.part(run.share)
        train, targets = train.take(index), targets[index]
    if not run.augment:
        return train, targets
    if run.augment_with == "words":
        more = augmented(train, run.augment, run.seed)
        said = [teach(name, labels, more, finished, work) for name in run.teachers]
        soft = soften(more.gold, replace(run, teacher_weight=1.0), said)
    else:
        more = kept_labels(train, run.augment, run.seed, run.augment_with, recipe.base)
        soft = np.concatenate([targets] * run.augment)
    return train + more, np.concatenate([targets, soft])


def teach(
    name: str, labels: Sequence[str], train: Rows, finished: dict[str, Finished], work: Path
) -> NDArray[np.floating]:
    """A teacher's logits (n, labels) on train: an earlier run's, or those of the model directory of that name."""
    return finished[name].logits(labels, train) if name in finished else Teacher(name, labels, work).logits(train)


def directories(recipe: Recipe, labels: Sequence[str], work: Path) -> list[Teacher]:
    """The model directories among the teachers of a recipe's runs, each once."""
    runs = {run.name for run in recipe.runs}
    names = dict.fromkeys(name for run in recipe.runs for name in run.teachers if name not in runs)
    return [Teacher(name, labels, work) for name in names]


def foreign_teachers(recipe: Recipe) -> list[str]:
    """The runs of a recipe that start elsewhere and teach: nothing in the model directory would tell of them."""
    taught_by = {name for run in recipe.runs for name in run.teachers}
    return [run.name for run in recipe.runs if run.base and run.name in taught_by]


def run_record(done: Finished, corpus: Corpus) -> dict[str, Any]:
    """Who taught, for a run that is no model directory, and its cross-fitted figures on dev."""
    logits = done.logits(corpus.labels, corpus.dev)
    return {
        "name": done.run.base,
        "version": "",
        "sha256": file_sha256(done.weights),
        "dev": cross_fitted(corpus.groups, logits, corpus.dev.gold, method=done.recipe.calibration),
    }


def texts_of(name: str, corpus: Corpus, data: Path) -> Rows:
    """The texts of a domain's choosing part, without gold: nothing of the part that is reported is ever learnt."""
    domain = read_domain(name, tuple(corpus.groups["ekman"]), data.parent)
    texts = list(dict.fromkeys(text for text, chosen in zip(domain.texts, domain.choosing, strict=True) if chosen))
    gold = np.zeros((len(texts), len(corpus.labels)), np.int8)
    return Rows(texts, gold, hashlib.sha256("\n".join(texts).encode()).hexdigest())


def machine() -> dict[str, Any]:
    """What it was trained on, without saying whose: processor model, cores, arithmetic, library versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].split(":", 1)[1].strip() if named else cpu
    return {
        "processor": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu,
        "cores": os.cpu_count(),
        "autocast": "bfloat16" if bf16_is_fast() else "none",
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def code_version() -> str:
    """A hash of training's and core's scoring sources: what produced the weights, with or without a git checkout."""
    sources = [*sorted((REPO / "training").glob("*.py")), REPO / "core" / "taxonomy.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def train_recipe(recipe: Recipe, data: Path, out: Path, work: Path = WORK) -> Path:
    """Runs the whole recipe and exports the last run.

    Args:
        recipe: what to train.
        data: a folder as `training.data.data_dir` gives it.
        out: the model directory to write.
        work: where runs and checkpoints are kept.

    Returns:
        `out`, now a model directory that verifies.
    """
    corpus = read_corpus(data, recipe.labels)
    labels, groups, train, dev = corpus.labels, corpus.groups, corpus.train, corpus.dev
    unlabelled = {name: texts_of(name, corpus, data) for run in recipe.runs for name in run.unlabelled}
    finished: dict[str, Finished] = {}
    for run in recipe.runs:
        print(f"run {run.name}: {run.epochs:g} epochs, seed {run.seed}", file=sys.stderr, flush=True)
        finished[run.name] = finish_run(recipe, run, labels, train, dev, finished, work, unlabelled)
    last = recipe.runs[-1]
    model, tokenizer = new_classifier(recipe, labels, last.dropout)
    model.load_state_dict(torch.load(finished[last.name].weights, weights_only=True))
    model.load_state_dict({name: tensor.float() for name, tensor in half(model).items()})  # fit what will ship
    logits = predict(model, tokenize(tokenizer, dev.texts, recipe.max_length)).astype(np.float16)
    record = {
        "recipe": recipe.to_dict(),
        "data": {
            "train_sha256": train.sha256,
            "train_rows": len(train),
            "dev_sha256": dev.sha256,
            "dev_rows": len(dev),
        },
        "code": code_version(),
        "machine": machine(),
        "hours": round(sum(f.seconds for f in finished.values()) / 3600, 3),
        "architecture": {
            **{k: getattr(model.config, k) for k in ("n_layers", "dim", "n_heads", "hidden_dim", "vocab_size")},
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        "calibration": asdict(recipe.calibration),
        "dev": cross_fitted(groups, logits, dev.gold, method=recipe.calibration),
        "dev_splits": SPLITS,
        "start": start.name if (start := directory_called(recipe.base)) else None,
        "teachers": [
            *(teacher.record(dev) for teacher in directories(recipe, labels, work)),
            *(run_record(finished[name], corpus) for name in foreign_teachers(recipe)),
        ],
        "runs": [{"name": name, "seconds": f.seconds, "log": f.history} for name, f in finished.items()],
    }
    return export(
        out,
        name=recipe.name,
        version=recipe.version,
        model=model,
        tokenizer=tokenizer,
        labels=labels,
        max_length=recipe.max_length,
        taxonomies=fit_all(groups, logits, dev.gold, recipe.calibration),
        record=record,
        trust=fit_trust(logits, labels),
        default_taxonomy="ekman" if "ekman" in groups else next(iter(groups)),
    )


def arguments_of(prog: str, doc: str | None, config: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command that trains a recipe, `config` unless another is named."""
    parser = argparse.ArgumentParser(prog=prog, description=(doc or "").split("\n")[0])
    parser.add_argument("--config", default=config, help="a TOML file, or a name in training/configs/")
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    parser.add_argument("--base", help="other base weights than the config's: a hub name, a folder, a model directory")
    parser.add_argument("--out", type=Path, help="model directory to write (default: models/<name>, version 0 aside)")
    parser.add_argument("--work", type=Path, default=WORK, help="where checkpoints are kept")
    parser.add_argument("--records", type=Path, default=RECORDS, help="where the run's record is kept")
    return parser.parse_args(arguments)


def build(options: argparse.Namespace) -> Path:
    """Trains what `arguments_of` read, keeps its record, and returns the model directory.

    Raises EmobatchError for a user's mistake.
    """
    recipe = read_recipe(options.config)
    if options.base:
        tail = Path(options.base).name.lower()
        recipe = replace(recipe, base=options.base, name=f"{recipe.name}-from-{tail}", version="0")
    home = REPO / "models" if recipe.version != "0" else options.work / "models"
    out = train_recipe(recipe, data_dir(options.data), options.out or home / recipe.name, options.work)
    if recipe.recorded:
        keep(out, options.records)
    return out


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    print(build(arguments_of("python -m training.train", __doc__, CONFIG, arguments)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
