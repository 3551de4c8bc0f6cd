"""Where a result goes: a file that is there whole or not at all, or a stream."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import BadOption
from emobatch.part import Part


class Output:
    """The place for one download.

    A file is written beside its place and renamed, so that a reader sees the old one or the new one. What is no file
    (stdout, a pipe, ``/dev/null``) gets the bytes when all have come.

    Args:
        target: a file, or a folder in which the file gets the name given to `settle`; None: stdout.
        keep: a file that must not be overwritten: the input.
    """

    def __init__(self, target: Path | None, *, keep: Path | None = None) -> None:
        # The file that a link leads to is replaced, not the link.
        self._target = target.resolve() if target is not None else None
        self._keep = keep
        self._part: Part | None = None

    @property
    def target(self) -> Path | None:
        """The file, or the folder for it, from the root; None: stdout."""
        return self._target

    def check(self) -> None:
        """Finds out before the work whether the result can be written.

        Raises:
            BadOption: it cannot, or it would overwrite the input.
        """
        target = self._target
        if target is None:
            return
        self._spare(target)
        folder = target if target.is_dir() else target.parent
        if not folder.is_dir():
            raise BadOption(f"There is no folder {folder}.", next_step="Make it, or name another file with -o.")
        place = folder if self._is_replaced else target
        if not os.access(place, os.W_OK):
            raise BadOption(f"{place} cannot be written to.", next_step="Name a file elsewhere with -o.")

    def _spare(self, target: Path) -> None:
        """Raises BadOption if `target` is the input, under whatever name."""
        if self._keep is not None and target.exists() and self._keep.exists() and target.samefile(self._keep):
            raise BadOption(
                f"The output would overwrite the input {self._keep}.",
                next_step="Name another file with -o, or leave -o out.",
            )

    @property
    def _is_replaced(self) -> bool:
        """Whether the target is a file, or a folder for one, and not a pipe or a device."""
        target = self._target
        return target is not None and (target.is_dir() or target.is_file() or not target.exists())

    @contextmanager
    def part(self, key: str) -> Iterator[Part]:
        """What has come of a download under `key`, to add to; `settle` in the block ends it.

        Raises:
            BadOption: the place cannot be written to.
        """
        folder = None
        if self._is_replaced and (target := self._target) is not None:
            folder = target if target.is_dir() else target.parent
        with ExitStack() as stack:
            try:
                self._part = stack.enter_context(Part(folder, key))
            except OSError as error:
                raise BadOption(
                    f"{self._target or 'The output'} cannot be written: {error.strerror}.",
                    next_step="Name another file with -o.",
                ) from error
            yield self._part

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A file to write the bytes to; unless `settle` is called in the block, nothing of it remains.

        Raises:
            BadOption: the place cannot be written to.
        """
        with self.part("") as part:
            yield part.file

    def settle(self, name: str) -> Path | None:
        """The bytes are complete: puts them in their place.

        Args:
            name: what the file is called, if the target is a folder.

        Returns:
            Where the file is now; None if it is not in the file system.
        """
        part = self._part
        assert part is not None, "settle is called within open"
        part.file.flush()
        if part.path is None:
            self._pour(part.file)
            return None
        target = self._target
        assert target is not None
        if target.is_dir():
            target = target / name
        self._spare(target)
        os.fsync(part.file.fileno())
        part.path.replace(target)
        part.settled()
        return target

    def _pour(self, file: BinaryIO) -> None:
        file.seek(0)
        if self._target is None:
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with self._target.open("wb") as out:
                shutil.copyfileobj(file, out)
