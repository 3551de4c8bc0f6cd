"""Cutting an upload into chunks: one pass, constant memory, in slices of a few seconds.

A slice commits its chunks together with the offset where the next slice begins, so a killed ingest goes on from there.
An upload that is not a CSV in UTF-8, or is compressed, is first turned into a canonical UTF-8 CSV beside it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from core.errors import LimitExceeded, NoRows, UploadDamaged
from core.failpoints import failpoint
from core.ledger import IngestLease, NewChunk, Slice
from core.settings import Settings
from core.storage import Storage
from core.table import (
    CONTAINERS,
    CheckResult,
    Format,
    Overrides,
    RecordReader,
    TextColumn,
    Warning_,
    WarningCounter,
    canonical_blocks,
    canonical_format,
    choose_text_column,
    detect,
    merge_warnings,
    preview,
)
from worker.conversion.supervise import convert
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


@dataclass(frozen=True)
class Canonical:
    """What was learnt by making the canonical form.

    Attributes:
        warnings: what was odd about the file.
        format, text_column: where they were not known before.
    """

    warnings: tuple[Warning_, ...] = ()
    format: Format | None = None
    text_column: TextColumn | None = None


def make_canonical(
    storage: Storage,
    lease: IngestLease,
    settings: Settings,
    key: str,
    keep_on: Callable[[], bool],
    *,
    text_column: str | None = None,
    has_header: bool | None = None,
) -> Canonical | None:
    """Turns the upload into canonical UTF-8 under `key`. Run twice it writes the same file twice.

    Args:
        keep_on: asked now and then; False stops, leaving nothing.
        text_column: the column that the user named, where it is still to be found.
        has_header: what the user says about the first row, where it is still to be looked at.

    Returns:
        None: stopped.

    Raises:
        InputError: bytes that the encoding does not allow, a line that is no object, or a damaged archive.
        LimitExceeded: it unpacks to more than is allowed.
        Unavailable: the storage does not answer.
    """
    found = Format.from_dict(lease.source.format)
    if found.source in CONTAINERS:
        return _from_container(storage, lease.source.upload_key, found, settings, key, keep_on, text_column, has_header)
    odd = WarningCounter()
    with storage.open(lease.source.upload_key) as packed, storage.stage(key) as staged:
        for block in canonical_blocks(
            packed,
            found,
            max_unpacked_bytes=settings.max_unpacked_bytes,
            max_compression_ratio=settings.max_compression_ratio,
            odd=odd,
        ):
            staged.write(block)
            if not keep_on():
                return None
        storage.commit(staged)
    return Canonical(odd.found())


def _from_container(
    storage: Storage,
    upload_key: str,
    found: Format,
    settings: Settings,
    key: str,
    keep_on: Callable[[], bool],
    text_column: str | None,
    said_header: bool | None,
) -> Canonical | None:
    """The same for a workbook or a Parquet file, whose header and text column are only known now."""
    with storage.open(upload_key) as packed, storage.stage(key) as staged:
        made = convert(packed, found, settings, staged, keep_on)
        if made is None:
            return None
        storage.commit(staged)
    source = partial(storage.read_range, key)
    utf8 = CheckResult("", 0, None, 0, utf8_valid=True)
    # A user's word counts more than what the file says of itself, and that more than a guess.
    has_header = made.has_header if said_header is None else said_header
    read = detect(source, utf8, Overrides(encoding="utf-8", delimiter=",", has_header=has_header, quoting=True))
    fmt = canonical_format(found.source, (*read.warnings, *made.warnings), header=read.header, sheet=made.sheet)
    fmt = replace(fmt, has_header=read.has_header, first_line=made.first_line)
    sample = [record.cells for record in preview(source, fmt, 200)]
    return Canonical(format=fmt, text_column=choose_text_column(fmt, sample, text_column))


def _too_many(settings: Settings) -> LimitExceeded:
    return LimitExceeded(
        f"The file has more than {settings.max_rows:,} rows.",
        limit="rows",
        next_step="Split it and upload the parts.",
    )
