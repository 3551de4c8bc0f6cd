"""worker.engine.torch_runtime: the reference must not be wrong in silence; and the shipped model agrees with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_model import ODD, WriteModel, random_weights, write_safetensors

from core.model_directory import MANIFEST, ModelDirectory, ModelDirectoryError, shipped_model_path
from worker.batching import plan_batches
from worker.engine.onnx_runtime import OnnxRuntime
from worker.engine.tokens import Tokens

pytest.importorskip("torch")
pytest.importorskip("transformers")
from worker.engine.torch_runtime import TorchRuntime


def test_weights_that_are_missing_are_not_made_up(write_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_classifier(config: dict[str, int], seed: int) -> dict[str, np.ndarray]:
        tensors = random_weights(config, seed)
        del tensors["classifier.weight"]
        return tensors

    monkeypatch.setattr("tiny_model.random_weights", without_classifier)
    with pytest.raises(ModelDirectoryError, match=r"does not fit its config\.json: classifier\.weight"):
        TorchRuntime(write_model(), 1, device="cpu")


def test_exchanged_weights_are_refused(write_model: WriteModel) -> None:
    model = write_model()
    write_safetensors(model.weights_path, random_weights(vars(model), seed=5))
    with pytest.raises(ModelDirectoryError, match="damaged or was exchanged"):
        TorchRuntime(model, 1, device="cpu")


@pytest.mark.skipif(not (shipped_model_path() / MANIFEST).exists(), reason="no model is shipped")
def test_the_shipped_model_agrees(tmp_path: Path) -> None:
    model = ModelDirectory.load(shipped_model_path())
    texts = ["I love it, thank you so much!", "Meh.", "They broke it again and nobody answers the phone.", *ODD]
    windows = Tokens(model).windows(texts)
    batches = [windows.rectangle(batch) for batch in plan_batches(windows.lengths, 512)]
    expected = np.concatenate(list(TorchRuntime(model, 2, device="cpu").run(batches)))
    assert expected.std() > 0.5
    found = np.concatenate(list(OnnxRuntime(model, 1, tmp_path).run(batches)))
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
