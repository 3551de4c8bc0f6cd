"""Finds any of many short strings in much data at once: the time it takes does not grow with how many there are.

Each position is looked at by a hash of its four bytes, in a table; the few positions that are left by a second table of
the four bytes that follow; what is still left is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

SHORTEST = 12
"""Bytes. What is shorter may stand anywhere by chance."""

BLOCK = 1 << 22

_BITS = 22
_MULTIPLIER = np.uint32(2_654_435_761)  # Knuth's: 2**32 over the golden ratio


class Needles:
    """What is looked for, of at least `SHORTEST` bytes each.

    Raises:
        ValueError: one is shorter.
    """

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self._by_head: dict[bytes, list[bytes]] = {}
        self._tables = [np.zeros(1 << _BITS, dtype=bool) for _ in range(2)]
        self._longest = SHORTEST
        for needle in set(wanted):
            if len(needle) < SHORTEST:
                raise ValueError(f"{len(needle)} bytes are too few to look for.")
            self._by_head.setdefault(needle[:SHORTEST], []).append(needle)
            self._longest = max(self._longest, len(needle))
        heads = np.frombuffer(b"".join(head[:8] for head in self._by_head), dtype="<u4").reshape(-1, 2)
        for at, table in enumerate(self._tables):
            table[_hashed(heads[:, at])] = True

    def in_bytes(self, data: bytes, known: int = 0) -> Iterator[bytes]:
        """The needles that stand in the data, once for each place; not those within its first `known` bytes."""
        for offset in range(4):
            count = (len(data) - offset) // 4
            if count < 1:
                return
            words = np.frombuffer(data, dtype="<u4", count=count, offset=offset)
            likely = np.flatnonzero(self._tables[0][_hashed(words[:-1])])
            likely = likely[self._tables[1][_hashed(words[likely + 1])]]
            for at in (likely * 4 + offset).tolist():
                for needle in self._by_head.get(data[at : at + SHORTEST], ()):
                    if data.startswith(needle, at) and at + len(needle) > known:
                        yield needle

    def in_stream(self, stream: BinaryIO) -> Iterator[bytes]:
        """The needles that stand in what the stream holds; those across the edges of blocks as well."""
        kept = b""
        while block := stream.read(BLOCK):
            data = kept + block
            yield from self.in_bytes(data, len(kept))
            kept = data[-self._longest + 1 :]


def _hashed(words: np.ndarray) -> np.ndarray:
    return (words * _MULTIPLIER) >> np.uint32(32 - _BITS)
