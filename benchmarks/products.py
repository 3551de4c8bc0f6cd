"""How fast this machine multiplies matrices of the model's shapes, in the best way that we know of.

The six products of one layer (four of width × width, two of the feed-forward block) for as many tokens as one of the
engine's batches holds, so that each shape has the share of the work that it has in the model. Three libraries, each in
two arrangements: one product over all cores, and one product on each core, as the engine's lanes do. Weights lie warm
in the caches, and nothing else is done: no engine can be faster than the best of these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from worker.engine import available_cores, mute

Step = Callable[[], list[Any]]
"""The six products, once; returns their results in the library's own kind of array."""

SECONDS = 0.4
"""Of one measurement: hundreds of products."""

_FLOAT, _INT = "float32", "int8"


def precision_of(runtime: str) -> str:
    """The precision of the engine's products, from its runtime's name: float32, bfloat16, float16 or int8."""
    marks = {"bf16": "bfloat16", "bfloat16": "bfloat16", "fp16": "float16", "float16": "float16", "int8": _INT}
    for mark, precision in marks.items():
        if mark in runtime.lower():
            return precision
    return _FLOAT


class Products:
    """The products of one layer of a model.

    Args:
        dim: the model's width.
        hidden: the width of its feed-forward block.
        tokens: rows of every product.
    """

    def __init__(self, dim: int, hidden: int, tokens: int) -> None:
        self._cores = available_cores()
        self._tokens = tokens
        self._shapes = [*[(dim, dim)] * 4, (dim, hidden), (hidden, dim)]
        self._flops = 2 * tokens * sum(rows * columns for rows, columns in self._shapes)
        self._steps: dict[tuple[str, str, int], list[Step]] = {}

    def measure(self, precision: str) -> dict[str, float]:
        """FLOP/s by ``library, arrangement``, for every library that has products of this precision."""
        makers = {"torch": _torch, "onnxruntime": _onnx, "numpy": _numpy}
        lanes, wide = f"{self._cores} lanes", f"{self._cores} threads"
        found = {}
        for library, maker in makers.items():
            for arrangement, count, threads in ((lanes, self._cores, 1), (wide, 1, self._cores)):
                steps = self._made(library, maker, precision, count, threads)
                if steps:
                    found[f"{library}, {arrangement}"] = self._speed(library, steps, threads)
        return found

    def _made(
        self, library: str, maker: Callable[..., Step | None], precision: str, count: int, threads: int
    ) -> list[Step]:
        key = (library, precision, threads)
        if key not in self._steps:
            made = [maker(self._shapes, self._tokens, precision, threads) for _ in range(count)]
            self._steps[key] = [step for step in made if step]
        return self._steps[key]

    def _speed(self, library: str, steps: list[Step], threads: int) -> float:
        """All `steps` over and over, each on a thread of its own."""
        with _threads(library, threads), ThreadPoolExecutor(len(steps)) as pool:
            for prepared in [pool.submit(_prepare, library, threads, step) for step in steps]:
                prepared.result()
            began = time.perf_counter()
            until = began + SECONDS
            done = sum(pool.map(lambda step: _repeat(library, threads, step, until), steps))
            return done * self._flops / (time.perf_counter() - began)


def _prepare(library: str, threads: int, step: Step) -> None:
    _repeat(library, threads, step, time.perf_counter() + SECONDS / 8)


def _repeat(library: str, threads: int, step: Step, until: float) -> int:
    """How often `step` was done by the time `until`, at least once."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)  # which torch keeps for each thread
    done = 0
    while not done or time.perf_counter() < until:
        step()
        done += 1
    return done


@contextmanager
def _threads(library: str, threads: int) -> Iterator[None]:
    if library != "numpy":
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads, user_api="blas"):
        yield


def _random(shapes: list[tuple[int, int]], tokens: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """An input for each product, and its weight."""
    random = np.random.default_rng(0)
    inputs = {rows: random.standard_normal((tokens, rows), dtype=np.float32) for rows, _ in shapes}
    weights = [random.standard_normal(shape, dtype=np.float32) / shape[0] ** 0.5 for shape in shapes]
    return [inputs[rows] for rows, _ in shapes], weights


def _numpy(shapes: list[tuple[int, int]], tokens: int, precision: str, threads: int) -> Step | None:
    if precision != _FLOAT:
        return None
    inputs, weights = _random(shapes, tokens)
    outputs = [np.empty((tokens, columns), np.float32) for _, columns in shapes]

    def step() -> list[Any]:
        for one, weight, out in zip(inputs, weights, outputs, strict=True):
            np.matmul(one, weight, out=out)
        return outputs

    return step


def _torch(shapes: list[tuple[int, int]], tokens: int, precision: str, threads: int) -> Step | None:
    import torch

    multiply: Any = torch.mm
    if precision == _INT:
        multiply = torch._int_mm
        converted = [
            [torch.from_numpy((20 * array).round().clip(-127, 127).astype(np.int8)) for array in arrays]
            for arrays in _random(shapes, tokens)
        ]
    else:
        dtype = getattr(torch, precision)
        converted = [[torch.from_numpy(array).to(dtype) for array in arrays] for arrays in _random(shapes, tokens)]
    inputs, weights = converted
    outputs = [multiply(one, weight) for one, weight in zip(inputs, weights, strict=True)]

    def step() -> list[Any]:
        with torch.inference_mode():
            for one, weight, out in zip(inputs, weights, outputs, strict=True):
                multiply(one, weight, out=out)
        return outputs

    return step


def _onnx(shapes: list[tuple[int, int]], tokens: int, precision: str, threads: int) -> Step | None:
    """A graph of six products with constant weights, which ONNX Runtime packs beforehand as it does for a model."""
    if precision not in (_FLOAT, _INT):
        return None
    from onnx import TensorProto, helper, numpy_helper

    onnxruntime = mute.onnxruntime()
    arrays = _random(shapes, tokens)
    kind, operator, result = TensorProto.FLOAT, "MatMul", TensorProto.FLOAT
    if precision == _INT:
        kind, operator, result = TensorProto.UINT8, "MatMulInteger", TensorProto.INT32
        inputs = [(20 * array).round().clip(0, 255).astype(np.uint8) for array in arrays[0]]
        weights = [(20 * array).round().clip(-127, 127).astype(np.int8) for array in arrays[1]]
    else:
        inputs, weights = arrays
    names = [f"x{rows}" for rows, _ in shapes]
    widths = dict.fromkeys(rows for rows, _ in shapes)
    graph = helper.make_graph(
        [helper.make_node(operator, [name, f"w{i}"], [f"y{i}"]) for i, name in enumerate(names)],
        "products",
        [helper.make_tensor_value_info(f"x{rows}", kind, [tokens, rows]) for rows in widths],
        [helper.make_tensor_value_info(f"y{i}", result, [tokens, columns]) for i, (_, columns) in enumerate(shapes)],
        [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    outputs: list[Any] = []
    for name, array in zip(names, inputs, strict=True):
        binding.bind_cpu_input(name, array)
    for i, (_, columns) in enumerate(shapes):
        out = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            [tokens, columns], np.int32 if precision == _INT else np.float32, "cpu"
        )
        binding.bind_ortvalue_output(f"y{i}", out)
        outputs.append(out)

    def step() -> list[Any]:
        session.run_with_iobinding(binding)
        return outputs

    return step
