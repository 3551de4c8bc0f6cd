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

from core.failpoints import failpoint
from core.model_directory import ModelDirectory
from worker.engine.memory import TextMemory
from worker.engine.runtime import Pause, Runtime, available_cores, go_on, load_runtime, run_windows
from worker.engine.tokens import Tokens, Windows

DEFAULT_MEMORY = 50_000


@dataclass(frozen=True)
class Scored:
    """What the model says of n texts, in their order.

    Attributes:
        logits: (n, labels) little-endian float16, C order: the bytes a result stores.
        windows: (n,) int32: 1 = the text fits the model's window, k = scored in k windows, their logits averaged.
        identical: (n,) bool: it cost no run of the model, because it repeats another one or was remembered.
    """

    logits: NDArray[np.float16]
    windows: NDArray[np.int32]
    identical: NDArray[np.bool_]

    def __getitem__(self, part: slice) -> Scored:
        """The same of a run of the texts."""
        return Scored(self.logits[part], self.windows[part], self.identical[part])


@dataclass(frozen=True)
class Prepared:
    """n texts, made ready to be scored.

    Attributes:
        distinct: each different text once.
        row_of: (n,) int64: which of them each text is.
        windows: theirs.
    """

    distinct: list[str]
    row_of: NDArray[np.int64]
    windows: Windows


class Engine:
    """One model on one runtime. `score` is not for several threads at once; it uses the cores by itself.

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

    @property
    def name(self) -> str:
        """Its runtime's."""
        return self.runtime.name

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Texts tokenized beforehand, for `score`: from another thread, while it scores the ones before them."""
        place: dict[str, int] = {}
        row_of = np.array([place.setdefault(text, len(place)) for text in texts], dtype=np.int64)
        distinct = list(place)
        return Prepared(distinct, row_of, self._tokens.windows(distinct))

    def score(self, texts: Sequence[str] | Prepared, scope: bytes = b"", pause: Pause = go_on) -> Scored:
        """The logits of `texts`, in their order; none gives none. An empty text is scored like any other.

        Args:
            texts: any number, as they are or from `prepare`.
            scope: at most 16 bytes. What is remembered is found again under the same scope only: a job's id, so that
                no job can tell what another one held.
            pause: called between batches. It may score something else meanwhile, which then comes first.

        Raises:
            ArithmeticError: the model gave NaN, so its weights or the device are broken.
        """
        prepared = texts if isinstance(texts, Prepared) else self.prepare(texts)
        row_of = prepared.row_of
        distinct = self._score_distinct(prepared, scope, pause)
        repeats = np.ones(len(row_of), dtype=np.bool_)
        repeats[np.unique(row_of, return_index=True)[1]] = False
        return Scored(distinct.logits[row_of], distinct.windows[row_of], repeats | distinct.identical[row_of])

    def _score_distinct(self, prepared: Prepared, scope: bytes, pause: Pause) -> Scored:
        """The same of texts that are all different."""
        texts, all_windows = prepared.distinct, prepared.windows
        if self.memory is None:
            return Scored(self._run(all_windows, pause), all_windows.per_text, np.zeros(len(texts), dtype=np.bool_))
        keys = self.memory.keys(texts, scope)
        known, known_logits, known_windows = self.memory.get_many(keys)
        new = np.flatnonzero(~known)
        new_windows = all_windows if len(new) == len(texts) else all_windows.of(new)
        new_logits = self._run(new_windows, pause)
        self.memory.put_many([keys[i] for i in new], new_logits, new_windows.per_text)
        logits = np.empty((len(texts), len(self.model.labels)), dtype="<f2")
        windows = np.empty(len(texts), dtype=np.int32)
        logits[known], windows[known] = known_logits, known_windows
        logits[new], windows[new] = new_logits, new_windows.per_text
        return Scored(logits, windows, known)

    def _run(self, windows: Windows, pause: Pause) -> NDArray[np.float16]:
        """(texts, labels): runs every window, and pools those of the long texts."""
        if not len(windows.per_text):
            return np.empty((0, len(self.model.labels)), dtype="<f2")
        failpoint("mid-inference")
        logits = run_windows(self.runtime, windows, len(self.model.labels), self.token_budget, pause)
        pooled = np.add.reduceat(logits, windows.first, axis=0) / windows.per_text[:, None].astype(np.float32)
        if np.isnan(pooled).any():
            raise ArithmeticError(f"The model {self.model.name} gave NaN on {self.runtime.name}.")
        return pooled.astype("<f2")


def load_engine(
    model: ModelDirectory,
    *,
    kind: str = "auto",
    threads: int = 0,
    token_budget: int = 0,
    cache_dir: Path | None = None,
    memory: int = DEFAULT_MEMORY,
    precision: str = "float32",
) -> Engine:
    """Loads `model`. Call it in the process that scores: threads and a GPU's state do not survive a fork.

    Args:
        model: the model directory.
        kind: `auto` (torch on CUDA, else `onnx`), `onnx` (our graph on a CPU), `torch`.
        threads: cores to use; 0: all that this process may use.
        token_budget: tokens of one batch; 0: what the runtime is fastest with.
        cache_dir: where the ONNX graph is kept; None: the platform's cache folder.
        memory: texts whose logits are remembered over calls; 0: none.
        precision: of `onnx`: `auto` (see `worker.engine.precision`), `float32`, `bfloat16`.

    Raises:
        BadOption: an unknown kind or precision, or one that this machine cannot run.
        ModelDirectoryError: a file of the model directory is damaged, or does not fit the others.
    """
    runtime = load_runtime(model, kind, threads if threads > 0 else available_cores(), cache_dir, precision)
    remembered = TextMemory(memory, model.sha256, len(model.labels)) if memory > 0 else None
    return Engine(model, runtime, token_budget, remembered)
