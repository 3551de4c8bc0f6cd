"""What runs a model: the one thing that differs between a CPU and a GPU, and the choice of which."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.model_directory import ModelDirectory
from worker import metrics
from worker.batching import plan_batches
from worker.engine.tokens import Windows

Kind = Literal["auto", "onnx", "torch"]

_PACKAGES = {"onnx": ("onnxruntime", "worker"), "torch": ("torch", "gpu")}  # package and extra of each kind


Pause = Callable[[], object]
"""Called between two batches."""


def go_on() -> None:
    """The pause of whoever wants none."""


class Runtime(Protocol):
    """A model, loaded and ready to run.

    Attributes:
        name: library, version and precision, and the GPU: what a result is computed by, on however many cores.
        token_budget: the tokens of one batch with which it is fastest.
    """

    name: str
    token_budget: int

    def run(self, batches: Iterable[NDArray[np.int64]]) -> Iterable[NDArray[np.float32]]:
        """Logits, (batch, labels) each, of batches of token ids, (batch, length) each, in their order.

        All rows of a batch have its true length, so there is no padding. Several batches may be computed at once, the
        first of them while the last ones are still being made.
        """
        ...


def run_windows(
    runtime: Runtime, windows: Windows, n_labels: int, token_budget: int = 0, pause: Pause = go_on
) -> NDArray[np.float32]:
    """(windows, labels): the logits of each window, in batches of at most `token_budget` tokens; 0: the runtime's.

    `pause` is called after each batch, while the next ones are computed; it may run windows of its own.
    """
    token_budget = token_budget or runtime.token_budget
    batches = plan_batches(windows.lengths, token_budget)
    metrics.count_batches(windows.lengths, batches, token_budget)
    logits = np.empty((len(windows.lengths), n_labels), dtype=np.float32)
    results = runtime.run(windows.rectangle(batch) for batch in batches)
    for batch, result in zip(batches, results, strict=True):
        logits[batch] = result
        pause()
    return logits


def load_runtime(
    model: ModelDirectory, kind: str, threads: int, cache_dir: Path | None, precision: str = "auto"
) -> Runtime:
    """The runtime called `kind`; `auto` is torch where there is a CUDA device, else the CPU's best.

    Torch and onnxruntime are imported here and not before: CUDA must not be touched before a process forks, and a CPU
    worker has no torch.

    Raises:
        BadOption: an unknown kind or precision, or one that this machine cannot run.
        ModelDirectoryError: the model directory is damaged.
    """
    if kind not in get_args(Kind):
        raise BadOption(f"There is no engine {kind!r}.", next_step=f"Choose one of {', '.join(get_args(Kind))}.")
    chosen = cast(Kind, kind)
    if chosen == "auto":
        chosen = "torch" if cuda_is_there() else "onnx"
    package, extra = _PACKAGES[chosen]
    if find_spec(package) is None:
        why = ", chosen because no CUDA device was found," if kind == "auto" else ""
        raise BadOption(
            f"The engine {chosen!r}{why} needs {package}, which is not installed.",
            next_step=f"pip install 'emobatch[{extra}]'.",
        )
    if chosen == "torch":
        from worker.engine.torch_runtime import TorchRuntime

        return TorchRuntime(model, threads)
    from worker.engine.precision import cpu_runtime

    return cpu_runtime(model, precision, threads, cache_dir)


def cuda_is_there() -> bool:
    """Whether torch is installed and sees a CUDA device.

    The driver is looked for first: importing torch takes seconds and hundreds of megabytes, which a CPU worker would
    otherwise spend to learn that there is no GPU.
    """
    if find_spec("torch") is None:
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def available_cores(root: Path = Path("/")) -> int:
    """The cores this process may use: its CPU affinity, and under cgroup v2 its quota (`docker run --cpus`)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max": no quota
        return cores
