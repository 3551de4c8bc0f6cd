"""Cutting an upload into chunks: one pass, constant memory, in slices of a few seconds.

A slice commits its chunks together with the offset where the next slice begins, so a killed ingest goes on from there.
An upload that is not UTF-8, or is compressed, is first turned into a canonical UTF-8 CSV beside it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from core.errors import LimitExceeded, NoRows, UploadDamaged
from core.failpoints import failpoint
from core.ledger import IngestLease, NewChunk, Slice
from core.settings import Settings
from core.storage import Storage
from core.table import Format, RecordReader, Warning_, canonical_blocks, merge_warnings
from worker.cutting import Cutter, Tail

MAX_SLICE_CHUNKS = 4_000
"""One commit's worth: enough for two seconds, and a bound on memory."""


def cut_slice(
    storage: Storage,
    lease: IngestLease,
    settings: Settings,
    warnings: Sequence[dict[str, Any]],
    between: Callable[[], object] = lambda: None,
) -> Slice:
    """Cuts records into chunks from where the last slice ended, for `ingest_slice_s` seconds or to the end.

    Args:
        warnings: those of the slices before, as stored; the result holds them with this slice's added.
        between: called after each chunk.

    Raises:
        InputError: the file is wrong from here on; the message names the place.
        LimitExceeded: too many rows.
        Unavailable: the storage does not answer.
    """
    found = Format.from_dict(lease.source.format)
    tail = Tail(lease.offset)
    chunks: list[NewChunk] = []
    finished = True
    until = time.monotonic() + settings.ingest_slice_s
    with storage.open(lease.source.key, lease.offset) as blocks:
        reader = RecordReader(
            tail.tee(blocks),
            found,
            offset=lease.offset,
            row=lease.row,
            line=lease.line,
            max_record_bytes=settings.max_record_bytes,
        )
        cutter = Cutter(settings, lease.source.text_index, tail)
        for record in reader:
            chunk = cutter.add(record)
            if chunk is None:
                continue
            if chunk.first_row + chunk.n_rows - 1 > settings.max_rows:
                raise _too_many(settings)
            chunks.append(chunk)
            failpoint("ingest-slice")
            between()
            if time.monotonic() > until or len(chunks) >= MAX_SLICE_CHUNKS:
                finished = False
                break
        if last := cutter.flush():
            chunks.append(last)
        merged = merge_warnings(map(Warning_.from_dict, warnings), reader.warnings)
        blank_lines = reader.n_blank
        offset, row, line = reader.offset, reader.row, reader.line
    if row - 1 > settings.max_rows:
        raise _too_many(settings)
    if finished and row == 1:
        raise NoRows("The file has no data row.", next_step="Upload a file with at least one row under its header.")
    return Slice(
        chunks=chunks,
        offset=offset,
        row=row,
        line=line,
        blank_lines=blank_lines,
        finished=finished,
        warnings=[warning.to_dict() for warning in merged],
    )


def check_whole(storage: Storage, key: str, sha256: str, between: Callable[[], object] = lambda: None) -> None:
    """Compares an upload with what was hashed as it came, before the first record is cut.

    From then on each chunk has a checksum of its own. Those could not tell that a byte was wrong when they were made.

    Args:
        sha256: hexadecimal.
        between: called now and then.

    Raises:
        UploadDamaged: the stored bytes are not the ones that came.
        Unavailable: the storage does not answer.
    """
    digest = hashlib.sha256()
    with storage.open(key) as blocks:
        for block in blocks:
            digest.update(block)
            between()
    if digest.hexdigest() != sha256:
        raise UploadDamaged("The stored file has changed since it was uploaded.", next_step="Upload it again.")


def make_canonical(
    storage: Storage, lease: IngestLease, settings: Settings, key: str, keep_on: Callable[[], bool]
) -> None:
    """Turns the upload into canonical UTF-8 under `key`. Run twice it writes the same file twice.

    Args:
        keep_on: asked now and then; False stops, leaving nothing.

    Raises:
        InputError: bytes that the encoding does not allow, or a damaged archive.
        LimitExceeded: it unpacks to more than is allowed.
        Unavailable: the storage does not answer.
    """
    found = Format.from_dict(lease.source.format)
    with storage.open(lease.source.upload_key) as packed, storage.stage(key) as staged:
        for block in canonical_blocks(
            packed,
            found,
            max_unpacked_bytes=settings.max_unpacked_bytes,
            max_compression_ratio=settings.max_compression_ratio,
        ):
            staged.write(block)
            if not keep_on():
                return
        storage.commit(staged)


def _too_many(settings: Settings) -> LimitExceeded:
    return LimitExceeded(
        f"The file has more than {settings.max_rows:,} rows.",
        limit="rows",
        next_step="Split it and upload the parts.",
    )
