"""What every store promises: the verbs, and the small things they hand out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

# ``~`` is left out on purpose: the folder uses it between the parts of a staged file's name.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def check_key(key: str) -> str:
    """The key itself, if it can never lead out of the store: plain words between slashes, none starting with a dot.

    Raises:
        ValueError: it is not such a key. Keys are made by us, so this is a bug and not a user's mistake.
    """
    if not _KEY.fullmatch(key) or len(key) > 200:
        raise ValueError(f"not a storage key: {key!r}")
    return key


def check_range(start: int, length: int = 0) -> None:
    """Raises ValueError unless both numbers of bytes are at least 0."""
    if start < 0 or length < 0:
        raise ValueError(f"not a byte range: start {start}, length {length}")


@dataclass(frozen=True)
class Entry:
    """One file that lies in a store, as `Storage.list` finds it."""

    key: str
    modified: datetime
    """When its last byte was written, in UTC, by the clock of the store."""
    staged: bool
    """Not committed: `delete` of its key removes it."""


class StagedWriter:
    """Bytes on their way in, invisible until `Storage.commit`. Leaving the ``with`` block uncommitted discards them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.size = 0
        """Bytes written so far."""
        self.committed = False

    def write(self, block: bytes) -> None:
        """Appends `block`. Raises Unavailable if the store does not take it."""
        raise NotImplementedError

    def abort(self) -> None:
        """Discards what was staged. After a commit, or a second time, it does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.abort()


class Blocks:
    """The bytes of a stored file in order: iterate for blocks of a convenient size, or `read` as from a file.

    A context manager; memory stays that of one block and what `read` was asked for.
    """

    def __init__(self, blocks: Iterator[bytes], close: Callable[[], None]) -> None:
        self._blocks = blocks
        self._close = close
        self._rest = b""

    def __iter__(self) -> Iterator[bytes]:
        while block := self._next():
            yield block

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer only at the end of the file; all that is left for a negative `size`."""
        parts, missing = [], size
        while missing and (block := self._next()):
            if 0 <= missing < len(block):
                block, self._rest = block[:missing], block[missing:]
            parts.append(block)
            missing -= len(block) if missing > 0 else 0
        return b"".join(parts)

    def close(self) -> None:
        """Lets go of the file; reading on after this is an error of the store's own kind."""
        self._close()

    def _next(self) -> bytes:
        block, self._rest = self._rest, b""
        return block or next(self._blocks, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Storage(Protocol):
    """The verbs. They raise StorageMissing where no such file is, Unavailable where the store does not answer."""

    def stage(self, key: str) -> StagedWriter:
        """A writer for `key`. Several may be open for one key; the one committed last stays."""

    def commit(self, staged: StagedWriter) -> None:
        """Makes the staged bytes durable, then visible under their key, all at once. A second time does nothing.

        Raises:
            StorageMissing: what was staged has been deleted meanwhile, or was aborted.
        """

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from byte `start`: fewer, possibly none, only where the file ends."""

    def open(self, key: str, start: int = 0) -> Blocks:
        """The file from byte `start` to its end."""

    def delete(self, key: str) -> None:
        """Removes the file and whatever is staged for it. That nothing is there is fine."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every file, staged ones too, whose key starts with `prefix`, in no promised order.

        One that comes or goes meanwhile may be listed or not.
        """
