"""The resident memory of a stack's processes, sampled while something goes on."""

from __future__ import annotations

import time
from types import TracebackType

from benchmarks.background import Background
from benchmarks.stacks import LocalStack

SAMPLE_S = 0.5

MEGABYTE = 1_000_000
"""Bytes."""


class MemoryWatch(Background):
    """Samples in the background for the length of a ``with`` block, from its beginning to its end."""

    def __init__(self, running: LocalStack) -> None:
        super().__init__()
        self._running = running
        self._began = time.perf_counter()
        self.samples: list[tuple[float, dict[str, int]]] = []
        """(seconds, resident bytes of the largest process of each kind)."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        super().__exit__(kind, error, tb)
        self._sample()

    @property
    def kinds(self) -> list[str]:
        """The kinds of process that were seen."""
        return sorted({kind for _, found in self.samples for kind in found})

    def series(self, kind: str) -> list[int]:
        """Resident bytes of one kind, in the order of time."""
        return [found[kind] for _, found in self.samples if kind in found]

    def late_over_early(self, kind: str) -> float:
        """The median of the last fifth of the samples over that of the second fifth: about 1 where nothing grows."""
        series = self.series(kind)
        fifth = max(1, len(series) // 5)
        early, late = (sorted(part)[len(part) // 2] for part in (series[fifth : 2 * fifth] or series, series[-fifth:]))
        return late / early

    def _run(self) -> None:
        self._sample()
        while not self._over.wait(SAMPLE_S):
            self._sample()

    def _sample(self) -> None:
        self.samples.append((time.perf_counter() - self._began, self._running.resident()))
