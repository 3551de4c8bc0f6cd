"""Something that goes on beside what is measured: a thread for the length of a ``with`` block."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """`_run` on a thread of its own; it ends soon after `_over` is set, and is waited for, `patience_s` at most."""

    patience_s: float | None = None

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(self.patience_s)

    @abstractmethod
    def _run(self) -> None: ...
