"""Standard output and error that outlive a full disk: what cannot be written is lost, and the process goes on.

Python raises when a log's disk is full, also into programs that merely say hello: Celery prints a banner before it
works, so a worker that restarts then would die of it, again and again. Labels matter more than lines.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Any


class LossyFile(io.FileIO):
    """A file whose writes succeed, or are lost."""

    def write(self, data: Any, /) -> int:
        """All of it, as far as the caller is told."""
        with suppress(OSError):
            written = super().write(data)
            if written is not None:
                return written
        return memoryview(data).nbytes


def outlive_full_disks() -> None:
    """Exchanges the process's own stdout and stderr, unless somebody has put something else in their place."""
    for name in ("stdout", "stderr"):
        own, current = getattr(sys, f"__{name}__"), getattr(sys, name)
        if own is None or not isinstance(getattr(own.buffer, "raw", own.buffer), io.FileIO):  # unbuffered: no raw
            continue
        with suppress(OSError):
            own.flush()
        lossy = io.TextIOWrapper(
            io.BufferedWriter(LossyFile(own.fileno(), "wb", closefd=False)),
            encoding=own.encoding,
            errors=own.errors,
            line_buffering=True,
            write_through=own.write_through,
        )
        setattr(sys, f"__{name}__", lossy)
        if current is own:
            setattr(sys, name, lossy)
