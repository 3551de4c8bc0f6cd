"""worker.engine.precision: a lower one is used only where it is faster, gives the same labels and repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption
from core.model_directory import ModelDirectory, find_model
from tests.worker.engine.conftest import WriteModel
from worker.engine import load_engine, precision
from worker.engine.onnx_runtime import OnnxRuntime
from worker.engine.openvino_runtime import OpenvinoRuntime, has_bfloat16
from worker.engine.precision import Verdict, cpu_runtime, try_out

able = pytest.mark.skipif(not has_bfloat16(), reason="this processor has no instructions for bfloat16")


class Spoiled:
    """The exact runtime, with something done to its logits."""

    def __init__(self, exact: OnnxRuntime, spoil: Callable[[np.ndarray], np.ndarray]) -> None:
        self.name, self.token_budget = "spoiled", exact.token_budget
        self._exact, self._spoil = exact, spoil

    def run(self, batches):
        return [self._spoil(logits) for logits in self._exact.run(batches)]


@pytest.mark.parametrize(
    ("verdict", "lower"),
    [
        (Verdict(agreement=0.998, speedup=1.7, drift=0.0003), True),
        (Verdict(agreement=0.994, speedup=1.7, drift=0.0003), False),
        (Verdict(agreement=1.0, speedup=1.05, drift=0.0), False),
        (Verdict(agreement=1.0, speedup=2.0, drift=0.002), False),
    ],
)
def test_lower_precision_must_pass_in_everything(verdict: Verdict, lower: bool) -> None:
    assert verdict.lower is lower


def test_a_trial_sees_other_labels_and_company(write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model()
    exact = OnnxRuntime(model, 1, tmp_path)
    same = try_out(model, exact, Spoiled(exact, lambda logits: logits))
    assert (same.agreement, same.drift) == (1.0, pytest.approx(0, abs=1e-4))
    assert try_out(model, exact, Spoiled(exact, lambda logits: -logits)).agreement < 0.5
    company = Spoiled(exact, lambda logits: logits + 0.1 * (len(logits) > 1))
    assert try_out(model, exact, company).drift > 1e-3


def test_a_verdict_is_kept_and_a_torn_one_is_found_anew(write_model, tmp_path, monkeypatch) -> None:
    model, trials = write_model(), []

    def trial(*arguments) -> Verdict:
        trials.append(arguments)
        return Verdict(agreement=0.5, speedup=2.0, drift=0.0)

    monkeypatch.setattr(precision, "try_out", trial)
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "OpenvinoRuntime", OnnxRuntime)
    monkeypatch.setattr(precision, "_circumstances", lambda: "here")
    for _ in range(2):
        assert "float32" in cpu_runtime(model, "auto", 1, tmp_path).name
    assert len(trials) == 1
    (kept,) = tmp_path.glob("*.verdict")
    kept.write_text('{"agreement"')
    cpu_runtime(model, "auto", 1, tmp_path)
    monkeypatch.setattr(precision, "_circumstances", lambda: "on another machine")
    cpu_runtime(model, "auto", 1, tmp_path)
    assert len(trials) == 3


def test_a_machine_that_cannot_says_so(write_model: WriteModel, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    model = write_model()
    assert "float32" in load_engine(model, kind="onnx", threads=1, cache_dir=tmp_path, precision="auto").runtime.name
    with pytest.raises(BadOption, match="cannot compute in bfloat16"):
        load_engine(model, kind="onnx", threads=1, cache_dir=tmp_path, precision="bfloat16")
    with pytest.raises(BadOption, match="no precision 'int3'"):
        load_engine(model, kind="onnx", threads=1, cache_dir=tmp_path, precision="int3")


@able
def test_bfloat16_gives_nearly_the_shipped_models_labels_and_repeats_itself(tmp_path: Path) -> None:
    model = ModelDirectory.load(find_model(None))
    exact, lower = OnnxRuntime(model, 2, tmp_path), OpenvinoRuntime(model, 2, tmp_path)
    verdict = try_out(model, exact, lower)
    assert verdict.agreement > 0.98  # and whether that is enough on this processor, `auto` decides
    engine = load_engine(model, kind="onnx", threads=2, cache_dir=tmp_path, precision="bfloat16")
    assert "bfloat16" in engine.runtime.name
    texts = precision.probe_texts()
    whole = engine.score(texts).logits
    halves = np.concatenate([engine.score(texts[:300]).logits, engine.score(texts[300:]).logits])
    assert np.abs(whole.astype(float) - halves.astype(float)).max() < 0.1
