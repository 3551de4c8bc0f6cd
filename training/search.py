"""A search over the settings of a run: Optuna, a quarter of train, two epochs a trial, the poor ones stopped early.

    nice python -m training.search [--name NAME] [--trials 12] [--share 0.25] [--epochs 2] [--config CONFIG]

Trials lie in an SQLite file under `.training/search/`, so a search that was stopped goes on where it was: `--trials` is
how many there shall be in all. A trial is worth its cross-fitted macro-F1 over the labels on dev; after each epoch but
the last one it is stopped where its mean average precision, which needs no threshold, is under the median of the others
at that epoch. Dev chooses here: the figures of what was chosen are flattered by it, and belong to no other page.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from transformers import TrainerCallback

from training.batches import tokenize
from training.command import says_errors
from training.data import Corpus, data_dir, read_corpus
from training.evaluate import cross_fitted
from training.plots import bars
from training.recipe import LOSSES, OPTIMIZERS, Recipe, Run, read_recipe
from training.report_page import table
from training.run import predict, train_run
from training.train import CONFIG, WORK

DOCS = Path(__file__).resolve().parent.parent / "docs" / "model"
SEED = 1


class Watch(TrainerCallback):
    """Tells a trial how each epoch went, and stops the hopeless ones."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_evaluate(self, args: Any, state: Any, control: Any, **reported: Any) -> None:
        metrics = reported["metrics"]
        self.trial.report(metrics["eval_macro_ap"], step=round(metrics["epoch"]))
        if state.global_step < state.max_steps and self.trial.should_prune():
            raise optuna.TrialPruned


def suggested(trial: optuna.Trial, share: float, epochs: float) -> Run:
    """A run with the settings that a trial suggests."""
    loss = trial.suggest_categorical("loss", LOSSES)
    return Run(
        name=f"trial-{trial.number}",
        seed=SEED,
        share=share,
        epochs=epochs,
        learning_rate=trial.suggest_float("learning_rate", 3e-5, 6e-4, log=True),
        batch_size=trial.suggest_categorical("batch_size", (16, 32, 64)),
        weight_decay=trial.suggest_float("weight_decay", 1e-3, 0.1, log=True),
        warmup=trial.suggest_float("warmup", 0.0, 0.2),
        optimizer=trial.suggest_categorical("optimizer", OPTIMIZERS),
        loss=loss,
        focus=trial.suggest_float("focus", 0.5, 4.0) if loss != "bce" else 2.0,
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.2),
        layer_decay=trial.suggest_float("layer_decay", 0.7, 1.0),
    )


def value_of(recipe: Recipe, run: Run, corpus: Corpus, folder: Path, watch: TrainerCallback | None = None) -> float:
    """Trains a run and gives its cross-fitted macro-F1 on dev; nothing is left of it in `folder`."""
    train = corpus.train.take(corpus.train.part(run.share)) if run.share < 1 else corpus.train
    shutil.rmtree(folder, ignore_errors=True)  # of a trial that was stopped: Optuna counts it as failed
    try:
        targets = train.gold.astype(np.float32)
        model, tokenizer, _ = train_run(recipe, run, corpus.labels, train, corpus.dev, targets, folder, watch)
        logits = predict(model, tokenize(tokenizer, corpus.dev.texts, recipe.max_length)).astype(np.float16)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = cross_fitted(corpus.groups, logits, corpus.dev.gold)
    return float(figures["macro_f1_28"] if "goemotions" in corpus.groups else figures["macro_f1_sentiment"])


def open_study(name: str, work: Path) -> optuna.Study:
    """The study of that name, new or resumed; trials that died with an earlier command are marked as failed."""
    work.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=name,
        storage=f"sqlite:///{work / name}.db",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    drawn = len(study.get_trials(deepcopy=False))  # in the seed, or a resumed search draws its first trials again
    study.sampler = optuna.samplers.TPESampler(seed=SEED + drawn, n_startup_trials=5)
    return study


def search(
    study: optuna.Study, recipe: Recipe, corpus: Corpus, trials: int, share: float, epochs: float, folder: Path
) -> None:
    """Runs trials until `trials` are complete or pruned; `recipe` says base, window and layers.

    Checkpoints of the running trial lie in `folder`.
    """
    done = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)

    def objective(trial: optuna.Trial) -> float:
        return value_of(recipe, suggested(trial, share, epochs), corpus, folder, Watch(trial))

    while len(study.get_trials(deepcopy=False, states=done)) < trials:
        study.optimize(objective, n_trials=1)


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each setting explains of the complete trials' values (fANOVA, Hutter et al. 2014); {} for too few."""
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=SEED)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def page(study: optuna.Study) -> str:
    """The search as Markdown: every trial, best first."""
    trials = sorted(study.get_trials(deepcopy=False), key=lambda t: (t.value is None, -(t.value or 0), t.number))
    settings = list(dict.fromkeys(name for trial in trials for name in trial.params))
    rows = [
        [
            *(str(trial.number), trial.state.name.lower()),
            "" if trial.value is None else f"{trial.value:.4f}",
            *(_short(trial.params.get(name, "")) for name in settings),
        ]
        for trial in trials
    ]
    return (
        f"# Search: {study.study_name}\n\nWritten by `python -m training.search`: do not edit. Value is the "
        "cross-fitted\nmacro-F1 on dev of a short run on a part of train: good for comparing trials only.\n\n"
        f"{table(['trial', 'state', 'value', *settings], rows)}\n\n"
        f"![How much each setting matters](search/{study.study_name}.svg)\n"
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@says_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.search", description=__doc__.split("\n")[0])
    parser.add_argument("--name", default="search", help="of the study: the same name goes on with it")
    parser.add_argument("--config", default=CONFIG, help="whose base, layers and window are used")
    parser.add_argument("--trials", type=int, default=12, help="how many there shall be in all")
    parser.add_argument("--share", type=float, default=0.25, help="of train")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--data", help="folder of GoEmotions' TSV files (default: EMOBATCH_DATA)")
    parser.add_argument("--work", type=Path, default=WORK, help="where the study is kept")
    parser.add_argument("--out", type=Path, default=DOCS, help="where page and plot go")
    options = parser.parse_args(arguments)
    recipe = replace(read_recipe(options.config), name=options.name)
    corpus = read_corpus(data_dir(options.data), recipe.labels)
    study = open_study(options.name, options.work / "search")
    folder = options.work / "search" / f"{options.name}-trial"
    search(study, recipe, corpus, options.trials, options.share, options.epochs, folder)
    options.out.mkdir(parents=True, exist_ok=True)
    if found := importances(study):
        bars(options.out / "search" / f"{options.name}.svg", found, "what explains the trials' values", "importance")
    path = options.out / "search.md"
    path.write_text(page(study), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
