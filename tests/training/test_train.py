"""The whole path on a tiny scale: recipe to model directory, resumed, repeated, read back, evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

import training.run  # noqa: E402
from core.model_directory import ModelDirectory  # noqa: E402
from training import train as command  # noqa: E402
from training.batches import LikeLengths  # noqa: E402
from training.data import read_tsv  # noqa: E402
from training.evaluate import evaluate  # noqa: E402
from training.export import half  # noqa: E402
from training.figures import FIGURES  # noqa: E402
from training.optimize import parameter_groups  # noqa: E402
from training.recipe import CONFIGS, Recipe, RecipeError, Run, read_recipe  # noqa: E402
from training.run import new_classifier  # noqa: E402
from training.train import main, soften, train_recipe  # noqa: E402

CONFIG = """
name = "tiny"
version = "7"
base = "{base}"
max_length = 24
[defaults]
max_steps = 12
batch_size = 8
[[runs]]
name = "teacher"
seed = 1
[[runs]]
name = "student"
seed = 2
average = 0.9
teachers = ["teacher"]
teacher_weight = 0.5
"""


def started(base: Path) -> Recipe:
    """A recipe of one run that starts from `base`."""
    return Recipe("n", "1", str(base), 24, (Run("run", 1),))


@pytest.fixture(scope="module")
def trained(tiny_base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model directory that the command line made, and its work folder."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(CONFIG.format(base=tiny_base.as_posix()))
    arguments = ["--config", str(folder / "tiny.toml"), "--data", str(data)]
    where = ["--out", str(folder / "model"), "--work", str(folder / "work"), "--records", str(folder / "records")]
    assert main([*arguments, *where]) == 0
    return folder / "model", folder / "work"


def test_the_directory_reads_back(trained: tuple[Path, Path], tiny_base: Path) -> None:
    model = ModelDirectory.load(trained[0], verify=True)
    assert (model.name, model.version, model.max_length, model.n_layers, model.dim) == ("tiny", "7", 24, 2, 16)
    assert list(model.taxonomies) == ["goemotions", "ekman", "sentiment"]
    weights = load_file(model.weights_path)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert set(weights) == set(new_classifier(started(tiny_base), model.labels, 0.1)[0].state_dict())


def test_the_tokenizer_neither_cuts_nor_pads(trained: tuple[Path, Path]) -> None:
    tokenizer = json.loads((trained[0] / "tokenizer.json").read_text())
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None


def test_transformers_loads_it_as_it_is(trained: tuple[Path, Path]) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(trained[0]).float().eval()
    tokens = AutoTokenizer.from_pretrained(trained[0])(["so happy with this lamp"], return_tensors="pt")
    with torch.no_grad():
        logits = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits
    assert logits.shape == (1, 5)
    assert model.config.id2label[2] == "joy"


def test_evaluation_gives_every_figure(trained: tuple[Path, Path], data: Path) -> None:
    model = ModelDirectory.load(trained[0])
    for cross_fit in (False, True):
        found = evaluate(model, read_tsv(data / "dev.tsv", 5), cross_fit=cross_fit)
        assert tuple(found) == FIGURES
        assert all(0 <= found[key] <= 1 for key in FIGURES[:-1])


def test_the_record_says_how_and_names_no_place(trained: tuple[Path, Path], tiny_base: Path) -> None:
    record = json.loads((trained[0] / "training.json").read_text())
    assert record["recipe"]["runs"][1]["teachers"] == ["teacher"]
    assert record["data"]["train_rows"] == 30
    assert len(record["data"]["train_sha256"]) == 64
    assert [run["name"] for run in record["runs"]] == ["teacher", "student"]
    assert any("eval_macro_f1" in line for line in record["runs"][0]["log"])
    assert set(record["dev"]) == set(FIGURES)
    assert "tiny 7" in (trained[0] / "README.md").read_text()


def test_finished_runs_are_not_repeated(
    trained: tuple[Path, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(trained[0].parent / "tiny.toml")
    monkeypatch.setattr(command, "train_run", lambda *_: pytest.fail("trained again"))
    again = train_recipe(recipe, data, tmp_path / "again", trained[1])
    assert ModelDirectory.load(again).sha256 == ModelDirectory.load(trained[0]).sha256


def test_the_same_recipe_gives_the_same_weights(trained: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    recipe = read_recipe(trained[0].parent / "tiny.toml")
    fresh = train_recipe(recipe, data, tmp_path / "fresh", tmp_path / "work")
    assert ModelDirectory.load(fresh).sha256 == ModelDirectory.load(trained[0]).sha256


def test_a_stopped_command_resumes_to_the_same_weights(
    trained: tuple[Path, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(trained[0].parent / "tiny.toml")
    step = training.run._Trainer.training_step
    steps = []

    def stop(self: object, *arguments: object, **named: object) -> object:
        steps.append(1)
        if len(steps) == 12 + 10:  # in the student's third epoch of four steps each
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    monkeypatch.setattr(training.run._Trainer, "training_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, data, tmp_path / "model", tmp_path / "work")
    resumed = train_recipe(recipe, data, tmp_path / "model", tmp_path / "work")
    assert len(steps) == 12 + 10 + 4, "only the third epoch is done again"
    one, other = (load_file(folder / "model.safetensors") for folder in (resumed, trained[0]))
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_training_moves_the_weights(trained: tuple[Path, Path], tiny_base: Path) -> None:
    from training.base import load_base

    before = half(load_base(str(tiny_base))[0])  # type: ignore[arg-type]
    after = load_file(trained[0] / "model.safetensors")
    name = "transformer.layer.1.ffn.lin1.weight"
    assert (before[name] != after[f"distilbert.{name}"]).float().mean() > 0.5


def test_targets_blend_gold_with_the_mean_teacher() -> None:
    gold = np.array([[1, 0]], np.int8)
    run = Run("s", 1, teachers=("a", "b"), teacher_weight=0.25)
    teachers = [np.array([[z, 0.0]], np.float32) for z in (np.log(3), -np.log(3))]
    assert soften(gold, run, teachers) == pytest.approx(np.array([[0.75 + 0.25 * 0.5, 0.25 * 0.5]]))
    assert soften(gold, Run("t", 1), []).tolist() == [[1.0, 0.0]]


def test_rates_fall_with_depth_and_small_weights_do_not_decay(tiny_base: Path) -> None:
    model, _ = new_classifier(started(tiny_base), ["a", "b"], 0.1)
    run = Run("r", 1, learning_rate=1.0, head_rate=5.0, layer_decay=0.5, weight_decay=0.01)
    rate = {id(p): (g["lr"], g["weight_decay"]) for g in parameter_groups(model, run) for p in g["params"]}
    named = {name: rate[id(weight)] for name, weight in model.named_parameters()}
    assert named["classifier.weight"] == (5.0, 0.01)
    assert named["classifier.bias"] == (5.0, 0.0)
    assert named["distilbert.transformer.layer.1.ffn.lin1.weight"] == (1.0, 0.01)
    assert named["distilbert.transformer.layer.0.ffn.lin1.weight"] == (0.5, 0.01)
    assert named["distilbert.embeddings.word_embeddings.weight"] == (0.25, 0.0)
    assert len(rate) == len(list(model.parameters()))


def test_batches_hold_like_lengths_and_every_row_once() -> None:
    torch.manual_seed(0)
    lengths = np.random.default_rng(0).integers(3, 60, 1003).tolist()
    order = list(LikeLengths(lengths, batch_size=8))
    assert sorted(order) == list(range(1003))
    batches = [[lengths[i] for i in order[k : k + 8]] for k in range(0, 1003, 8)]
    padding = sum(max(batch) * len(batch) for batch in batches) / sum(lengths)
    assert padding < 1.1, "rows of unlike length share batches"
    firsts = [max(batch) for batch in batches]
    drift = np.corrcoef(firsts, range(len(firsts)))[0, 1]
    assert abs(drift) < 0.25, "batches come in order of length"


def test_weights_that_fp16_cannot_hold_are_refused(tiny_base: Path) -> None:
    model, _ = new_classifier(started(tiny_base), ["a", "b"], 0.1)
    with torch.no_grad():
        model.classifier.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"classifier\.weight"):
        half(model)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_reads(path: Path) -> None:
    assert read_recipe(path.stem).runs


_RUN = "name='n'\nversion='1'\nbase='b'\nmax_length=9\n[[runs]]\nname='a'\nseed=1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version='1'\nbase='b'\nmax_length=9\n[[runs]]\nname='a'\nseed=1", "name"),
        ("name='n'\nversion='1'\nbase='b'\nmax_length=9", "runs"),
        ("name='n'\nversion='1'\nbase='b'\nmax_length=9\n[[runs]]\nname='a'\nseed=1\nspeed=3", "speed"),
        ("name='n'\nversion='1'\nbase='b'\nmax_length=9\n[[runs]]\nname='a'\nseed=1\nepochs=0", "over 0"),
        (f"{_RUN}loss='vocal'", "vocal"),
        (f"{_RUN}optimizer='sgd'", "sgd"),
        (f"{_RUN}mask_tokens=0.7\ndrop_tokens=0.7", "between 0 and 1"),
        (f"{_RUN}patience=2\naverage=0.9", "choose one"),
        (f"labels='colours'\n{_RUN}", "colours"),
        (f"calibration={{platt='some'}}\n{_RUN}", "platt"),
        ("name =", "No recipe"),
    ],
)
def test_a_bad_config_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_recipe(tmp_path / "bad.toml")


def test_a_recipe_whose_teacher_comes_later_is_refused() -> None:
    student = Run("student", 1, teachers=("teacher",), teacher_weight=0.5)
    with pytest.raises(RecipeError, match="before"):
        Recipe("n", "1", "b", 9, (student, Run("teacher", 1)))


def test_a_run_s_key_moves_with_its_teacher() -> None:
    def key(seed: int) -> str:
        runs = (Run("t", seed), Run("s", 1, teachers=("t",), teacher_weight=0.5))
        return Recipe("n", "1", "b", 9, runs).key(runs[1], "data")

    assert key(1) == key(1)
    assert key(1) != key(2)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "focal", "optimizer": "nadam", "label_smoothing": 0.1},
        {"loss": "asymmetric", "optimizer": "adafactor", "neutral_smoothing": 0.2},
        {"mixup": 0.4, "drop_tokens": 0.1, "mask_tokens": 0.1},
        {"augment": 1, "augment_with": "synonyms", "share": 0.5},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_every_switch_trains_and_resumes_alike(
    settings: dict, tiny_base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("run", 1, epochs=2, batch_size=8, **settings)
    recipe = Recipe("switched", "1", str(tiny_base), 24, (run,))
    whole = train_recipe(recipe, data, tmp_path / "whole", tmp_path / "work-1")
    step, steps = training.run._Trainer.training_step, []

    def stop(self: object, *arguments: object, **named: object) -> object:
        steps.append(1)
        if len(steps) == 6:  # in the second epoch
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    monkeypatch.setattr(training.run._Trainer, "training_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, data, tmp_path / "parts", tmp_path / "work-2")
    monkeypatch.setattr(training.run._Trainer, "training_step", step)
    parts = train_recipe(recipe, data, tmp_path / "parts", tmp_path / "work-2")
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in other)
    plain = Recipe("switched", "1", str(tiny_base), 24, (Run("run", 1, epochs=2, batch_size=8),))
    usual = load_file(train_recipe(plain, data, tmp_path / "plain", tmp_path / "work-3") / "model.safetensors")
    assert not all(torch.equal(one[name], usual[name]) for name in one), "the switch changes nothing"


def test_another_base_makes_another_model(
    trained: tuple[Path, Path], tiny_base: Path, data: Path, tmp_path: Path
) -> None:
    config = trained[0].parent / "tiny.toml"
    (tmp_path / "c.toml").write_text(config.read_text().replace(tiny_base.as_posix(), "nowhere/at-all"))
    where = ["--work", str(tmp_path / "work"), "--records", str(tmp_path / "records")]
    arguments = ["--config", str(tmp_path / "c.toml"), "--base", str(tiny_base), "--data", str(data)]
    assert main([*arguments, *where]) == 0
    made = tmp_path / "work" / "models" / f"tiny-from-{tiny_base.name}"
    assert ModelDirectory.load(made, verify=True).version == "0"
    assert (tmp_path / "records" / f"{made.name}.json").is_file()
