"""The yardstick: which precision it takes, and that its products are products."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import products


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("onnxruntime 1.32.0, float32, 2 lanes", "float32"),
        ("onnxruntime 1.32.0, bfloat16, 2 lanes", "bfloat16"),
        ("torch 2.13.0, float16, NVIDIA", "float16"),
        ("onnxruntime 1.32.0, dynamic int8, 2 lanes", "int8"),
    ],
)
def test_the_precision_is_the_engines(name, precision):
    assert products.precision_of(name) == precision


def test_a_speed_is_operations_over_seconds(monkeypatch):
    """Two lanes of a step that takes one second of a clock of ours, for three seconds: three products each."""
    made = products.Products(8, 16, 4)
    assert made._flops == 2 * 4 * (4 * 8 * 8 + 2 * 8 * 16)
    monkeypatch.setattr(products, "_repeat", lambda library, threads, step, until: 3)
    clock = iter([0.0, 0.0, 100.0, 103.0])  # two lanes prepare, then the beginning and the end
    monkeypatch.setattr(products.time, "perf_counter", lambda: next(clock))
    assert made._speed("numpy", [lambda: None, lambda: None], 1) == 2 * 3 * made._flops / 3


@pytest.mark.parametrize("library", ["_numpy", "_torch", "_onnx"])
def test_every_library_multiplies_the_same(library):
    if library == "_torch":
        pytest.importorskip("torch")
    shapes = [(8, 8), (8, 16), (16, 8)]
    inputs, weights = products._random(shapes, 4)
    step = getattr(products, library)(shapes, 4, "float32", 1)
    found = [getattr(out, "numpy", lambda out=out: out)() for out in step()]
    for one, weight, out in zip(inputs, weights, found, strict=True):
        np.testing.assert_allclose(out, one @ weight, atol=1e-5)
