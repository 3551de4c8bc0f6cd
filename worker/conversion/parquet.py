"""Parquet: columns of any type as text, a batch of rows at a time."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import InputError, LimitExceeded

MOST_METADATA = 16 * 1024 * 1024
"""Bytes of a file's description of itself. That of a table of a thousand columns and a hundred row groups has ten."""

BATCH_ROWS = 1_000

_LARGEST_GROUP = 512 * 1024 * 1024
"""Bytes of a row group, unpacked. A column of one is held as a whole."""


def parquet_rows(file: int, *, max_unpacked: int, max_rows: int) -> ParquetRows:
    """Opens a Parquet file.

    Args:
        file: its open descriptor.
        max_unpacked: bytes its columns may have together, as it says itself.
        max_rows: rows it may have.

    Raises:
        InputError: cut off, encrypted, or not Parquet.
        LimitExceeded: more than is allowed.
    """
    size = os.fstat(file).st_size
    tail = os.pread(file, 8, max(0, size - 8))
    if size < 12 or tail[4:] not in (b"PAR1", b"PARE"):
        raise InputError("The Parquet file is cut off before its end.", next_step="Send it again.")
    if tail[4:] == b"PARE":
        raise InputError("The Parquet file is encrypted.", next_step="Send it decrypted.")
    (metadata,) = struct.unpack("<I", tail[:4])
    if metadata > MOST_METADATA:
        raise LimitExceeded(
            f"The Parquet file describes itself in {metadata:,} bytes; {MOST_METADATA:,} are allowed.",
            next_step="Write it with fewer row groups or columns.",
        )
    opened = pq.ParquetFile(
        f"/dev/fd/{file}",
        pre_buffer=False,
        memory_map=False,
        thrift_string_size_limit=MOST_METADATA,
        thrift_container_size_limit=1_000_000,
    )
    about = opened.metadata
    if about.num_rows > max_rows:
        raise LimitExceeded(f"The file has {about.num_rows:,} rows; {max_rows:,} are allowed.", next_step="Split it.")
    groups = [about.row_group(at).total_byte_size for at in range(about.num_row_groups)]
    if sum(groups) > max_unpacked or max(groups, default=0) > _LARGEST_GROUP:
        raise LimitExceeded(
            f"The file unpacks to {sum(groups):,} bytes, its largest row group to {max(groups):,};"
            f" {max_unpacked:,} and {_LARGEST_GROUP:,} are allowed.",
            next_step="Write it with smaller row groups, or in parts.",
        )
    return ParquetRows(opened)


class ParquetRows:
    """A file's rows, after a row of its columns' names."""

    def __init__(self, opened: pq.ParquetFile) -> None:
        self._opened = opened

    def __iter__(self) -> Iterator[Sequence[str]]:
        """Null is an empty cell."""
        yield self._opened.schema_arrow.names
        for batch in self._opened.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            yield from zip(*map(texts, batch.columns), strict=True)

    def report(self) -> dict[str, Any]:
        """See `Rows.report`."""
        return {"sheet": None, "first_line": 0, "has_header": True, "warnings": []}


def texts(column: pa.Array) -> list[str]:
    """A column's values as text: times in ISO 8601, nested values as JSON, null as nothing."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return texts(column.dictionary_decode())
    if pa.types.is_nested(kind):
        return ["" if value is None else _json(value) for value in column.to_pylist()]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return ["" if value is None else value.decode("utf-8", "backslashreplace") for value in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        return [_iso(value) for value in _spelt(column).to_pylist()]
    if pa.types.is_null(kind):
        return [""] * len(column)
    return ["" if value is None else value for value in pc.cast(column, pa.string()).to_pylist()]


def _spelt(moments: pa.Array) -> pa.Array:
    """Moments as Arrow spells them: in their own time zone, or in UTC where this machine does not know that."""
    try:
        return pc.cast(moments, pa.string())
    except pa.ArrowInvalid:
        return pc.cast(moments.cast(pa.timestamp(moments.type.unit, "UTC")), pa.string())


_MOMENT = re.compile(r"(\S+) (\d\d:\d\d:\d\d)(\.\d*?)?0*(Z|[+-]\d{4})?")


def _iso(value: str | None) -> str:
    """Arrow's ``2024-05-01 12:00:00.500000+0200`` as ISO 8601, with no more decimals than there are."""
    if value is None or not (found := _MOMENT.fullmatch(value)):
        return value or ""
    day, time, decimals, zone = found.groups("")
    if len(zone) > 1:
        zone = f"{zone[:3]}:{zone[3:]}"
    return f"{day}T{time}{decimals if len(decimals) > 1 else ''}{zone}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    """What JSON has no type for, within a nested value."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
