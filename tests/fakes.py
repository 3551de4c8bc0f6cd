"""The null model: logits from a hash of the text. The only fake there is, where hundreds of rows must be cheap."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from worker.engine import Pause, Scored, go_on


class NullScorer:
    """Scores a text by its hash. `on_text` sees each text first and may raise, as a runtime does."""

    name = "null"

    def __init__(self, on_text: Callable[[str], None] | None = None) -> None:
        self._on_text = on_text
        self.calls: list[list[str]] = []

    def prepare(self, texts: Sequence[str]) -> Sequence[str]:
        return texts

    def score(self, texts: Sequence[str], scope: bytes = b"", pause: Pause = go_on) -> Scored:
        """Logits (n, 28) within ±4, the same for the same text; a text with ``long`` in it takes two windows."""
        self.calls.append(list(texts))
        for text in texts:
            if self._on_text:
                self._on_text(text)
        windows = np.array([2 if "long" in text else 1 for text in texts], dtype=np.int32)
        repeats = [text in texts[:at] for at, text in enumerate(texts)]
        return Scored(null_logits(texts), windows, np.array(repeats, dtype=np.bool_))


def null_logits(texts: Sequence[str]) -> np.ndarray:
    """(n, 28) float16 logits that the null model gives."""
    digests = [hashlib.shake_128(text.encode()).digest(28) for text in texts]
    numbers = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(texts), 28)
    return (numbers / 32 - 4).astype("<f2")
