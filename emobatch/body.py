"""The body of an upload: a file sent block by block, as many times as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError

BLOCK = 256 * 1024

Progress = Callable[[int, int], None]
"""Is called with bytes so far and bytes in all; the latter is 0 where unknown."""


@contextmanager
def opened(file: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A path is opened for the block, an open file is left open."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            yield stream
    else:
        yield file


def name_of(file: Path | BinaryIO) -> str:
    """A file's name; bytes in it that are no text are replaced, since an address cannot carry them."""
    return file.name.encode(errors="replace").decode() if isinstance(file, Path) else "upload.csv"


def blocks(stream: BinaryIO, size: int, progress: Progress | None) -> Iterator[bytes]:
    """The next `size` bytes of `stream`.

    Raises:
        InputError: the file is shorter by now: what was promised to the server cannot be sent.
    """
    sent = 0
    while sent < size:
        block = stream.read(min(BLOCK, size - sent))
        if not block:
            raise InputError("The file became shorter while it was being sent.", next_step="Try again once it is done.")
        sent += len(block)
        yield block
        if progress:
            progress(sent, size)
