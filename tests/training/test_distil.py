"""A small model learns from a model directory: what it starts from, what it hears, what its record and card say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

import training.run  # noqa: E402
from core.model_directory import ModelDirectory  # noqa: E402
from core.taxonomy import sigmoid  # noqa: E402
from tests.training.conftest import LABELS, write_rows  # noqa: E402
from training import teacher as asking  # noqa: E402
from training import train as command  # noqa: E402
from training.augment import augmented, variant  # noqa: E402
from training.data import Rows, read_tsv  # noqa: E402
from training.distil import TOLERANCE, main, verdict  # noqa: E402
from training.evaluate import evaluate, logits_of  # noqa: E402
from training.recipe import Recipe, RecipeError, Run, read_recipe  # noqa: E402
from training.run import new_classifier  # noqa: E402
from training.teacher import Teacher  # noqa: E402
from training.train import lesson, train_recipe  # noqa: E402

CONFIG = """
name = "small"
version = "3"
base = "{large}"
max_length = 24
layers = [1]
hidden_dim = 12
note = "Chosen by hand."
[[runs]]
name = "student"
seed = 1
max_steps = 16
batch_size = 8
teachers = ["{large}"]
teacher_weight = 0.5
augment = 1
"""


@pytest.fixture(scope="module")
def large(tiny_base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    """A model directory of two layers: base and teacher."""
    folder = tmp_path_factory.mktemp("large")
    recipe = Recipe("large", "1", str(tiny_base), 24, (Run("run", 1, max_steps=12, batch_size=8),))
    return ModelDirectory.load(train_recipe(recipe, data, folder / "model", folder / "work"))


@pytest.fixture(scope="module")
def small(large: ModelDirectory, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the command line distilled it: `model`, `work`, and the config."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.toml").write_text(CONFIG.format(large=large.path.as_posix()))
    assert main(arguments(folder, data)) == 0
    return folder


def arguments(folder: Path, data: Path) -> list[str]:
    config, out, work = (str(folder / name) for name in ("small.toml", "model", "work"))
    records = str(folder / "records")
    return ["--config", config, "--data", str(data), "--out", out, "--work", work, "--records", records]


def test_the_small_model_has_the_shape_asked_for(small: Path) -> None:
    model = ModelDirectory.load(small / "model", verify=True)
    assert (model.name, model.n_layers, model.dim, model.hidden_dim) == ("small", 1, 16, 12)
    assert load_file(model.weights_path)["distilbert.transformer.layer.0.ffn.lin1.weight"].shape == (12, 16)
    assert (model.path / "tokenizer.json").read_bytes() == (
        Path(json.loads((model.path / "training.json").read_text())["recipe"]["base"]) / "tokenizer.json"
    ).read_bytes()


def test_a_student_starts_from_its_base_classifier_and_layers(large: ModelDirectory, small: Path) -> None:
    start, _ = new_classifier(read_recipe(small / "small.toml"), LABELS, 0.1)
    theirs = {name: tensor.float() for name, tensor in load_file(large.weights_path).items()}
    ours = start.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if "classifier" in name)
    kept = "attention.q_lin.weight"
    assert torch.equal(ours[f"distilbert.transformer.layer.0.{kept}"], theirs[f"distilbert.transformer.layer.1.{kept}"])


def test_a_whole_base_says_what_it_said(large: ModelDirectory, data: Path) -> None:
    recipe = Recipe("whole", "1", str(large.path), 24, (Run("run", 1),))
    model, tokenizer = new_classifier(recipe, LABELS, 0.1)
    texts = read_tsv(data / "dev.tsv", 5).texts
    logits = training.run.predict(model, training.run.tokenize(tokenizer, texts, 24)).astype(np.float16)
    assert np.array_equal(logits, logits_of(large, texts))


def test_finished_runs_and_answers_are_not_repeated(
    small: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ModelDirectory.load(small / "model").sha256
    monkeypatch.setattr(command, "train_run", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(asking, "logits_of", lambda *_: pytest.fail("asked again"))
    assert main(arguments(small, data)) == 0
    assert ModelDirectory.load(small / "model").sha256 == before
    said = json.loads(capsys.readouterr().out)
    assert (said["student"], said["teacher"]) == ("small", "large")
    assert said["figures"]["macro_f1_28"][1] - said["figures"]["macro_f1_28"][0] == pytest.approx(
        said["lost"], abs=2e-4
    )


def test_a_stopped_command_resumes_to_the_same_weights(
    small: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(small / "small.toml")
    step = training.run._Trainer.training_step
    steps = []

    def stop(self: object, *arguments: object, **named: object) -> object:
        steps.append(1)
        if len(steps) == 10:  # 30 rows and 30 variants are an epoch of eight steps
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    monkeypatch.setattr(training.run._Trainer, "training_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, data, tmp_path / "model", tmp_path / "work")
    monkeypatch.setattr(asking, "logits_of", lambda *_: pytest.fail("asked again"))
    resumed = train_recipe(recipe, data, tmp_path / "model", tmp_path / "work")
    assert len(steps) == 10 + 8, "only the second epoch is done again"
    one, other = (load_file(folder / "model.safetensors") for folder in (resumed, small / "model"))
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_record_and_card_show_both_models(small: Path, large: ModelDirectory, data: Path) -> None:
    record = json.loads((small / "model" / "training.json").read_text())
    (teacher,) = record["teachers"]
    assert (teacher["name"], teacher["sha256"]) == ("large", large.sha256)
    assert teacher["dev"] == pytest.approx(evaluate(large, read_tsv(data / "dev.tsv", 5), cross_fit=True))
    card = (small / "model" / "README.md").read_text()
    assert "1 layers × 16" in card
    assert "distilled from large" in card
    assert "Chosen by hand." in card
    assert f"| macro_f1_28 | {record['dev']['macro_f1_28']:.3f} | {teacher['dev']['macro_f1_28']:.3f} |" in card
    assert "12 neurons" in card


def test_a_teacher_answers_as_the_directory_does(large: ModelDirectory, data: Path, tmp_path: Path) -> None:
    rows = read_tsv(data / "dev.tsv", 5)
    said = Teacher(str(large.path), LABELS, tmp_path).logits(rows)
    assert said.astype(float) == pytest.approx(logits_of(large, rows.texts).astype(float), abs=0.1)  # bfloat16
    assert np.array_equal(Teacher(str(large.path), LABELS, tmp_path).logits(rows), said)


def test_variants_are_learnt_from_the_teacher_alone(large: ModelDirectory, data: Path, tmp_path: Path) -> None:
    train = read_tsv(data / "train.tsv", 5)
    run = Run("s", 4, teachers=(str(large.path),), teacher_weight=0.25, augment=2)
    recipe = Recipe("n", "1", str(large.path), 24, (run,))
    rows, targets = lesson(recipe, run, LABELS, train, {}, tmp_path)
    assert len(rows) == len(targets) == 3 * len(train)
    said = sigmoid(logits_of(large, rows.texts).astype(float))
    assert targets[: len(train)] == pytest.approx(0.75 * train.gold + 0.25 * said[: len(train)], abs=0.02)
    assert targets[len(train) :] == pytest.approx(said[len(train) :], abs=0.02)


def test_variants_are_seeded_other_texts() -> None:
    rows = Rows(["one two three four five six", "seven"] * 20, np.ones((40, 5), np.int8), "hash")
    one, again, other = augmented(rows, 2, 1), augmented(rows, 2, 1), augmented(rows, 2, 2)
    assert len(one) == 80
    assert (one.texts, one.sha256) == (again.texts, again.sha256)
    assert one.texts != other.texts
    assert one.sha256 != other.sha256
    assert not one.gold.any()
    assert all(one.texts)
    assert len(set(one.texts)) > 20
    assert {word for text in one.texts for word in text.split()} <= set("one two three four five six seven".split())


def test_a_text_of_which_nothing_is_left_stays() -> None:
    assert {variant(["word"], ["x"], ["word"], np.random.default_rng(seed)) for seed in range(50)} == {"word"}


def test_the_measure_is_the_best_teacher() -> None:
    def figures(macro: float) -> dict[str, float]:
        return dict.fromkeys(("macro_f1_ekman7", "accuracy_ekman7_single", "accuracy_six", "ece"), 0.5) | {
            "macro_f1_28": macro
        }

    record = {
        "recipe": {"name": "s"},
        "dev": figures(0.5),
        "teachers": [{"name": "a", "dev": figures(0.4)}, {"name": "b", "dev": figures(0.5 + TOLERANCE - 0.001)}],
    }
    assert verdict(record)["teacher"] == "b"
    assert verdict(record)["within_tolerance"] is True
    assert verdict(record | {"dev": figures(0.498)})["within_tolerance"] is False


def test_a_run_s_key_moves_with_the_directory_and_the_shape(
    large: ModelDirectory, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(small / "small.toml")
    run = recipe.runs[0]
    assert recipe.key(run, "data") == recipe.key(run, "data")
    assert recipe.key(run, "data") != replace(recipe, layers=(0,)).key(run, "data")
    assert recipe.key(run, "data") != replace(recipe, hidden_dim=8).key(run, "data")
    based = replace(recipe, runs=(Run("run", 1),))
    taught = replace(recipe, base="elsewhere")
    before = [one.key(one.runs[0], "data") for one in (based, taught)]
    monkeypatch.setattr("training.recipe.identity_of", lambda name: f"another {name}")
    assert based.key(based.runs[0], "data") != before[0], "the base was exchanged"
    monkeypatch.setattr("training.recipe.identity_of", lambda name: name)
    assert taught.key(taught.runs[0], "data") != before[1], "the teacher was exchanged"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("layers = [1]", "layers = [2]", "rising indices of the base's 2 layers"),
        ("layers = [1]", "layers = ['last']", "whole numbers"),
        ("hidden_dim = 12", "hidden_dim = 33", "between 1 and the base's 32"),
        ('teachers = ["{large}"]', 'teachers = ["nobody"]', "no model directory is called so: nobody"),
        ('teachers = ["{large}"]\nteacher_weight = 0.5\naugment = 1', "", "has a model directory as teacher"),
        ('teachers = ["{large}"]\nteacher_weight = 0.5', "", "it needs teachers"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_in_words(
    large: ModelDirectory,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    message: str,
) -> None:
    assert old in CONFIG
    (tmp_path / "small.toml").write_text(CONFIG.replace(old, new).replace("{large}", large.path.as_posix()))
    assert main(arguments(tmp_path, data)) == 2
    assert message in capsys.readouterr().err


def test_a_teacher_of_other_labels_is_refused(large: ModelDirectory, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("sad\nglad\nmad\nneutral\n")
    (tmp_path / "ekman_mapping.json").write_text('{"sad": ["sad"], "glad": ["glad"], "mad": ["mad"]}')
    (tmp_path / "sentiment_dict.json").write_text('{"positive": ["glad"], "negative": ["sad", "mad"]}')
    write_rows(tmp_path / "train.tsv", [("so it is", (0,)), ("or not", (1,))])
    write_rows(tmp_path / "dev.tsv", [("so it is", (0,)), ("or not", (1,))])
    (tmp_path / "small.toml").write_text(CONFIG.format(large=large.path.as_posix()))
    with pytest.raises(RecipeError, match="other labels"):
        train_recipe(read_recipe(tmp_path / "small.toml"), tmp_path, tmp_path / "model", tmp_path / "work")
