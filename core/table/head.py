"""The first bytes of a stored upload, unpacked: all that detection and previews read, at any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.table.unpack import Unpacker

BinarySource = Callable[[int, int], bytes]
"""``source(start, length)`` gives that range of the stored bytes: fewer, possibly none, only where the file ends."""

HEAD_BYTES = 256 * 1024
_PACKED_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Head:
    """The first bytes of the text."""

    data: bytes
    complete: bool
    """Whether that is the whole file."""


def read_head(source: BinarySource, compression: str | None, size: int = HEAD_BYTES) -> Head:
    """Reads the first `size` bytes of text. Raises UploadDamaged for a broken gzip file."""
    if compression is None:
        data = source(0, size + 1)
        return Head(data[:size], complete=len(data) <= size)
    # No cap is needed here: reading stops at `size`.
    unpacker = Unpacker(max_unpacked_bytes=2**62, max_compression_ratio=2**31)
    unpacked = bytearray()
    position = 0
    while block := source(position, _PACKED_BLOCK):
        position += len(block)
        for piece in unpacker.feed(block):
            unpacked += piece
            if len(unpacked) > size:
                return Head(bytes(unpacked[:size]), complete=False)
    unpacker.finish()
    return Head(bytes(unpacked), complete=True)
