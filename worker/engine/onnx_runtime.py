"""ONNX Runtime on a CPU, in float32.

ONNX Runtime's fusion of bias and GELU is switched off: its kernel is slower than an addition and its plain GELU.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory
from worker.engine import mute
from worker.engine.graph_cache import cached_graph
from worker.engine.lanes import Lanes


class OnnxRuntime(Lanes):
    """The `Runtime` for CPUs: float32 throughout.

    Args:
        model: the model directory.
        threads: batches that run at once, at least 1.
        cache_dir: where the graph is kept between starts; None: the platform's cache folder.

    Raises ModelDirectoryError where the weights are damaged or do not fit the config.
    """

    def __init__(self, model: ModelDirectory, threads: int, cache_dir: Path | None) -> None:
        onnxruntime = mute.onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # it would keep a plan for every (batch, length) ever seen
        graph = cached_graph(model, cache_dir)
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=["BiasGeluFusion"]
        )
        super().__init__(f"onnxruntime {onnxruntime.__version__}, float32", threads)

    def _run_one(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._session.run(["logits"], {"input_ids": input_ids})[0]
