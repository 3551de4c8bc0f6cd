"""OpenVINO on a CPU, in bfloat16: the same graph as ONNX Runtime's, on processors that multiply it faster so.

ONNX Runtime has no bfloat16 products for x86. Because a batch holds texts of one length only, what stands beside a text
hardly touches its logits in this precision either: chunks cut differently gave the same bits for all of 3,000 texts,
one text alone the same score within 0.0003 (shipped model, AVX512_BF16).
"""

from __future__ import annotations

import io
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory
from worker.engine import mute
from worker.engine.graph_cache import cached_graph
from worker.engine.lanes import Lanes


class OpenvinoRuntime(Lanes):
    """The `Runtime` for CPUs with instructions for bfloat16.

    Args:
        model: the model directory.
        threads: batches that run at once, at least 1.
        cache_dir: where the graph is kept between starts; None: the platform's cache folder.

    Raises ModelDirectoryError where the weights are damaged or do not fit the config.
    """

    def __init__(self, model: ModelDirectory, threads: int, cache_dir: Path | None) -> None:
        openvino = mute.openvino()
        core = openvino.Core()
        graph = core.read_model(io.BytesIO(cached_graph(model, cache_dir)))
        options = {
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16",
        }
        compiled = core.compile_model(graph, "CPU", options)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())
        # Its Python binding prepares itself in the first call, and two threads that both are first wait for each other.
        self._run_one(np.zeros((1, 2), dtype=np.int64))
        super().__init__(f"openvino {openvino.__version__.split('-')[0]}, bfloat16", threads)

    def _run_one(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        request = self._requests.get()
        try:
            found = request.infer([input_ids], share_inputs=True)
            return np.array(found[0], dtype=np.float32)  # a copy: the request writes its next answer there
        finally:
            self._requests.put(request)


def has_bfloat16() -> bool:
    """Whether OpenVINO is installed and the processor multiplies bfloat16 by itself.

    The processor is looked at first: importing OpenVINO takes a tenth of a second and tens of megabytes.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # no Linux
        return False
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        return False
    try:
        openvino = mute.openvino()
    except ImportError:
        return False
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
