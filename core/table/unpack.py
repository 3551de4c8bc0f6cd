"""gzip, unpacked on the way: in constant memory, and only as far as a real text file would reach.

The caps are enforced where the bytes appear, so a bomb costs a block of work and not a disk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from core.errors import LimitExceeded, UploadDamaged

MAGIC = b"\x1f\x8b"
_PIECE = 1024 * 1024
# A short file of one repeated line compresses better than any limit that is useful for long ones.
_RATIO_COUNTS_FROM = 16 * 1024 * 1024
_GZIP = 31  # zlib's window bits for "gzip wrapper, 32 KiB window"


class Unpacker:
    """Unpacks a gzip stream, of one member or several, block by block.

    Args:
        max_unpacked_bytes: cap on what comes out.
        max_compression_ratio: cap on bytes out for each byte in, judged from 16 MiB on.
    """

    def __init__(self, *, max_unpacked_bytes: int, max_compression_ratio: int) -> None:
        self._max_unpacked = max_unpacked_bytes
        self._max_ratio = max_compression_ratio
        self._inflater = zlib.decompressobj(_GZIP)
        self._packed = 0
        self._unpacked = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yields what `block` unpacks to, in pieces of at most 1 MiB.

        Raises:
            UploadDamaged: these bytes are not gzip.
            LimitExceeded: more comes out than is allowed.
        """
        self._packed += len(block)
        # What zlib holds back when a piece is full comes with the next bytes: at the latest, the trailer.
        while block:
            if self._inflater.eof:
                block = block.lstrip(b"\0")  # padding, as tapes and block devices leave it
                if not block:
                    return
                self._inflater = zlib.decompressobj(_GZIP)
            try:
                piece = self._inflater.decompress(block, _PIECE)
            except zlib.error as error:
                raise UploadDamaged(
                    f"The gzip file is damaged near byte {self._packed:,}.", next_step="Compress and send it again."
                ) from error
            block = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            self._unpacked += len(piece)
            self._check_limits()
            if piece:
                yield piece

    def finish(self) -> None:
        """Call at the end of the stream. Raises UploadDamaged if it was cut off."""
        if not self._inflater.eof:
            raise UploadDamaged("The gzip file is cut off before its end.", next_step="Compress and send it again.")

    def _check_limits(self) -> None:
        if self._unpacked > self._max_unpacked:
            raise LimitExceeded(
                f"The file unpacks to more than {self._max_unpacked:,} bytes.", next_step="Split it into several."
            )
        if self._unpacked > _RATIO_COUNTS_FROM and self._unpacked > self._max_ratio * self._packed:
            raise LimitExceeded(
                f"The gzip file unpacks to more than {self._max_ratio} times its size, as no text does.",
                next_step="Send the file uncompressed.",
            )
