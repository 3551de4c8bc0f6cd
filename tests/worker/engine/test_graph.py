"""worker.engine.graph against transformers' DistilBERT: the same function, less arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_model import WriteModel, random_weights, write_safetensors

from core.model_directory import ModelDirectory, ModelDirectoryError
from worker.engine.graph import build_graph
from worker.engine.onnx_runtime import OnnxRuntime
from worker.engine.weights import Weights


def batch(model: ModelDirectory, rows: int, length: int, seed: int = 1) -> Any:
    """(rows, length) random token ids."""
    return np.random.default_rng(seed).integers(0, model.vocab_size, (rows, length))


@pytest.mark.parametrize(
    "architecture",
    [
        {},
        {"n_layers": 1},  # nothing but the layer computed for [CLS]
        {"n_layers": 2, "dim": 32, "n_heads": 1},
        {"n_layers": 6, "dim": 64, "n_heads": 8, "hidden_dim": 128},
    ],
    ids=str,
)
def test_agrees_with_transformers(write_model: WriteModel, tmp_path: Path, architecture: dict[str, int]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from worker.engine.torch_runtime import TorchRuntime

    model = write_model(**architecture)
    ours, reference = OnnxRuntime(model, 1, tmp_path), TorchRuntime(model, 1, device="cpu")
    batches = [batch(model, rows, length) for rows, length in ((1, 1), (1, 2), (3, 40), (7, 17), (64, 5))]
    for found, expected in zip(ours.run(batches), reference.run(batches), strict=True):
        assert expected.std() > 0.5  # logits of zero would agree too
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_neighbours_change_nothing(model: ModelDirectory, tmp_path: Path) -> None:
    runtime = OnnxRuntime(model, 1, tmp_path)
    ids = batch(model, 33, 9)
    (together,) = runtime.run([ids])
    alone = np.concatenate(list(runtime.run([row[None] for row in ids])))
    np.testing.assert_allclose(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["distilbert.transformer.layer.2.attention.q_lin.bias", "classifier.weight"])
@pytest.mark.parametrize("wrong", ["missing", "shape"])
def test_weights_that_do_not_fit_the_config_are_named(
    model: ModelDirectory, tmp_path: Path, name: str, wrong: str
) -> None:
    tensors = random_weights(vars(model), seed=0)
    tensors[name] = tensors[name][1:]
    if wrong == "missing":
        del tensors[name]
    write_safetensors(tmp_path / "w", tensors)
    with pytest.raises(ModelDirectoryError, match=name):
        build_graph(model, Weights(tmp_path / "w"))


def test_another_activation_is_refused(write_model: WriteModel) -> None:
    model = write_model(activation="relu")
    with pytest.raises(ModelDirectoryError, match="relu"):
        build_graph(model, Weights(model.weights_path))


def test_the_same_model_gives_the_same_bytes(model: ModelDirectory) -> None:
    assert build_graph(model, Weights(model.weights_path)) == build_graph(model, Weights(model.weights_path))
