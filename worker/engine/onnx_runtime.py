"""ONNX Runtime on a CPU, and the cache of the graph it runs.

**Lanes, not threads.** Each batch is computed by one thread, and as many batches run at once as there are threads, over
one copy of the weights. Splitting every product over threads instead makes all wait for the slowest dozens of times a
batch; with other work on the cores that wait is what one sees. Batches of 512 tokens keep a lane's intermediates in its
core's cache: on two cores with 2 MB each, 4,096 tokens ran at two thirds of that speed, 128 tokens at nine tenths.

ONNX Runtime's fusion of bias and GELU is switched off: its kernel is slower than an addition and its plain GELU.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory
from worker.engine.graph import build_graph, graph_version
from worker.engine.weights import Weights

logger = logging.getLogger(__name__)

_MAGIC = b"emobatch graph, sha256 "


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
        graph = cached_graph(model, cache_dir if cache_dir is not None else default_cache_dir())
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


def default_cache_dir() -> Path:
    """The platform's cache folder for emobatch."""
    from platformdirs import user_cache_path

    return user_cache_path("emobatch", appauthor=False)


def cached_graph(model: ModelDirectory, cache_dir: Path) -> bytes:
    """The model's serialized graph, from `cache_dir` or built and put there.

    A file is named by model and graph code, and opens with the sha256 of the rest: one that is torn or altered is built
    anew. Several processes may start at once; each sees a whole file or none. A folder that cannot be written costs the
    building (some 0.3 s) at each start, and a warning.

    Raises:
        ModelDirectoryError: a file of the model directory is not what its manifest says.
    """
    path = cache_dir / f"{model.sha256}-{graph_version()}.graph"
    try:
        head, graph = _split(path.read_bytes())
        if head == _head(graph):
            return graph
        logger.warning("The cached graph %s is damaged; it is built anew.", path)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("The cached graph %s cannot be read (%s); it is built anew.", path, error)
    # What is kept under a model's hash must be that model: the weights are checked before they are built on.
    ModelDirectory.load(model.path, verify=True)
    graph = build_graph(model, Weights(model.weights_path))
    try:
        _replace(path, _head(graph) + graph)
    except OSError as error:
        logger.warning("The graph cannot be cached at %s (%s); every start builds it anew.", path, error)
    return graph


def _head(graph: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(graph).hexdigest().encode() + b"\n"


def _split(content: bytes) -> tuple[bytes, bytes]:
    size = len(_head(b""))
    return content[:size], content[size:]


def _replace(path: Path, content: bytes) -> None:
    """Writes beside `path` and renames: a reader never meets half a file, and the last of several writers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
