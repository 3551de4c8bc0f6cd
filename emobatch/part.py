"""What has come of a download: a file that outlives the process, so that the next one goes on where this one broke.

Its name says of what it is a part: a key made of the request, and the server's ETag, without which nobody may add to
it. A lock says that somebody does. Where there is no folder (a pipe, stdout) it has no name, and ends with the process.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from core.errors import Unavailable

WORTH_KEEPING = 1024 * 1024
"""Bytes. What is smaller comes again as fast as it is gone on with."""

OVERLAP = 64 * 1024
"""Bytes at the end that are fetched once more: what was written last before a machine lost power may be torn."""

_ETAG = re.compile(r'"([0-9A-Za-z._-]{1,100})"')
"""One that can stand in a file's name. A weak one promises no equal bytes."""


class Part:
    """One download on its way. Use it as a context manager; call `settled` in the block once its file is elsewhere.

    It is kept if the block is left by an outage or by the user, its ETag is known, and it is worth it; else nothing of
    it remains.

    Args:
        folder: where it lies; None: nowhere that others see.
        key: the same for the same request, letters and digits; empty: what came earlier is not looked for.
    """

    def __init__(self, folder: Path | None, key: str = "") -> None:
        self._folder = folder
        self._key = key
        self._etag = ""
        self.path: Path | None = None
        """Where it lies, if others can see it."""
        self.file: BinaryIO
        self.is_kept = False
        """Whether another process can go on with it, once the block was left."""

    def __enter__(self) -> Self:
        """Takes up what another process left, or begins anew. Raises OSError if the folder cannot be written to."""
        if self._folder is None:
            self.file = tempfile.TemporaryFile()
        elif not self._take_up():
            self.path = self._nameless
            self.file = self.path.open("x+b")
            _lock(self.file)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with suppress(OSError):  # if the disk is full, what is there takes room that is needed
            self.file.flush()
            stopped = isinstance(error, Unavailable | KeyboardInterrupt | SystemExit)
            self.is_kept = stopped and self._is_named and self.size >= WORTH_KEEPING
        if self.path and not self.is_kept:
            self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self.file.close()

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self.file.seek(0, os.SEEK_END)

    @property
    def rest(self) -> tuple[int, str]:
        """The byte to ask for first, and the ETag as a header has it; 0 and nothing: the whole file."""
        at = max(0, self.size - OVERLAP) if self._etag else 0
        return (at, f'"{self._etag}"') if at else (0, "")

    def go_on(self, at: int) -> None:
        """The next bytes to come are those from `at` on, of the same file. What is behind stays until they have."""
        self.file.seek(at)

    def begin(self, etag: str | None) -> None:
        """A whole file is to come, under this ETag: what is there is dropped."""
        self.file.seek(0)
        self.file.truncate()
        if self._is_named and self.path:  # and no longer what its name says
            self.path = self.path.rename(self._nameless)
        found = _ETAG.fullmatch(etag or "")
        self._etag = found[1] if found else ""
        if self._etag and self._key and self.path:
            with suppress(OSError):  # another process has that name, or a file system has no links
                os.link(self.path, self._named)  # unlike renaming it replaces nobody's
                self.path.unlink()
                self.path = self._named

    def settled(self) -> None:
        """The file has been moved to its place."""
        self.path = None

    @property
    def _named(self) -> Path:
        assert self._folder is not None
        return self._folder / f".emobatch-{self._key}-{self._etag}.part"

    @property
    def _nameless(self) -> Path:
        assert self._folder is not None
        return self._folder / f".emobatch-{secrets.token_hex(8)}.part"

    @property
    def _is_named(self) -> bool:
        return self.path is not None and self.path == self._named

    def _take_up(self) -> bool:
        """Opens what an earlier process left, if that is there and nobody works on it."""
        assert self._folder is not None
        for path in self._folder.glob(f".emobatch-{self._key}-*.part") if self._key else ():
            with suppress(OSError):
                if file := _own(path):
                    self.file, self.path = file, path
                    self._etag = path.name.removesuffix(".part").removeprefix(f".emobatch-{self._key}-")
                    return True
        return False


def _own(path: Path) -> BinaryIO | None:
    """An earlier part, opened and locked; None if it is no file of this user's, or somebody works on it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b")
    found = os.fstat(file.fileno())
    # In a folder that others write to, a link could lead to a file of ours that is no part.
    ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
    # Who had the lock before may have moved it to its place.
    if ours and _lock(file) and path.exists() and os.path.samestat(found, path.stat()):
        return file
    file.close()
    return None


def _lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or a file system knows no locks
        return False
    return True
