"""worker.engine.weights: our reader of the safetensors format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_safetensors

from core.model_directory import ModelDirectoryError
from worker.engine.weights import Weights


def test_reads_what_the_safetensors_package_writes(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    half = np.random.default_rng(0).normal(size=(3, 5)).astype("<f2")
    single = np.arange(4, dtype="<f4")
    package.save_file({"half": half, "single": single}, tmp_path / "w", metadata={"format": "pt"})
    weights = Weights(tmp_path / "w")
    np.testing.assert_array_equal(weights.tensor("half", (3, 5)), half)
    np.testing.assert_array_equal(weights.tensor("single", (4,)), single)
    assert weights.tensor("half", (3, 5)).dtype == np.float16


def entry(**changes: object) -> dict[str, object]:
    return {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]} | changes}


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (entry(), b"123"),  # cut short
        (entry(data_offsets=[-4, 4]), b"1234"),
        (entry(data_offsets=[4, 0]), b"1234"),
        (entry(shape=[3]), b"1234"),
        (entry(dtype="BF16"), b"1234"),
        (entry(data_offsets=[0]), b"1234"),
        ({"a": {}}, b"1234"),
        ({"a": "F16"}, b"1234"),
        ([], b"1234"),
    ],
)
def test_a_malformed_file_is_refused_by_name(tmp_path: Path, header: object, body: bytes) -> None:
    head = json.dumps(header).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)
    with pytest.raises(ModelDirectoryError, match=r"w\.safetensors"):
        Weights(path)


@pytest.mark.parametrize(
    "content", [b"", b"1234567", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{", b"\x01" + b"\0" * 7 + b"\xff"]
)
def test_what_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ModelDirectoryError):
        Weights(tmp_path / "w")


def test_a_missing_file_or_tensor_and_another_shape_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match="absent"):
        Weights(tmp_path / "absent")
    write_safetensors(tmp_path / "w", {"a": np.zeros((2, 3), dtype="<f2")})
    weights = Weights(tmp_path / "w")
    with pytest.raises(ModelDirectoryError, match="b is missing"):
        weights.tensor("b", (2,))
    with pytest.raises(ModelDirectoryError, match=r"a has shape \(2, 3\)"):
        weights.tensor("a", (3, 2))
