"""worker.engine.mute: the runtimes work, reach for nobody, and leave no id of the machine behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import sys
from pathlib import Path
reached = []
def note(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo"}:
        reached.append(event)
sys.addaudithook(note)
from core.model_directory import ModelDirectory, find_model
from worker.engine.onnx_runtime import OnnxRuntime
from worker.engine.openvino_runtime import OpenvinoRuntime
import numpy as np
runtime = {"onnxruntime": OnnxRuntime, "openvino": OpenvinoRuntime}[sys.argv[1]]
made = runtime(ModelDirectory.load(find_model(None)), 1, Path(sys.argv[2]))
(logits,) = made.run([np.full((2, 5), 2023)])
print(logits.shape, reached)
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_runtime_reports_nothing_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    """Of the environment only what is needed: both are silent where it looks like a CI's."""
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", CODE, name, str(cache)], env=environment, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "(2, 28) []", ran.stderr
    assert list(home.rglob("*")) == []
