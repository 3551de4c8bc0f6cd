"""A store in an S3 bucket (or any other that obstore speaks to): multipart uploads, and reads by range.

An upload goes straight to its key, in parts that S3 shows to nobody until the last call completes them. Parts of a
process that was killed are not listed and cannot be found through this interface: give the bucket the lifecycle rule
``AbortIncompleteMultipartUpload``. Those of an upload that we abort are removed at once.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, S3Store

from core.errors import StorageMissing, Unavailable
from core.secret_files import read_secret
from core.storage.base import Blocks, Entry, StagedWriter, check_key, check_range

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Config

PART = 8 * 1024 * 1024
"""Bytes of one part: S3 allows 10,000 of them, so 80 GB a file."""
RETRIES: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=30)}
BLOCK = 4 * 1024 * 1024
"""Bytes of one read. Each is a request of its own: a single long one dies when a slow reader exceeds its timeout."""


def open_s3(bucket: str, prefix: str = "", *, endpoint: str = "", region: str = "") -> ObjectStorage:
    """The store under `prefix` in `bucket`; credentials, and what is not given here, come from ``AWS_*``.

    Raises:
        BadOption: a file with credentials, which ``AWS_…_FILE`` names, cannot be read.
    """
    config: S3Config = {
        "region": region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    }
    if endpoint:
        config["endpoint"] = endpoint
    if key_id := read_secret("AWS_ACCESS_KEY_ID"):
        config["access_key_id"] = key_id
    if secret := read_secret("AWS_SECRET_ACCESS_KEY"):
        config["secret_access_key"] = secret
    store = S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={"allow_http": endpoint.startswith("http://"), "timeout": "60s", "connect_timeout": "5s"},
        retry_config=RETRIES,
    )
    return ObjectStorage(store)


@contextmanager
def _plain_errors(key: str) -> Iterator[None]:
    """An error of obstore in the words of core.errors."""
    try:
        yield
    except FileNotFoundError:
        raise StorageMissing(f"Nothing is stored under {key}.", next_step="Upload the file again.") from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Unavailable(
            "The object store refuses our credentials.", next_step="Check the AWS_* settings of this process."
        ) from error
    except (BaseError, OSError) as error:
        raise Unavailable("The object store does not answer.", next_step="Try again in a moment.") from error


class ObjectStorage:
    """`core.storage.base.Storage` over any obstore store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def stage(self, key: str) -> StagedWriter:
        """See `Storage.stage`."""
        return _StagedObject(self._store, check_key(key))

    def commit(self, staged: StagedWriter) -> None:
        """See `Storage.commit`: sends the last part and completes the upload."""
        if not isinstance(staged, _StagedObject):
            raise TypeError("commit takes what stage of the same store gave")
        staged.complete()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """See `Storage.read_range`."""
        check_range(start, length)
        with _plain_errors(check_key(key)):
            try:
                # A range of nothing is an error to obstore, but the file must still be there.
                return bytes(obstore.get_range(self._store, key, start=start, length=max(length, 1)))[:length]
            except BaseError:
                # A start at or past the end is a generic error, alike in type to a broken connection.
                if start >= obstore.head(self._store, key)["size"]:
                    return b""
                raise

    def open(self, key: str, start: int = 0) -> Blocks:
        """See `Storage.open`."""
        first = self.read_range(key, start, BLOCK)

        def blocks() -> Iterator[bytes]:
            block, at = first, start
            while block:
                yield block
                at += len(block)
                block = self.read_range(key, at, BLOCK) if len(block) == BLOCK else b""

        return Blocks(blocks(), lambda: None)

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        try:
            with _plain_errors(check_key(key)):
                obstore.delete(self._store, key)
        except StorageMissing:
            pass  # Some servers say so, Amazon's does not.

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See `Storage.list`; uploads that are not complete are not listed."""
        # S3 matches whole path segments here, so ask for the folder and match the rest ourselves.
        folder = prefix.rpartition("/")[0]
        with _plain_errors(prefix):
            for page in obstore.list(self._store, prefix=folder or None):
                for found in page:
                    if found["path"].startswith(prefix):
                        yield Entry(found["path"], found["last_modified"], staged=False)


class _Aborted(Exception):
    """Raised inside the sending thread: obstore then aborts the multipart upload and leaves no part behind."""


class _StagedObject(StagedWriter):
    """Feeds obstore's ``put`` from a thread, since that one pulls its blocks, and aborts when pulling fails.

    obstore's own writer has no abort: dropped, it leaves its parts in the bucket.
    """

    def __init__(self, store: ObjectStore, key: str) -> None:
        super().__init__(key)
        self._blocks: queue.Queue[bytes | _Aborted | None] = queue.Queue(maxsize=4)
        self._sent: Future[None] = Future()
        self._thread = threading.Thread(target=self._send, args=(store,), name=f"put {key}", daemon=True)
        self._thread.start()

    def write(self, block: bytes) -> None:
        self._give(bytes(block))
        self.size += len(block)

    def complete(self) -> None:
        """Ends the upload and waits until it is visible."""
        if not self.committed:
            self._give(None)
            self._thread.join()
            with _plain_errors(self.key):
                try:
                    self._sent.result()
                except _Aborted:
                    raise FileNotFoundError(self.key) from None
            self.committed = True

    def abort(self) -> None:
        self._give(_Aborted())
        self._thread.join()

    def _give(self, item: bytes | _Aborted | None) -> None:
        """Hands one item to the thread, however slow it is; one that has ended takes nothing, see `complete`."""
        while not self._sent.done():
            try:
                return self._blocks.put(item, timeout=0.2)
            except queue.Full:
                continue
        if isinstance(item, bytes):
            with _plain_errors(self.key), suppress(_Aborted):
                self._sent.result()
            raise ValueError("written to after commit or abort")

    def _pull(self) -> Iterator[bytes]:
        while (item := self._blocks.get()) is not None:
            if isinstance(item, _Aborted):
                raise item
            yield item

    def _send(self, store: ObjectStore) -> None:
        try:
            obstore.put(store, self.key, self._pull(), use_multipart=True, chunk_size=PART, max_concurrency=4)
        except BaseException as error:  # A panic of the Rust side is no Exception, and must arrive too.
            self._sent.set_exception(error)
        else:
            self._sent.set_result(None)
