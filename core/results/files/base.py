"""What every file of results is written through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.table import Record


class FileWriter(Protocol):
    """Turns rows into the bytes of one file. Any of the three may give nothing: a writer may hold some back."""

    def begin(self) -> bytes:
        """What stands before the first row."""

    def write(self, records: Sequence[Record], added: Sequence[Sequence[str]]) -> bytes:
        """The next rows.

        Args:
            records: rows of the input, in order.
            added: for each one its added cells, one for each of `OutputLayout.columns`.

        Raises:
            EncodingFailed: a character that the file cannot hold, naming its row.
        """

    def end(self) -> bytes:
        """What stands after the last row."""


def is_score(column: str) -> bool:
    """Whether an added column (under its documented name) holds numbers."""
    return column.endswith("_score") or column.startswith("score_")
