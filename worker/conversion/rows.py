"""What a container's table comes as: rows of text, and what is to be said of it when they have all come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """Rows of cells, the header among them if the table has one."""

    def __iter__(self) -> Iterator[Sequence[str]]:
        """The rows, once."""

    def report(self) -> dict[str, Any]:
        """When all rows have been taken: ``warnings``, ``first_line``, ``sheet``, ``has_header`` (None: not known)."""
