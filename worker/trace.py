"""What a child is working on, written where its parent can read it after the child was killed.

A file of a few bytes in a private folder: it survives SIGKILL, costs microseconds, and needs neither Postgres nor a
message that a dying process would still have to send.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

_END = "."

NODE_VARIABLE = "EMOBATCH_WORKER_NODE"


def node() -> str:
    """The name of this worker: made by the parent on first use, inherited by its children."""
    if NODE_VARIABLE not in os.environ:
        os.environ[NODE_VARIABLE] = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    return os.environ[NODE_VARIABLE]


def worker_id(pid: int) -> str:
    """The id under which child `pid` of this worker holds leases."""
    return f"{node()}/{pid}"


def _folder() -> Path:
    # Named by the random part alone: host names may hold characters a path may not.
    return Path(tempfile.gettempdir()) / f"emobatch-worker-{node().rsplit(':', 1)[1]}-{os.getuid()}"


def prepare() -> None:
    """Makes the folder; the parent calls this before it has children."""
    _folder().mkdir(mode=0o700, exist_ok=True)


def clear() -> None:
    """Removes the folder; the parent calls this last."""
    shutil.rmtree(_folder(), ignore_errors=True)


class Trace:
    """The child's side: says what it is in the middle of, in whatever thread."""

    def __init__(self) -> None:
        path = _folder() / str(os.getpid())
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        self._doing: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def during(self, job_id: uuid.UUID, chunk_nos: Iterable[int]) -> Iterator[None]:
        """A death within the block is laid to these chunks of a job."""
        words = f"{job_id} {' '.join(map(str, chunk_nos))}"
        with self._lock:
            self._doing.append(words)
            self._say()
        try:
            yield
        except SystemExit:
            # Celery ends a child over its time limit with SIGTERM first: the words must outlive that. Where a whole
            # worker is told to go, its parent lays no death to anything.
            raise
        except BaseException:
            self._done(words)
            raise
        self._done(words)

    def _done(self, words: str) -> None:
        with self._lock:
            self._doing.remove(words)
            self._say()

    def _say(self) -> None:
        # In one piece; what longer words left behind the end is not read.
        os.pwrite(self._file, "".join(f"{words}\n" for words in [*self._doing, _END]).encode(), 0)


def last_words(pid: int) -> frozenset[tuple[uuid.UUID, int]]:
    """The chunks, by job and number, that dead child `pid` was in the middle of."""
    try:
        said = (_folder() / str(pid)).read_text()
    except FileNotFoundError:
        return frozenset()
    found = []
    for line in takewhile(lambda line: line != _END, said.splitlines()):
        job_id, *chunk_nos = line.split()
        found += [(uuid.UUID(job_id), int(number)) for number in chunk_nos]
    return frozenset(found)
