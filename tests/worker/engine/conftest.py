"""Fixtures of the engine's tests: tiny model directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_model import WriteModel, write

from core.model_directory import ModelDirectory


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Writes and loads a model directory; see `write`. Each call in a test makes another one."""
    made = 0

    def make(**changes: Any) -> ModelDirectory:
        nonlocal made
        made += 1
        return ModelDirectory.load(write(tmp_path / f"model{made}", **changes), verify=True)

    return make


@pytest.fixture
def model(write_model: WriteModel) -> ModelDirectory:
    return write_model()
