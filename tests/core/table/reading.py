"""The steps of an upload as plain functions: bytes in, a format and records out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.table import (
    BinarySource,
    CheckResult,
    Format,
    Overrides,
    Record,
    RecordReader,
    StreamCheck,
    Warning_,
    canonical_blocks,
    detect,
)


def in_blocks(data: bytes, *sizes: int) -> Iterator[bytes]:
    """`data` cut into blocks of these sizes, over and over."""
    position, turn = 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        yield data[position : position + size]
        position += size
        turn += 1


def source_of(data: bytes) -> BinarySource:
    """`data` as storage would give it."""
    return lambda start, length: data[start : start + length]


def check_of(data: bytes, size: int = 1000, source: str | None = None) -> CheckResult:
    """What `StreamCheck` says of `data`, fed in blocks of `size`."""
    check = StreamCheck(source=source)
    for block in in_blocks(data, size):
        check.feed(block)
    return check.finish()


def format_of(data: bytes, **overrides: Any) -> Format:
    """The format of `data`."""
    return detect(source_of(data), check_of(data, 1 << 16, overrides.get("source")), Overrides(**overrides))


def table_format(width: int = 2, **fields: Any) -> Format:
    """A format that was not detected: UTF-8, commas, no header, unless `fields` say otherwise."""
    plain = partial(
        Format, compression=None, encoding="utf-8", delimiter=",", quoting=True, line_end="\n", has_header=False
    )
    return plain(**({"header": tuple(f"column_{number}" for number in range(1, width + 1))} | fields))


@dataclass
class Table:
    """A file, read whole."""

    fmt: Format
    records: list[Record]
    n_blank: int
    warnings: tuple[Warning_, ...]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the records."""
        return [record.cells for record in self.records]

    @property
    def codes(self) -> set[str]:
        """Codes of all warnings, of the format and of the records."""
        return {warning.code for warning in (*self.fmt.warnings, *self.warnings)}


def read(data: bytes, fmt: Format, *sizes: int, **options: Any) -> Table:
    """The canonical bytes `data`, cut."""
    reader = RecordReader(in_blocks(data, *(sizes or (1000,))), fmt, **options)
    records = list(reader)
    return Table(fmt, records, reader.n_blank, reader.warnings)


def read_upload(data: bytes, **overrides: Any) -> Table:
    """`data` as an upload: checked, detected, made canonical if need be, cut."""
    fmt = format_of(data, **overrides)
    if fmt.needs_canonical:
        data = b"".join(canonical_blocks(in_blocks(data, 1000), fmt))
    return read(data, fmt)
