"""core.model_directory: what it reads, and what it refuses. No torch: the weights here are a few bytes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from core.errors import EmobatchError
from core.flags import Trust
from core.model_directory import (
    CONFIG,
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    ModelDirectory,
    ModelDirectoryError,
    file_hashes,
    find_model,
    manifest_checksum,
    shipped_model_path,
)
from core.taxonomy import plain

ARCHITECTURE = {
    "n_layers": 2,
    "dim": 8,
    "n_heads": 2,
    "hidden_dim": 16,
    "vocab_size": 99,
    "max_position_embeddings": 32,
    "activation": "gelu",
}


def write(folder: Path, **changes: object) -> Path:
    """A small model directory over two labels; `changes` go into the manifest before its checksum."""
    folder.mkdir(exist_ok=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / TOKENIZER).write_text("{}")
    (folder / CONFIG).write_text(json.dumps(ARCHITECTURE))
    manifest = {
        "format": 1,
        "name": "tiny",
        "version": "1.2.3",
        "labels": ["joy", "neutral"],
        "max_length": 16,
        "default_taxonomy": "two",
        "taxonomies": [plain("two", {"joy": [0], "neutral": [1]}).to_dict()],
        "files": file_hashes(folder),
    } | changes
    (folder / MANIFEST).write_text(json.dumps(manifest | {"checksum": manifest_checksum(manifest)}))
    return folder


def test_loads_what_was_written(tmp_path: Path) -> None:
    model = ModelDirectory.load(write(tmp_path / "m"), verify=True)
    assert (model.name, model.version, model.labels, model.max_length) == ("tiny", "1.2.3", ("joy", "neutral"), 16)
    assert (model.n_layers, model.dim, model.n_heads, model.hidden_dim) == (2, 8, 2, 16)
    assert (model.vocab_size, model.max_position_embeddings, model.activation) == (99, 32, "gelu")
    assert model.taxonomy.labels == ("joy", "neutral")
    assert model.trust == Trust(), "a model made before trust was measured"
    assert ModelDirectory.load(write(tmp_path / "m", trust={"trace": -3.5, "margin": 0.2})).trust == Trust(-3.5, 0.2)
    assert model.weights_path.read_bytes() == b"weights"
    assert model.tokenizer_path.name == TOKENIZER


def test_is_frozen(tmp_path: Path) -> None:
    model = ModelDirectory.load(write(tmp_path / "m"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        model.taxonomies["mine"] = model.taxonomy  # type: ignore[index]


def test_the_identity_moves_with_every_file_that_decides_labels(tmp_path: Path) -> None:
    def identity(**changes: object) -> str:
        return ModelDirectory.load(write(tmp_path / "m", **changes)).sha256

    first = identity()
    assert first == identity()
    assert len(first) == 64
    others = {identity(version="2"), identity(max_length=17)}
    for name, content in (
        (WEIGHTS, b"other"),
        (TOKENIZER, b"[]"),
        (CONFIG, json.dumps(ARCHITECTURE, indent=2).encode()),
    ):
        folder = write(tmp_path / "m")
        (folder / name).write_bytes(content)
        others.add(identity(files=file_hashes(folder)))
    assert len(others | {first}) == 6


def test_the_identity_does_not_need_the_weights_at_hand(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    with_weights = ModelDirectory.load(folder, verify=True).sha256
    (folder / WEIGHTS).unlink()
    assert ModelDirectory.load(folder).sha256 == with_weights


def test_a_card_or_a_log_does_not_move_the_identity(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    before = ModelDirectory.load(folder).sha256
    (folder / "README.md").write_text("new")
    assert ModelDirectory.load(folder).sha256 == before


@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER, CONFIG])
def test_verify_names_the_damaged_file(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "m")
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    ModelDirectory.load(folder)
    with pytest.raises(ModelDirectoryError, match=name) as caught:
        ModelDirectory.load(folder, verify=True)
    assert isinstance(caught.value, EmobatchError)
    assert caught.value.next_step


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace('"threshold": 0.5', '"threshold": 0.4'))
    with pytest.raises(ModelDirectoryError, match="altered"):
        ModelDirectory.load(folder)


@pytest.mark.parametrize("name", [MANIFEST, CONFIG])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "m")
    (folder / name).unlink()
    with pytest.raises(ModelDirectoryError, match=name):
        ModelDirectory.load(folder)


def test_missing_weights_are_named_on_verify(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelDirectoryError, match=f"lacks .*{WEIGHTS}"):
        ModelDirectory.load(folder, verify=True)


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match="no model directory"):
        ModelDirectory.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"default_taxonomy": "ekman"}, "ekman"),
        ({"max_length": 33}, "33 tokens"),
        ({"labels": ["joy"]}, "outside the model's labels"),
        ({"taxonomies": [{"name": "two"}]}, "labels"),
        ({"files": {}}, "fit together"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelDirectoryError, match=message):
        ModelDirectory.load(write(tmp_path / "m", **changes))


def test_broken_json_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ModelDirectoryError, match=MANIFEST):
        ModelDirectory.load(folder)


def test_find_model_takes_a_folder_a_name_or_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    assert find_model(folder) == folder.resolve()
    assert find_model(str(folder)) == folder.resolve()
    assert find_model() == find_model("") == shipped_model_path()
    with pytest.raises(ModelDirectoryError, match="no-such-model"):
        find_model("no-such-model")


def test_the_shipped_model_verifies() -> None:
    model = ModelDirectory.load(shipped_model_path(), verify=True)
    assert len(model.labels) == 28
    assert model.labels[-1] == "neutral"
    assert set(model.taxonomies) == {"goemotions", "ekman", "sentiment"}
    assert model.default_taxonomy == "ekman"
    assert find_model(model.name) == model.path
    assert model.taxonomies["goemotions"].labels == model.labels
    assert model.taxonomies["ekman"].labels[-1] == "neutral"
    assert len(model.taxonomies["ekman"].labels) == 7
    assert model.taxonomies["sentiment"].labels == ("positive", "negative", "ambiguous", "neutral")
    for taxonomy in model.taxonomies.values():
        assert sorted(i for group in taxonomy.members for i in group) == list(range(28)), "each label in one group"


def test_the_shipped_model_is_small_and_names_no_place() -> None:
    files = list(shipped_model_path().iterdir())
    assert sum(file.stat().st_size for file in files) < 50_000_000
    for file in files:
        if file.suffix in {".json", ".md"} and file.name != TOKENIZER:
            text = file.read_text(encoding="utf-8")
            assert not any(place in text for place in ("/home", "/root", "/work", "/tmp", "hostname")), file.name
