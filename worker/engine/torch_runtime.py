"""Torch: on a GPU for speed, on a CPU as the reference that every other runtime must agree with.

Here DistilBERT is transformers' own, loaded by transformers' own reader: it shares nothing with our graph but the
files, so where the two agree, both are right.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory, ModelDirectoryError

_CPU_BUDGET = 512  # as for ONNX Runtime: what stays in a core's cache
_CUDA_BUDGET = 32_768  # enough rows for every product to fill a GPU; a few hundred MB of intermediates


class TorchRuntime:
    """The `Runtime` on torch: CUDA where there is one, else the CPU.

    On CUDA it computes in float16, not bfloat16: the weights are stored as float16, so they are exact, and what else is
    in its batch may move a text's scores by 0.001 at most. Over 96 texts that was 0.0004 in float16, 0.005 in bfloat16
    (shipped model, torch's CPU kernels). On a CPU it computes in float32.

    Args:
        model: the model directory.
        threads: on a CPU, torch's threads in this whole process, at least 1.
        device: a torch device; None: `cuda` where there is one, else `cpu`.

    Raises ModelDirectoryError where the weights are damaged or do not fit the config.
    """

    def __init__(self, model: ModelDirectory, threads: int, device: str | None = None) -> None:
        import torch
        from transformers import DistilBertForSequenceClassification
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # of reading the weights, in the log of a worker
        self._torch = torch
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        on_cuda = self._device.type == "cuda"
        if not on_cuda:
            torch.set_num_threads(threads)
        dtype = torch.float16 if on_cuda else torch.float32
        ModelDirectory.load(model.path, verify=True)
        loaded: Any = DistilBertForSequenceClassification.from_pretrained(
            model.path, local_files_only=True, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
        )
        network, report = loaded
        # transformers fills what is missing or misshapen with random numbers and only logs it.
        if wrong := sorted(map(str, {*report["missing_keys"], *report["mismatched_keys"]})):
            raise ModelDirectoryError(f"{model.weights_path} does not fit its config.json: {', '.join(wrong)}.")
        self._network = network.eval().to(self._device)
        self.token_budget = _CUDA_BUDGET if on_cuda else _CPU_BUDGET
        where = torch.cuda.get_device_name(self._device) if on_cuda else "CPU"
        self.name = f"torch {torch.__version__}, {str(dtype).removeprefix('torch.')}, {where}"

    def run(self, batches: Iterable[NDArray[np.int64]]) -> Iterable[NDArray[np.float32]]:
        """See `Runtime.run`. On CUDA all batches are queued before the first is waited for."""
        with self._torch.inference_mode():
            queued = [self._network(input_ids=self._on_device(batch)).logits.float() for batch in batches]
            return [logits.cpu().numpy() for logits in queued]

    def _on_device(self, batch: NDArray[np.int64]) -> Any:
        ids = self._torch.from_numpy(batch)
        if self._device.type == "cuda":
            return ids.pin_memory().to(self._device, non_blocking=True)
        return ids
