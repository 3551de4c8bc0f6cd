"""Whether a CPU computes in a lower precision: only where that is faster and the labels stay, both tried out.

The trial runs once for a model on a kind of processor; its verdict is kept beside the cached graph, and logged.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import structlog
from numpy.typing import NDArray

from core.errors import BadOption
from core.model_directory import ModelDirectory
from worker.engine.graph import graph_version
from worker.engine.graph_cache import default_cache_dir, replace_file
from worker.engine.onnx_runtime import OnnxRuntime
from worker.engine.openvino_runtime import OpenvinoRuntime, has_bfloat16
from worker.engine.probe_texts import probe_texts
from worker.engine.runtime import Runtime, run_windows
from worker.engine.tokens import Tokens, Windows

log = structlog.get_logger(__name__)

Precision = Literal["auto", "float32", "bfloat16"]

MIN_AGREEMENT = 0.995
"""Share of the probe set's top labels, of 28 and of each taxonomy, that must be those of float32."""

MIN_SPEEDUP = 1.1
"""Less is not worth other digits than most machines give."""

MAX_DRIFT = 1e-3
"""How far a top score may move with what else is in a batch: a disturbed job must end as an undisturbed one."""

_ROUNDS = 3
_TIMED = 3  # every so many of the probe set: the start of a first job waits for this
_ALONE = 40


@dataclass(frozen=True)
class Verdict:
    """What a trial found.

    Attributes:
        agreement: share of equal top labels, the lowest over all taxonomies.
        speedup: bfloat16 over float32.
        drift: the most that a top score moved when its text was scored alone, or in other company.
    """

    agreement: float
    speedup: float
    drift: float

    @property
    def lower(self) -> bool:
        """Whether the lower precision is to be used."""
        return self.agreement >= MIN_AGREEMENT and self.speedup >= MIN_SPEEDUP and self.drift <= MAX_DRIFT


def cpu_runtime(model: ModelDirectory, precision: str, threads: int, cache_dir: Path | None) -> Runtime:
    """The runtime for a CPU in the precision that is asked for; `auto`: the faster one, if it is as good.

    Raises:
        BadOption: an unknown precision, or one that this machine cannot compute.
        ModelDirectoryError: the model directory is damaged.
    """
    if precision not in get_args(Precision):
        raise BadOption(
            f"There is no precision {precision!r}.", next_step=f"Choose one of {', '.join(get_args(Precision))}."
        )
    if precision == "float32" or not has_bfloat16():
        if precision == "bfloat16":
            raise BadOption(
                "This machine cannot compute in bfloat16: its processor lacks AVX512_BF16 and AMX, or openvino is not "
                "installed.",
                next_step="Set EMOBATCH_PRECISION to auto or float32.",
            )
        return OnnxRuntime(model, threads, cache_dir)
    if precision == "bfloat16":
        return OpenvinoRuntime(model, threads, cache_dir)
    path = (cache_dir if cache_dir is not None else default_cache_dir()) / f"{model.sha256}-{_circumstances()}.verdict"
    verdict = _remembered(path)
    if verdict is None:
        exact, lower = OnnxRuntime(model, threads, cache_dir), OpenvinoRuntime(model, threads, cache_dir)
        verdict = try_out(model, exact, lower)
        _remember(path, verdict)
        chosen: Runtime = lower if verdict.lower else exact
    else:
        chosen = (OpenvinoRuntime if verdict.lower else OnnxRuntime)(model, threads, cache_dir)
    log.info("precision chosen", runtime=chosen.name, lower=verdict.lower, **asdict(verdict))
    return chosen


def try_out(model: ModelDirectory, exact: Runtime, lower: Runtime) -> Verdict:
    """Runs the probe set on both, in turns."""

    def logits_of(runtime: Runtime, windows: Windows) -> NDArray[np.float16]:
        return run_windows(runtime, windows, len(model.labels)).astype("<f2")  # as a result stores them

    windows = Tokens(model).windows(probe_texts())
    found = {runtime: logits_of(runtime, windows) for runtime in (exact, lower)}
    seconds: dict[Runtime, list[float]] = {exact: [], lower: []}
    timed = windows.only(np.arange(0, len(windows.lengths), _TIMED))
    for _ in range(_ROUNDS):
        for runtime in (exact, lower):
            began = time.perf_counter()
            logits_of(runtime, timed)
            seconds[runtime].append(time.perf_counter() - began)
    n = len(windows.lengths)
    spread = np.linspace(0, n - 1, _ALONE).astype(np.int64)
    alone = np.concatenate([logits_of(lower, windows.only(spread[i : i + 1])) for i in range(_ALONE)])
    # Cut otherwise: every third in company of its like only.
    parts = np.empty_like(found[lower])
    for start in range(3):
        parts[start::3] = logits_of(lower, windows.only(np.arange(start, n, 3)))
    agreement, drift = 1.0, 0.0
    for taxonomy in model.taxonomies.values():
        tops = {runtime: taxonomy.top(taxonomy.scores(logits)) for runtime, logits in found.items()}
        agreement = min(agreement, float(np.mean(tops[exact][0] == tops[lower][0])))
        scores = tops[lower][1]
        for logits, beside in ((alone, scores[spread]), (parts, scores)):
            drift = max(drift, float(np.abs(taxonomy.top(taxonomy.scores(logits))[1] - beside).max()))
    return Verdict(
        agreement=agreement, speedup=float(np.median(seconds[exact]) / np.median(seconds[lower])), drift=drift
    )


def _circumstances() -> str:
    """Names everything that a verdict depends on but the model: 16 hex digits."""
    cpuinfo = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    processor = [line for line in cpuinfo if line.startswith(("vendor_id", "cpu family", "model", "stepping", "flags"))]
    said = [*processor, version("onnxruntime"), version("openvino"), graph_version(), *probe_texts()]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _remembered(path: Path) -> Verdict | None:
    try:
        return Verdict(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):  # not there, or not what we wrote
        return None


def _remember(path: Path, verdict: Verdict) -> None:
    try:
        replace_file(path, json.dumps(asdict(verdict)).encode())
    except OSError as error:
        log.warning("verdict not kept: every start tries again", reason=type(error).__name__)
