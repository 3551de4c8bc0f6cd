"""A store in a local folder: a staged file is written beside the others, synced to disk and renamed into place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from core.errors import StorageMissing, Unavailable
from core.storage.base import Blocks, Entry, StagedWriter, check_key, check_range

BLOCK = 1024 * 1024
STAGED = ".staged"  # No key starts with a dot, so no key can name this folder.


@contextmanager
def _plain_errors(key: str) -> Iterator[None]:
    """An OSError in the words of core.errors."""
    try:
        yield
    except FileNotFoundError:
        raise StorageMissing(f"Nothing is stored under {key}.", next_step="Upload the file again.") from None
    except OSError as error:
        raise Unavailable(
            f"The storage folder does not answer: {error.strerror}.",
            next_step="Check the space and the permissions of the folder that STORAGE_URL names.",
        ) from error


class FolderStorage:
    """`core.storage.base.Storage` in a folder of one file system, so that a rename is atomic."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staged = root / STAGED

    def stage(self, key: str) -> StagedWriter:
        """See `Storage.stage`."""
        with _plain_errors(check_key(key)):
            self._staged.mkdir(parents=True, exist_ok=True)
            return _StagedFile(key, self._staged / f"{_flat(key)}~{secrets.token_hex(8)}")

    def commit(self, staged: StagedWriter) -> None:
        """See `Storage.commit`: sync the file, rename it, sync the folder."""
        if not isinstance(staged, _StagedFile):
            raise TypeError("commit takes what stage of the same store gave")
        if staged.committed:
            return
        with _plain_errors(staged.key):
            staged.sync()
            target = self._root / staged.key
            _make_folders(target.parent)
            staged.path.replace(target)
            _sync_folder(target.parent)
        staged.committed = True

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """See `Storage.read_range`."""
        check_range(start, length)
        with _plain_errors(key), (self._root / check_key(key)).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def open(self, key: str, start: int = 0) -> Blocks:
        """See `Storage.open`."""
        check_range(start)
        with _plain_errors(key):
            file = (self._root / check_key(key)).open("rb", buffering=0)
            file.seek(start)

        def blocks() -> Iterator[bytes]:
            with _plain_errors(key):
                while block := file.read(BLOCK):
                    yield block

        return Blocks(blocks(), file.close)

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        with _plain_errors(check_key(key)):
            (self._root / key).unlink(missing_ok=True)
            for path in self._staged.glob(f"{_flat(key)}~*"):
                if _unflat(path.name) == key:
                    path.unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See `Storage.list`."""
        with _plain_errors(prefix):
            for folder, _, names in os.walk(self._root):
                for name in names:
                    path = Path(folder, name)
                    staged = path.parent == self._staged
                    key = _unflat(name) if staged else path.relative_to(self._root).as_posix()
                    if key.startswith(prefix):
                        with suppress(FileNotFoundError):
                            yield Entry(key, datetime.fromtimestamp(path.stat().st_mtime, UTC), staged)


class _StagedFile(StagedWriter):
    def __init__(self, key: str, path: Path) -> None:
        super().__init__(key)
        self.path = path
        self._file = path.open("xb")

    def write(self, block: bytes) -> None:
        with _plain_errors(self.key):
            self._file.write(block)
        self.size += len(block)

    def sync(self) -> None:
        """Puts every byte on disk, before the name that promises them."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self.abort()  # A second fsync would succeed although the bytes of the first are lost.
            raise
        self._file.close()

    def abort(self) -> None:
        if not self.committed:
            with suppress(OSError):  # A full disk refuses the last buffered bytes, which nobody wants any more.
                self._file.close()
            with _plain_errors(self.key):
                self.path.unlink(missing_ok=True)


def _flat(key: str) -> str:
    return key.replace("/", "~")


def _unflat(name: str) -> str:
    return name.rpartition("~")[0].replace("~", "/")


def _make_folders(folder: Path) -> None:
    """`folder` and its missing parents, each synced into the one above: a synced file in a lost folder is lost."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
