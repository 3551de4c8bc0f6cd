"""Parquet: typed columns for programs. Written row group by row group, and sent as it is written.

The input's columns are strings, null where a short row has no cell. Labels are strings, null where a row was not
scored; scores are doubles; ``emotions`` and ``flags`` are lists, and so is what people say of rows, null where nobody
did; ``row`` and ``line`` say where a row stood. Columns of one name are told apart as in JSON lines. What long rows
have over the header's width is in ``overflow``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.errors import BadOption
from core.results.files.base import is_score
from core.table import OutputLayout, Record
from core.table.output import CORRECTED_COLUMNS, unclashed

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES = 8 * 1024 * 1024
"""Of a row group, in Arrow's memory: what is held back before anything is sent."""

GROUP_ROWS = 64 * 1024

_LISTS = ("emotions", "flags")
"""Added columns whose cells are words joined by ``|``."""


class ParquetFile:
    """Writes results as Parquet.

    Args:
        layout: the columns; its header must name each column once.
        overflow: whether there is a column for the cells that long rows have too many.
        empty: the cell of a row of which a person says that it has none of the labels.
    """

    def __init__(self, layout: OutputLayout, *, overflow: bool, empty: str = "none") -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        self._columns = layout.columns
        self._overflow = overflow
        self._empty = empty
        header = layout.header()
        self._width = len(header) - len(layout.columns)
        places = {"row": pa.int64(), "line": pa.int64()}
        places |= {"overflow": pa.list_(pa.string())} if overflow else {}
        types = [*[pa.string()] * self._width, *map(self._type, layout.columns), *places.values()]
        names = [*header, *unclashed(places, header)]
        self._schema = pa.schema(list(zip(names, types, strict=True)))
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), self._schema, compression="zstd")
        self._held: list[Any] = []
        self._held_rows = self._held_bytes = 0

    @staticmethod
    def check() -> None:
        """Raises BadOption where the library is missing."""
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise BadOption(
                "This server writes no Parquet: pyarrow is not installed.",
                next_step="Take another format, or have emobatch[parquet] installed.",
            ) from None

    def begin(self) -> bytes:
        """Parquet's first four bytes."""
        return self._sink.take()

    def write(self, records: Sequence[Record], added: Sequence[Sequence[str]]) -> bytes:
        """See `FileWriter.write`."""
        batch = self._batch(records, added)
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes
        if self._held_bytes >= GROUP_BYTES or self._held_rows >= GROUP_ROWS:
            self._flush()
        return self._sink.take()

    def end(self) -> bytes:
        """The last row group, and the file's own description of itself."""
        self._flush()
        self._writer.close()
        return self._sink.take()

    def _flush(self) -> None:
        if self._held:
            table = self._pa.Table.from_batches(self._held, self._schema)
            self._writer.write_table(table, row_group_size=GROUP_ROWS)
            self._held.clear()
            self._held_rows = self._held_bytes = 0

    def _type(self, column: str) -> pa.DataType:
        if is_score(column):
            return self._pa.float64()
        return self._pa.list_(self._pa.string()) if _is_list(column) else self._pa.string()

    def _batch(self, records: Sequence[Record], added: Sequence[Sequence[str]]) -> pa.RecordBatch:
        width = self._width
        rows = [record.cells for record in records]
        if any(len(row) < width for row in rows):
            columns: list[list[Any]] = [[row[at] if at < len(row) else None for row in rows] for at in range(width)]
        else:
            columns = [[row[at] for row in rows] for at in range(width)]
        for column, cells in zip(self._columns, zip(*added, strict=True), strict=True):
            columns.append(_values(column, cells, self._empty))
        columns.append([record.row for record in records])
        columns.append([record.line for record in records])
        if self._overflow:
            columns.append([row[width:] or None for row in rows])
        arrays = [self._pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        return self._pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _is_list(column: str) -> bool:
    return column in _LISTS or column in CORRECTED_COLUMNS


def _values(column: str, cells: Sequence[str], empty: str) -> list[Any]:
    """An added column's cells as values of its type; None where nothing is said."""
    if column in CORRECTED_COLUMNS:  # nothing said is not the same as none
        return [([] if cell == empty else cell.split("|")) if cell else None for cell in cells]
    if is_score(column):
        return [float(cell) if cell else None for cell in cells]
    if column in _LISTS:
        return [cell.split("|") if cell else [] for cell in cells]
    return [cell or None for cell in cells]


class _Sink:
    """A file that only grows, and from which what has been written is taken."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._size = 0
        self.closed = False

    def write(self, block: bytes) -> int:
        self._blocks.append(bytes(block))
        self._size += len(block)
        return len(block)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._blocks)
        self._blocks.clear()
        return taken
