"""The weights of a model directory as numpy arrays, without torch and without the safetensors package.

The format is an 8-byte little-endian length, a JSON header of that length (tensor name to dtype, shape and byte range),
then the bytes. Reading it takes fewer lines than a dependency would, and a CPU worker then needs only onnxruntime, onnx
and tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectoryError

_DTYPES = {"F16": "<f2", "F32": "<f4"}  # what a DistilBERT can hold; numpy has no bfloat16
_NEXT_STEP = "Restore the model directory from where it was installed, or name another one."


class Weights:
    """The tensors of one safetensors file, read-only, in the file's own precision.

    Raises ModelDirectoryError where the file is missing, cut short or malformed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            content = path.read_bytes()
            size = int.from_bytes(content[:8], "little")
            header: dict[str, Any] = json.loads(content[8 : 8 + size])
            header.pop("__metadata__", None)
            body = memoryview(content)[8 + size :]
            self._tensors = {name: _tensor(entry, body) for name, entry in header.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelDirectoryError(f"{path} is no readable safetensors: {error!r}.", next_step=_NEXT_STEP) from error

    def tensor(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """The tensor called `name`. Raises ModelDirectoryError where it is missing or has another shape."""
        tensor = self._tensors.get(name)
        if tensor is None or tensor.shape != shape:
            found = "is missing" if tensor is None else f"has shape {tensor.shape}"
            raise ModelDirectoryError(
                f"{self._path}: {name} {found}; its config.json promises shape {shape}.", next_step=_NEXT_STEP
            )
        return tensor


def _tensor(entry: Mapping[str, Any], body: memoryview) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(body):
        raise ValueError(f"bytes {start} to {end} lie outside the file")
    return np.frombuffer(body[start:end], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
