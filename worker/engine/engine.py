"""The engine: texts in, the model's logits out, whatever runs the model.

Each text is scored once, however often it stands in the call or was met before in the same job; the rest is tokenized,
cut into windows, batched by length, run, pooled and put back in order. What else is in a batch changes a text's logits
by the runtime's rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory
from worker.batching import plan_batches
from worker.engine.memory import TextMemory
from worker.engine.runtime import Runtime, available_cores, load_runtime
from worker.engine.tokens import Tokens, Windows

DEFAULT_MEMORY = 50_000


@dataclass(frozen=True)
class Scored:
    """What the model says of n texts, in their order.

    Attributes:
        logits: (n, labels) little-endian float16, C order: the bytes a result stores.
        windows: (n,) int32: 1 = the text fits the model's window, k = scored in k windows, their logits averaged.
        identical: how many of the n cost no run of the model, because they repeat another one or were remembered.
    """

    logits: NDArray[np.float16]
    windows: NDArray[np.int32]
    identical: int


class Engine:
    """One model on one runtime. Not for several threads at once; `score` uses the cores by itself.

    Args:
        model: the model directory.
        runtime: what runs it.
        token_budget: tokens of one batch; 0: what the runtime is fastest with.
        memory: texts remembered over calls; None for none.
    """

    def __init__(self, model: ModelDirectory, runtime: Runtime, token_budget: int, memory: TextMemory | None) -> None:
        self.model = model
        self.runtime = runtime
        self.memory = memory
        self.token_budget = token_budget or runtime.token_budget
        self._tokens = Tokens(model)

    def score(self, texts: Sequence[str], scope: bytes = b"") -> Scored:
        """The logits of `texts`, in their order; none gives none. An empty text is scored like any other.

        Args:
            texts: any number.
            scope: at most 16 bytes. What is remembered is found again under the same scope only: a job's id, so that
                no job can tell what another one held.

        Raises:
            ArithmeticError: the model gave NaN, so its weights or the device are broken.
        """
        place: dict[str, int] = {}
        row_of = np.array([place.setdefault(text, len(place)) for text in texts], dtype=np.int64)
        logits, windows, n_run = self._score_distinct(list(place), scope)
        return Scored(logits[row_of], windows[row_of], identical=len(texts) - n_run)

    def _score_distinct(self, texts: list[str], scope: bytes) -> tuple[NDArray[np.float16], NDArray[np.int32], int]:
        """Logits and window counts of distinct texts, and how many of them the model was run for."""
        if self.memory is None:
            return *self._run(texts), len(texts)
        keys = self.memory.keys(texts, scope)
        known, known_logits, known_windows = self.memory.get_many(keys)
        new = np.flatnonzero(~known)
        new_logits, new_windows = self._run([texts[i] for i in new])
        self.memory.put_many([keys[i] for i in new], new_logits, new_windows)
        logits = np.empty((len(texts), len(self.model.labels)), dtype="<f2")
        windows = np.empty(len(texts), dtype=np.int32)
        logits[known], windows[known] = known_logits, known_windows
        logits[new], windows[new] = new_logits, new_windows
        return logits, windows, len(new)

    def _run(self, texts: list[str]) -> tuple[NDArray[np.float16], NDArray[np.int32]]:
        """Tokenizes and runs every one of `texts`, and pools the windows of the long ones."""
        windows = self._tokens.windows(texts)
        if not texts:
            return np.empty((0, len(self.model.labels)), dtype="<f2"), windows.per_text
        logits = self._run_windows(windows)
        first = np.cumsum(windows.per_text) - windows.per_text
        pooled = np.add.reduceat(logits, first, axis=0) / windows.per_text[:, None].astype(np.float32)
        if np.isnan(pooled).any():
            raise ArithmeticError(f"The model {self.model.name} gave NaN on {self.runtime.name}.")
        return pooled.astype("<f2"), windows.per_text

    def _run_windows(self, windows: Windows) -> NDArray[np.float32]:
        """(windows, labels) float32: each window's logits."""
        batches = plan_batches(windows.lengths, self.token_budget)
        logits = np.empty((len(windows.lengths), len(self.model.labels)), dtype=np.float32)
        results = self.runtime.run([windows.rectangle(batch) for batch in batches])
        for batch, result in zip(batches, results, strict=True):
            logits[batch] = result
        return logits


def load_engine(
    model: ModelDirectory,
    *,
    kind: str = "auto",
    threads: int = 0,
    token_budget: int = 0,
    cache_dir: Path | None = None,
    memory: int = DEFAULT_MEMORY,
) -> Engine:
    """Loads `model`. Call it in the process that scores: threads and a GPU's state do not survive a fork.

    Args:
        model: the model directory.
        kind: `auto` (torch on CUDA, else ONNX Runtime), `onnx`, `torch`.
        threads: cores to use; 0: all that this process may use.
        token_budget: tokens of one batch; 0: what the runtime is fastest with.
        cache_dir: where the ONNX graph is kept; None: the platform's cache folder.
        memory: texts whose logits are remembered over calls; 0: none.

    Raises:
        BadOption: an unknown kind, or its package is not installed.
        ModelDirectoryError: a file of the model directory is damaged, or does not fit the others.
    """
    runtime = load_runtime(model, kind, threads if threads > 0 else available_cores(), cache_dir)
    remembered = TextMemory(memory, model.sha256, len(model.labels)) if memory > 0 else None
    return Engine(model, runtime, token_budget, remembered)
