"""Where the engine's time goes: ONNX Runtime's own account of its operators, on one core.

python -m benchmarks.profile [--model NAME] [--rows N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.corpus import Corpus, data_folder
from core.model_directory import DEFAULT_MODEL, ModelDirectory, find_model
from worker.batching import plan_batches
from worker.engine import mute
from worker.engine.graph_cache import cached_graph
from worker.engine.onnx_runtime import OnnxRuntime
from worker.engine.tokens import Tokens


def operators(model: ModelDirectory, texts: list[str]) -> Counter[str]:
    """Microseconds in each kind of operator while `texts` are run, a thousand at a time as in a chunk."""
    tokens, onnxruntime = Tokens(model), mute.onnxruntime()
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        graph = cached_graph(model, None)
        session = onnxruntime.InferenceSession(graph, options, disabled_optimizers=["BiasGeluFusion"])
        for at in range(0, len(texts), 1_000):
            windows = tokens.windows(texts[at : at + 1_000])
            for batch in plan_batches(windows.lengths, OnnxRuntime.token_budget):
                session.run(["logits"], {"input_ids": windows.rectangle(batch)})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return spent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--rows", type=int, default=3_000)
    options = parser.parse_args()
    spent = operators(ModelDirectory.load(find_model(options.model)), Corpus(data_folder()).texts(options.rows))
    for name, microseconds in spent.most_common(10):
        print(f"{name:24}{microseconds / spent.total():7.1%}")


if __name__ == "__main__":
    main()
