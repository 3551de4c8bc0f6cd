"""What a process remembers of texts it has scored: "Great!", "ok", "n/a" come back by the thousand, across chunks.

Bounded, least recently used out first. A text is kept as a 128-bit hash keyed by model and job, never as text: no
user's words linger here, no job gains by what another one held (and so cannot learn it from the time it took), and an
entry costs some 250 bytes whatever the text's length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.bool_], NDArray[np.float16], NDArray[np.int32]]


class TextMemory:
    """Logits and window counts of at most `entries` texts under one model. Not for several threads at once.

    Args:
        entries: texts remembered, at least 1.
        model_sha256: the model's identity, in hex; part of every key.
        n_labels: logits of a text.
    """

    def __init__(self, entries: int, model_sha256: str, n_labels: int) -> None:
        if entries < 1:
            raise ValueError(f"A memory of {entries} texts remembers nothing.")
        self.entries = entries
        self._model = bytes.fromhex(model_sha256)
        self._slots: OrderedDict[bytes, int] = OrderedDict()  # key to row of the arrays, least recently used first
        # np.empty: the operating system gives a page only when it is first written.
        self._logits = np.empty((entries, n_labels), dtype="<f2")
        self._windows = np.empty(entries, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._slots)

    def keys(self, texts: Sequence[str], scope: bytes = b"") -> list[bytes]:
        """The 16 bytes under which each text is remembered within `scope`, which has at most 16 bytes."""
        return [blake2b(text.encode(), digest_size=16, key=self._model, salt=scope).digest() for text in texts]

    def get_many(self, keys: Sequence[bytes]) -> Found:
        """Looks keys up; one that is found counts as used now.

        Returns:
            known: (n,) bool.
            logits: (k, labels) little-endian float16 of the k known keys, in order.
            windows: (k,) int32, likewise.
        """
        slots = np.array([self._slots.get(key, -1) for key in keys], dtype=np.int64)
        known = slots >= 0
        for key, found in zip(keys, known, strict=True):
            if found:
                self._slots.move_to_end(key)
        return known, self._logits[slots[known]], self._windows[slots[known]]

    def put_many(self, keys: Sequence[bytes], logits: NDArray[np.float16], windows: NDArray[np.int32]) -> None:
        """Remembers (n, labels) logits and (n,) window counts under `keys`; the least recently used make room."""
        for key, row, count in zip(keys, logits, windows, strict=True):
            slot = self._slots.pop(key, None)
            if slot is None:
                slot = len(self._slots) if len(self._slots) < self.entries else self._slots.popitem(last=False)[1]
            self._slots[key] = slot
            self._logits[slot] = row
            self._windows[slot] = count
