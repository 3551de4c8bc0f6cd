"""The null engine: logits from a checksum of the text, for nothing. Its labels mean nothing.

With a model that costs nothing, all the time a job takes is that of our own machinery: benchmarks show it so, and
fault campaigns get through many jobs. A text's logits depend on the text alone, so results of two runs can be compared.
Slowed down, it stands in for a model of a known speed: what others wait for then does not depend on the machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import structlog

from core.failpoints import failpoint
from core.model_directory import ModelDirectory
from worker.engine.engine import Scored
from worker.engine.runtime import Pause, go_on

log = structlog.get_logger(__name__)

NULL = "null"
"""Value of the setting `engine` that asks for it."""

ROWS_PER_S = "EMOBATCH_NULL_ROWS_PER_S"
"""Environment variable with the rows that it scores a second, for benchmarks and tests; unset: as many as it can. No
setting of an installation: nobody who wants labels runs this engine."""

_LEVELS = 64
_SPREAD = np.uint32(2_654_435_761)  # 2^32 over the golden ratio (Knuth): its odd multiples spread a checksum evenly


class NullEngine:
    """Scores as an `Engine` does: same answer, no model. `name` is what it is, for the log."""

    name = NULL

    def __init__(self, model: ModelDirectory) -> None:
        self.model = model
        n_labels = len(model.labels)
        self._factors = _SPREAD * (2 * np.arange(n_labels, dtype=np.uint32) + 1)
        # As with a real model, nearly every label is far below its threshold, and one stands out.
        self._low = np.linspace(-7, -4, _LEVELS).astype("<f2")
        self._high = np.linspace(-1, 3, _LEVELS).astype("<f2")
        self._row_s = 1 / float(os.environ[ROWS_PER_S]) if os.environ.get(ROWS_PER_S) else 0.0
        log.warning("the null engine scores: labels mean nothing", engine=self.name)

    def prepare(self, texts: Sequence[str]) -> Sequence[str]:
        """Nothing is to be done beforehand."""
        return texts

    def score(self, texts: Sequence[str], scope: bytes = b"", pause: Pause = go_on) -> Scored:
        """Logits (n, labels) of `texts`, in their order, all finite; every text takes one window, no scope matters."""
        sums = np.fromiter(map(crc32, map(str.encode, texts)), dtype=np.uint32, count=len(texts))
        logits = self._low[(sums[:, None] * self._factors) >> np.uint32(26)]
        logits[np.arange(len(texts)), sums % np.uint32(len(self._factors))] = self._high[sums >> np.uint32(26)]
        failpoint("mid-inference")
        time.sleep(self._row_s * len(texts))
        repeats = np.ones(len(texts), dtype=np.bool_)
        repeats[list({text: at for at, text in reversed(list(enumerate(texts)))}.values())] = False
        return Scored(logits, np.ones(len(texts), dtype=np.int32), repeats)
