"""A search of a few trials: kept, resumed, pruned, shown."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

pytest.importorskip("torch")
from training.search import Watch, importances, main, open_study, suggested

CONFIG = 'name = "c"\nversion = "0"\nbase = "{base}"\nmax_length = 24\n[[runs]]\nname = "r"\nseed = 1\n'


@pytest.fixture
def arguments(tiny_base: Path, data: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "c.toml").write_text(CONFIG.format(base=tiny_base.as_posix()))
    where = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    return ["--config", str(tmp_path / "c.toml"), "--data", str(data), "--share", "0.5", "--epochs", "2", *where]


def test_a_search_goes_on_where_it_was(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--trials", "2"]) == 0
    assert main([*arguments, "--trials", "4"]) == 0
    study = open_study("search", tmp_path / "work" / "search")
    assert len(study.trials) == 4
    assert len({trial.params["learning_rate"] for trial in study.trials}) == 4, "a resumed search repeats itself"
    done = [trial for trial in study.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    assert len(done) >= 3, "pruning starts when three are complete"
    assert all(0 <= (trial.value or 0) <= 1 for trial in done)
    assert all(len(trial.intermediate_values) == 2 for trial in done), "one report an epoch"
    assert (tmp_path / "out" / "search.md").read_text().count("\n| ") >= 5
    if len({trial.value for trial in done}) > 1:
        assert sum(importances(study).values()) == pytest.approx(1.0)
        assert (tmp_path / "out" / "search" / "search.svg").is_file()
    assert not (tmp_path / "work" / "search" / "search-trial").exists(), "no weights are left"


def test_a_trial_that_died_counts_as_failed(tmp_path: Path) -> None:
    open_study("s", tmp_path).ask()
    study = open_study("s", tmp_path)
    assert [trial.state for trial in study.trials] == [optuna.trial.TrialState.FAIL]


def test_a_poor_trial_is_stopped_and_the_last_epoch_is_not(tmp_path: Path) -> None:
    study = open_study("s", tmp_path)
    for _ in range(3):
        trial = study.ask()
        trial.report(0.5, 1)
        study.tell(trial, 0.5)

    class State:
        global_step, max_steps = 10, 20

    poor = Watch(study.ask())
    with pytest.raises(optuna.TrialPruned):
        poor.on_evaluate(None, State, None, metrics={"eval_macro_ap": 0.1, "epoch": 1.0})
    State.global_step = 20
    Watch(study.ask()).on_evaluate(None, State, None, metrics={"eval_macro_ap": 0.1, "epoch": 1.0})


def test_every_suggestion_is_a_run(tmp_path: Path) -> None:
    study = open_study("s", tmp_path)
    runs = [suggested(study.ask(), 0.25, 2) for _ in range(30)]
    assert {run.loss for run in runs} == {"bce", "focal", "asymmetric"}
    assert all(3e-5 <= run.learning_rate <= 6e-4 and run.share == 0.25 for run in runs)
