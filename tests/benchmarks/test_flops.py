"""The count of operations against a count by hand, and against the products of the graph that really runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from benchmarks.flops import batch_flops, total_flops
from core.model_directory import ModelDirectory, find_model
from worker.engine import mute
from worker.engine.graph import build_graph
from worker.engine.weights import Weights


@pytest.fixture(scope="module")
def model() -> ModelDirectory:
    return ModelDirectory.load(find_model("emobatch-distilbert-6x384"))


def products_of_graph(model: ModelDirectory, rows: int, length: int) -> int:
    """Runs the engine's graph with every product's first operand and result looked at."""
    graph = onnx.load_from_string(build_graph(model, Weights(model.weights_path)))
    nodes = [node for node in graph.graph.node if "MatMul" in node.op_type or "Gemm" in node.op_type]
    known = {output.name for output in graph.graph.output}
    wanted = dict.fromkeys(name for node in nodes for name in (node.input[0], node.output[0]))
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    onnxruntime = mute.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {one.name: np.ones((rows, length), dtype=np.int64) for one in session.get_inputs()}
    found = dict(zip(wanted, session.run(list(wanted), inputs), strict=True))
    return sum(2 * found[node.output[0]].size * found[node.input[0]].shape[-1] for node in nodes)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (7, 11), (3, 64)])
def test_the_count_is_that_of_the_graph_which_runs(model, rows, length):
    assert batch_flops(model, rows, length) == products_of_graph(model, rows, length)


def test_the_count_by_hand(model):
    """Two layers of width 4 with 2 heads and a block of 8, on 3 sequences of 5 tokens, 28 labels."""
    small = replace(model, n_layers=2, dim=4, n_heads=2, hidden_dim=8)
    first = 4 * (15 * 4 * 4) + 2 * (3 * 5 * 5 * 4) + 2 * (15 * 4 * 8)
    last = 2 * (3 * 4 * 4) + 2 * (3 * 4 * 4) + 2 * (3 * 2 * 5 * 4) + 2 * (3 * 4 * 8)
    head = 3 * 4 * 4 + 3 * 4 * 28
    assert batch_flops(small, 3, 5) == 2 * (first + last + head)


def test_batches_add_up(model):
    assert total_flops(model, [(3, 5), (2, 9)]) == batch_flops(model, 3, 5) + batch_flops(model, 2, 9)
