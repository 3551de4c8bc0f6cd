"""Reading columns of a job's own file: what they look like, and which value each row has.

Only the file is read, not the model's numbers. A column is kept as one small number a row and what the numbers mean, so
that any taxonomy can be broken down by it without reading the file again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from core.db import Database
from core.errors import BadOption
from core.figures.grouping import BLANK, FIRST, OTHER, Grouping, group
from core.figures.values import Kind, key_of, kind_of
from core.results.walk import JobSource, join, view
from core.storage import Storage
from core.table.records import Record

MOST_KEYS = 60_000
"""Values of a column told apart: they are numbered with sixteen bits. Later ones count as others."""

CHUNKS_PER_READ = 16

SAMPLE_CHUNKS, SAMPLE_ROWS = 8, 250
"""What is looked at to see what a column is: some rows from each of some chunks, from all over the file."""


@dataclass(frozen=True)
class Column:
    """A column of the file. `index` counts from 0."""

    index: int
    name: str
    kind: Kind


class ColumnCodes:
    """The value of each row of a column, as a number.

    Args:
        kind: what the cells are.
        arrays: what `arrays` gave, to go on.
    """

    def __init__(self, index: int, kind: Kind, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        self.index = index
        self.kind = kind
        self._key = key_of(kind)
        self._codes: list[NDArray[np.uint16]] = [arrays["codes"]] if arrays else []
        keys = [str(key) for key in arrays["keys"]] if arrays else []
        self._of_key = {key: code for code, key in enumerate(keys, start=FIRST)}

    def add(self, records: Iterator[Record]) -> None:
        """Takes the next rows of the file in."""
        index, key_of_cell, of_key = self.index, self._key, self._of_key
        seen: dict[str, int] = {}  # by the cell as it stands: most cells come again soon
        codes = []
        for record in records:
            cell = record.cells[index].strip() if index < len(record.cells) else ""
            code = seen.get(cell)
            if code is None:
                code = seen[cell] = self._code(key_of_cell(cell), of_key) if cell else BLANK
            codes.append(code)
        self._codes.append(np.array(codes, dtype=np.uint16))

    def _code(self, key: str | None, of_key: dict[str, int]) -> int:
        if key is None:
            return OTHER
        code = of_key.get(key)
        if code is None:
            if len(of_key) >= MOST_KEYS:
                return OTHER
            code = of_key[key] = FIRST + len(of_key)
        return code

    @property
    def codes(self) -> NDArray[np.uint16]:
        """(rows,) of the file as far as it was read: the code of row n at n - 1."""
        if len(self._codes) != 1:
            self._codes = [np.concatenate(self._codes) if self._codes else np.empty(0, dtype=np.uint16)]
        return self._codes[0]

    def grouping(self) -> Grouping:
        """The groups that the column's values are gathered into."""
        counts = np.bincount(self.codes, minlength=FIRST + len(self._of_key))
        return group(self.kind, list(self._of_key), counts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be kept."""
        return {"codes": self.codes, "keys": np.array(list(self._of_key), dtype=np.str_)}


def named(header: Sequence[str], given: str, text_index: int) -> int:
    """The place of a column, from 0, by its exact name, else by its number from 1.

    Raises:
        BadOption: there is none, or it is the one that is labelled.
    """
    at = header.index(given) if given in header else int(given) - 1 if given.isdecimal() and len(given) < 7 else -1
    if not 0 <= at < len(header):
        shown = ", ".join(repr(name) for name in header[:20])
        raise BadOption(f"There is no column {given!r} to break down by.", next_step=f"The columns are: {shown}.")
    if at == text_index:
        raise BadOption(
            f"The column {given!r} holds the texts: every row has another.", next_step="Choose another column."
        )
    return at


def look(db: Database, storage: Storage, source: JobSource, indices: Sequence[int]) -> list[Column]:
    """What some columns of a job's file are, from rows all over it."""
    with db.transaction(source.account_id) as session:
        rows = session.execute(_SAMPLE, {"job_id": source.job_id, "most": SAMPLE_CHUNKS}).all()
    cells: list[list[str]] = [[] for _ in indices]
    for row in rows:
        for _, records in join(storage, source, [view(row)]):
            for record, _ in zip(records, range(SAMPLE_ROWS), strict=False):
                for into, index in zip(cells, indices, strict=True):
                    into.append(record.cells[index] if index < len(record.cells) else "")
    header = source.format.header
    return [Column(index, header[index], kind_of(some)) for index, some in zip(indices, cells, strict=True)]


def read(
    db: Database, storage: Storage, source: JobSource, next_chunk: int
) -> Iterator[tuple[int, Iterator[Record], int]]:
    """The records of a job's file, chunk by chunk: (number of the chunk, its records, rows before its end)."""
    while True:
        with db.transaction(source.account_id) as session:
            rows = session.execute(
                _CHUNKS, {"job_id": source.job_id, "next": next_chunk, "limit": CHUNKS_PER_READ}
            ).all()
        if not rows:
            return
        chunks = [view(row) for row in rows]
        for chunk, records in join(storage, source, chunks):
            yield chunk.chunk_no, iter(records), chunk.first_row + chunk.n_rows - 1
        next_chunk = chunks[-1].chunk_no + 1


_FIELDS = "chunk_no, first_row, first_line, n_rows, byte_start, byte_end"

_CHUNKS = text(f"""
SELECT {_FIELDS} FROM chunk WHERE job_id = :job_id AND chunk_no >= :next ORDER BY chunk_no LIMIT :limit
""")  # noqa: S608 - our own names

# Chunks are numbered from 0 without a gap.
_SAMPLE = text(f"""
SELECT {_FIELDS} FROM chunk WHERE job_id = :job_id AND chunk_no IN (
    SELECT n * greatest(1, chunks_total - 1) / greatest(1, :most - 1)
    FROM job, generate_series(0, :most - 1) AS n WHERE id = :job_id)
ORDER BY chunk_no
""")  # noqa: S608 - our own names
