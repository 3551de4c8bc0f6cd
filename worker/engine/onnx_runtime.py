"""ONNX Runtime on a CPU, in float32.

**Lanes, not threads.** Each batch is computed by one thread, and as many batches run at once as there are threads, over
one copy of the weights. Splitting every product over threads instead makes all wait for the slowest dozens of times a
batch; with other work on the cores that wait is what one sees. Batches of 512 tokens keep a lane's intermediates in its
core's cache: on two cores with 2 MB each, 4,096 tokens ran at two thirds of that speed, 128 tokens at nine tenths.

ONNX Runtime's fusion of bias and GELU is switched off: its kernel is slower than an addition and its plain GELU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory
from worker.engine.graph_cache import cached_graph


class OnnxRuntime:
    """The `Runtime` for CPUs: float32 throughout.

    Args:
        model: the model directory.
        threads: batches that run at once, at least 1.
        cache_dir: where the graph is kept between starts; None: the platform's cache folder.

    Raises ModelDirectoryError where the weights are damaged or do not fit the config.
    """

    token_budget = 512

    def __init__(self, model: ModelDirectory, threads: int, cache_dir: Path | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # it would keep a plan for every (batch, length) ever seen
        graph = cached_graph(model, cache_dir)
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=["BiasGeluFusion"]
        )
        self._pool = ThreadPoolExecutor(threads, "lane")
        self.name = f"onnxruntime {onnxruntime.__version__}, float32, {threads} lanes"

    def run(self, batches: Sequence[NDArray[np.int64]]) -> Iterable[NDArray[np.float32]]:
        """See `Runtime.run`."""
        return self._pool.map(self._run_one, batches)  # gives each batch's error to the caller's thread

    def _run_one(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._session.run(["logits"], {"input_ids": input_ids})[0]  # without the interpreter lock
