"""A model directory as a teacher: what it says of the rows that a student learns from, asked once.

An earlier run of a recipe leaves its logits behind; a directory has to be asked, which takes minutes for
GoEmotions' train split. The answers lie in the work folder under the hashes of the directory and of the rows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.model_directory import ModelDirectory, find_model
from training.data import Rows
from training.evaluate import evaluate, logits_of
from training.recipe import RecipeError
from training.run import bf16_is_fast


class Teacher:
    """A model directory that teaches.

    Attributes:
        directory: the directory, verified.
        work: the folder its answers are kept in.
    """

    def __init__(self, name: str, labels: Sequence[str], work: Path) -> None:
        """Opens the model directory called `name`. Raises RecipeError where its labels are not `labels`."""
        self.directory = ModelDirectory.load(find_model(name), verify=True)
        self.work = work
        if self.directory.labels != tuple(labels):
            raise RecipeError(f"Teacher {name!r} has other labels than the data.")

    def logits(self, rows: Rows) -> NDArray[np.float16]:
        """Its logits (n, labels) on `rows`, as a job would store them."""
        kept = self.work / f"teacher-{self.directory.sha256[:12]}" / f"{rows.sha256[:12]}.npy"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = kept.with_suffix(f".{os.getpid()}.npy")
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16_is_fast()):  # a target needs no more digits
                np.save(fresh, logits_of(self.directory, rows.texts))
            fresh.replace(kept)
        return np.load(kept)

    def record(self, dev: Rows) -> dict[str, Any]:
        """Who it is, and its cross-fitted figures on dev: what a student's training record says of it."""
        directory = self.directory
        return {
            "name": directory.name,
            "version": directory.version,
            "sha256": directory.sha256,
            "n_layers": directory.n_layers,
            "hidden_dim": directory.hidden_dim,
            "dev": evaluate(directory, dev, cross_fit=True),
        }
