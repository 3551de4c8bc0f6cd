"""From a few lines of text to a model directory that beats the majority: the whole command, tiny and as configured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from core.model_directory import ModelDirectory
from core.taxonomy import plain
from tests.training.conftest import LABELS, write_rows
from training.baselines import majority_logits
from training.data import DataError, data_dir, read_corpus
from training.evaluate import evaluate, groups_of
from training.figures import figures
from training.train import main

WORDS = {
    0: ("furious", "angry", "hate", "ignore"),
    1: ("scared", "frightens", "noise", "night"),
    2: ("lovely", "happy", "smile", "thank"),
    3: ("wow", "surprise", "expect", "letter"),
    4: ("steel", "pages", "nine", "manual"),
}
FRAMES = ("this is {} and {}", "{} , it is {}", "so {} every {}", "they {} the {}", "I am {} at {}")
CONFIG = """
name = "few"
version = "0"
base = "{base}"
max_length = 24
[[runs]]
name = "run"
seed = 1
epochs = 20
batch_size = 16
learning_rate = 5e-3
patience = 5
"""


def beats_majority(model: Path, data: Path, *, cross_fit: bool) -> None:
    """Asserts that the model at `model` is clearly better on dev than saying train's most frequent label."""
    corpus = read_corpus(data)
    directory = ModelDirectory.load(model, verify=True)
    found = evaluate(directory, corpus.dev, cross_fit=cross_fit)
    bare = {name: plain(name, dict(groups)) for name, groups in groups_of(directory).items()}
    majority = figures(bare, majority_logits(corpus.train, len(corpus.dev)), corpus.dev.gold)
    for key in ("macro_f1_28", "macro_f1_ekman7", "accuracy_ekman7_single"):
        assert found[key] > majority[key] + 0.1, key


def test_a_few_lines_of_text_train_a_model_better_than_the_majority(
    tiny_base: Path, data: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows = []
    for _ in range(400):
        label = int(random.choice(5, p=[0.15, 0.15, 0.2, 0.1, 0.4]))
        pair = [str(word) for word in random.choice(WORDS[label], 2)]
        rows.append((FRAMES[int(random.integers(len(FRAMES)))].format(*pair), (label,)))
    for name in ("labels.txt", "ekman_mapping.json", "sentiment_dict.json"):
        (tmp_path / name).write_text((data / name).read_text())
    write_rows(tmp_path / "train.tsv", rows[:300])
    write_rows(tmp_path / "dev.tsv", rows[300:])
    (tmp_path / "few.toml").write_text(CONFIG.format(base=tiny_base.as_posix()))
    where = ["--work", str(tmp_path / "work"), "--records", str(tmp_path / "records")]
    assert main(["--config", str(tmp_path / "few.toml"), "--data", str(tmp_path), *where]) == 0
    model = tmp_path / "work" / "models" / "few"
    beats_majority(model, tmp_path, cross_fit=True)
    record = json.loads((tmp_path / "records" / "few.json").read_text())
    epochs = record["runs"][0]["epochs"]
    assert len(epochs) <= 20
    best = max(range(len(epochs)), key=lambda n: epochs[n]["macro_f1"])
    assert len(epochs) == 20 or len(epochs) - 1 - best == 5, "stopped five epochs after the best"
    assert "## What it is for" in (model / "README.md").read_text()


@pytest.mark.slow
def test_the_smoke_config_trains_a_model_better_than_the_majority(tmp_path: Path) -> None:
    try:
        data = data_dir()
        read_corpus(data)
    except DataError:
        pytest.skip("GoEmotions is not beside this checkout: nothing to train on")
    where = ["--work", str(tmp_path / "work"), "--records", str(tmp_path / "records")]
    assert main(["--config", "smoke", "--data", str(data), *where]) == 0
    assert not (tmp_path / "records").exists(), "a smoke run is no result"
    beats_majority(tmp_path / "work" / "models" / "smoke", data, cross_fit=True)


def test_two_labels_are_learnt_from_the_rows_that_are_clearly_one(tiny_base: Path, data: Path, tmp_path: Path) -> None:
    config = CONFIG.format(base=tiny_base.as_posix()).replace("max_length", 'labels = "polarity"\nmax_length')
    config = config.replace("epochs = 20", "epochs = 60").replace("patience = 5\n", "")
    (tmp_path / "two.toml").write_text(config)
    corpus = read_corpus(data, "polarity")
    assert corpus.labels == ("positive", "negative")
    assert len(corpus.dev) == 9, "three of joy, six of anger or fear; the rest is ambiguous or neutral"
    assert LABELS[2] == "joy"
    assert corpus.dev.gold.sum(axis=1).tolist() == [1] * len(corpus.dev)
    where = ["--work", str(tmp_path / "work"), "--records", str(tmp_path / "records")]
    assert main(["--config", str(tmp_path / "two.toml"), "--data", str(data), *where]) == 0
    directory = ModelDirectory.load(tmp_path / "work" / "models" / "few", verify=True)
    assert (directory.labels, directory.default_taxonomy) == (("positive", "negative"), "sentiment")
    assert evaluate(directory, corpus.dev)["macro_f1_sentiment"] > 0.9
