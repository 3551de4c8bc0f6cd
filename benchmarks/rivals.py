"""What a user would write today: a transformers pipeline over a DataFrame, and Ray Data around the pipeline.

Same weights, same rows, same added columns. Both are given what they are known to do best with: float32 said in so many
words (the files are float16, which a CPU multiplies slowly), and for Ray the better of two ways to use the cores.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import REPO
from benchmarks.labelled import as_logits, labels
from core.model_directory import ModelDirectory, find_model


def make_pipeline(model: ModelDirectory, precision: str = "float32") -> Any:
    """The pipeline with the weights of `model`, warm."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    made = transformers.pipeline(
        "text-classification", model=str(model.path), device="cpu", dtype=getattr(torch, precision)
    )
    made(["warm"])
    return made


class Pipeline:
    """``transformers.pipeline("text-classification", ..., device="cpu")`` between pandas' reader and writer."""

    def __init__(self, model: str, precision: str = "float32") -> None:
        import pandas

        self._pandas = pandas
        self._model = ModelDirectory.load(find_model(model))
        self._pipeline = make_pipeline(self._model, precision)

    def label(self, source: str, target: str, batch_size: int) -> float:
        """Seconds from the CSV `source` to the labelled CSV `target`."""
        began = time.perf_counter()
        frame = self._pandas.read_csv(source, keep_default_na=False, dtype=str)
        answers = self._pipeline(
            frame["text"].tolist(), batch_size=batch_size, top_k=None, function_to_apply="none", truncation=True
        )
        frame.assign(**labels(self._model, as_logits(self._model, answers))).to_csv(target, index=False)
        return time.perf_counter() - began


class RayData:
    """``ray.data.read_csv(...).map_batches(pipeline).write_csv(...)`` on this machine.

    Ray starts afresh for every run, since its processes would disturb the others in between. The clock runs from the
    moment when the last of its workers has loaded the model.
    """

    def __init__(self, model: str, cores: int) -> None:
        self._model, self._cores = model, cores

    def label(self, source: str, target: str, batch_size: int, workers: int) -> float:
        """Seconds from the CSV `source` to parts in the folder `target`, with `workers` processes."""
        import ray

        os.environ |= {"PYTHONPATH": str(REPO), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        shutil.rmtree(target, ignore_errors=True)
        threads = max(1, self._cores // workers)
        with tempfile.TemporaryDirectory(prefix="ray") as folder, tempfile.TemporaryDirectory() as marks:
            # One more than there are: reading and writing need not wait for a worker's core.
            ray.init(
                num_cpus=self._cores + 1,
                include_dashboard=False,
                object_store_memory=256 * 2**20,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
            try:
                context = ray.data.DataContext.get_current()
                context.enable_progress_bars = False
                context.wait_for_min_actors_s = 600
                (
                    ray.data.read_csv(source, override_num_blocks=8 * workers)
                    .map_batches(
                        RayWorker,
                        fn_constructor_args=(self._model, batch_size, threads, marks),
                        batch_size=256,
                        num_cpus=threads,
                        compute=ray.data.ActorPoolStrategy(size=workers),
                    )
                    .write_csv(target)
                )
                ended = time.time()
            finally:
                ray.shutdown()
            ready = [float(mark.read_text()) for mark in Path(marks).iterdir()]
        return ended - max(ready)


class RayWorker:
    """The pipeline as Ray Data calls it: a batch of columns in, the same with labels out. Says when it was ready."""

    def __init__(self, model: str, batch_size: int, threads: int, marks: str) -> None:
        import torch

        torch.set_num_threads(threads)
        self._model = ModelDirectory.load(find_model(model))
        self._pipeline = make_pipeline(self._model)
        self._batch_size = batch_size
        Path(marks, str(os.getpid())).write_text(repr(time.time()))

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Labels one batch."""
        texts = [str(text) for text in batch["text"]]
        answers = self._pipeline(
            texts, batch_size=self._batch_size, top_k=None, function_to_apply="none", truncation=True
        )
        added = labels(self._model, as_logits(self._model, answers))
        return {**batch, **{name: np.array(column) for name, column in added.items()}}
