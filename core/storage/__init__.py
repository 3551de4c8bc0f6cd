"""Where uploads lie: five verbs on a folder or on S3, so that nothing above knows which.

``stage`` takes bytes that nobody can see yet, ``commit`` makes them visible under their key all at once,
``read_range`` and ``open`` read them, ``delete`` removes them and what was staged for them. A sixth, ``list``, serves
the sweeper alone: a file with no row in the ledger can only be found by looking at the files.

A key is made of uuids and plain words, ``uploads/<uuid>`` or ``uploads/<uuid>.canonical``, never of anything a user
typed. A store may be used by many threads at once; a `StagedWriter` by one. Open the store after forking.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from core.errors import BadOption
from core.storage.base import Blocks, Entry, StagedWriter, Storage, check_key
from core.storage.folder import FolderStorage

__all__ = ["Blocks", "Entry", "FolderStorage", "StagedWriter", "Storage", "check_key", "open_storage"]

S3_OPTIONS = {"endpoint", "region"}


def open_storage(url: str) -> Storage:
    """The store that ``STORAGE_URL`` names.

    ``file:///absolute/folder`` (percent-encoded where needed) is made on first use. ``s3://bucket/prefix`` takes
    its credentials from the ``AWS_*`` environment; ``?endpoint=http://host:port&region=...`` names a server that is
    not Amazon's.

    Raises:
        BadOption: the URL is neither.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/") and not options:
        return FolderStorage(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc and options.keys() <= S3_OPTIONS:
        # Imported here: a folder needs no object store, and its threads must not exist before a fork.
        from core.storage.objects import open_s3

        return open_s3(parts.netloc, unquote(parts.path).strip("/"), **options)
    raise BadOption(
        "STORAGE_URL names no store.",
        next_step="Write file:///absolute/folder or s3://bucket/prefix, with ?endpoint=...&region=... if needed.",
    )
