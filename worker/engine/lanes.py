"""Batches side by side on a CPU, each on one core: what the runtimes for CPUs have in common.

**Lanes, not threads.** Each batch is computed by one thread, and as many batches run at once as there are threads, over
one copy of the weights. Splitting every product over threads instead makes all wait for the slowest dozens of times a
batch; with other work on the cores that wait is what one sees. Batches of 512 tokens keep a lane's intermediates in its
core's cache: on two cores with 2 MB each, 4,096 tokens ran at two thirds of that speed, 128 tokens at nine tenths.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

AHEAD = 4
"""Batches of a lane that are begun or wait for it: some tens of milliseconds, enough for the caller to make more."""


class Lanes(ABC):
    """A `Runtime` that computes `threads` batches at once, at least 1, each by `_run_one`."""

    token_budget = 512

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "lane")
        self._most = AHEAD * threads

    def run(self, batches: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.float32]]:
        """See `Runtime.run`. Few batches wait for a lane: what is run between two results has its turn soon."""
        begun: deque[Future[NDArray[np.float32]]] = deque()
        try:
            for batch in batches:
                begun.append(self._pool.submit(self._run_one, batch))
                if len(begun) >= self._most:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for left in begun:
                left.cancel()

    @abstractmethod
    def _run_one(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(batch, labels) logits of (batch, length) token ids, in whatever lane: without the interpreter lock."""
