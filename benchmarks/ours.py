"""Our engine as a contestant: loaded once, the memory of texts off, the shapes that it runs written down."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.labelled import COLUMNS, labels
from core.model_directory import ModelDirectory, find_model
from worker.engine import load_engine

ROWS_PER_CALL = 2_000
"""Rows given to the engine at once: so many that its batches are of equal lengths, few enough to stream a file."""


@dataclass(frozen=True)
class Setup:
    """What an engine turned out to be."""

    name: str
    token_budget: int


class Ours:
    """`worker.engine` with one model directory, as a worker loads it."""

    def __init__(self, model: str, precision: str = "float32") -> None:
        self.model = ModelDirectory.load(find_model(model))
        self._engine = load_engine(self.model, threads=0, memory=0, precision=precision)
        self._shapes: list[tuple[int, int]] = []
        self._record()
        self._engine.score(["warm"])

    def setup(self) -> Setup:
        """The runtime, and how it is fed."""
        runtime = self._engine.runtime
        return Setup(runtime.name, self._engine.token_budget)

    def label(self, source: str, target: str) -> float:
        """Seconds from the CSV `source` to the labelled CSV `target`."""
        began = time.perf_counter()
        with Path(source).open(newline="", encoding="utf-8") as file, Path(target).open("w", newline="") as out:
            reader, writer = csv.reader(file), csv.writer(out)
            header = next(reader)
            writer.writerow([*header, *COLUMNS])
            text = header.index("text")
            rows = list(reader)
            for at in range(0, len(rows), ROWS_PER_CALL):
                part = rows[at : at + ROWS_PER_CALL]
                found = labels(self.model, self._engine.score([row[text] for row in part]).logits)
                writer.writerows([*row, *added] for row, *added in zip(part, *found.values(), strict=True))
        return time.perf_counter() - began

    def score(self, texts: Sequence[str]) -> tuple[float, list[tuple[int, int]]]:
        """Seconds to score `texts`, and the (rows, length) of every batch that was run for them."""
        self._shapes.clear()
        began = time.perf_counter()
        for at in range(0, len(texts), ROWS_PER_CALL):
            self._engine.score(texts[at : at + ROWS_PER_CALL])
        return time.perf_counter() - began, list(self._shapes)

    def _record(self) -> None:
        """Puts ourselves between the engine and its runtime; it costs a glance at each batch."""
        runtime: Any = self._engine.runtime
        run = runtime.run

        def glanced_at(batches: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
            for batch in batches:
                self._shapes.append((len(batch), batch.shape[1]))
                yield batch

        def recorded(batches: Iterable[NDArray[np.int64]]) -> Iterable[NDArray[np.float32]]:
            return run(glanced_at(batches))

        runtime.run = recorded
