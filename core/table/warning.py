"""What a user should know about a file that was read all the same.

An error stops a job; a warning travels with it. Ingest may meet the same oddity a million times, so warnings are
counted by code and keep the first places only: constant memory, whatever the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

PLACES = 10
"""How many places of one kind of oddity are kept."""


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801 - `Warning` is a builtin
    """One kind of oddity in a file.

    Attributes:
        code: stable name for programs, e.g. ``"long_row"``.
        message: one plain sentence or two, without the place.
        row: first data row it concerns (None: the header or the whole file).
        line: first file line it concerns, from 1.
        count: how often it was met.
        lines: file lines of the first `PLACES` times.
    """

    code: str
    message: str
    row: int | None = None
    line: int | None = None
    count: int = 1
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.line is None:
            return self.message
        first = f"file line {self.line}" if self.row is None else f"data row {self.row} (file line {self.line})"
        if self.count == 1:
            return f"{first}: {self.message}"
        return f"{self.count:,} times, first at {first}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """As stored with a job; `from_dict` is its inverse."""
        return {
            "code": self.code,
            "message": self.message.replace("\0", "␀"),  # Postgres' JSON has no NUL
            "row": self.row,
            "line": self.line,
            "count": self.count,
            "lines": list(self.lines),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Warning_:
        """Rebuilds what `to_dict` gave."""
        return cls(
            code=fields["code"],
            message=fields["message"],
            row=fields.get("row"),
            line=fields.get("line"),
            count=fields.get("count", 1),
            lines=tuple(fields.get("lines", ())),
        )


def merge_warnings(*groups: Iterable[Warning_]) -> tuple[Warning_, ...]:
    """Adds up warnings by code; give the groups in the order of the file, so that first places stay first."""
    merged: dict[str, Warning_] = {}
    for warning in (warning for group in groups for warning in group):
        known = merged.get(warning.code)
        if known is None:
            merged[warning.code] = warning
        else:
            merged[warning.code] = replace(
                known, count=known.count + warning.count, lines=(known.lines + warning.lines)[:PLACES]
            )
    return tuple(merged.values())


class WarningCounter:
    """Collects warnings while a file is read."""

    def __init__(self) -> None:
        self._found: dict[str, Warning_] = {}

    def add(self, code: str, message: str, *, row: int | None, line: int) -> None:
        """Counts one more oddity of the kind `code`, at data row `row` and file line `line`."""
        known = self._found.get(code)
        if known is None:
            self._found[code] = Warning_(code, message, row, line, 1, (line,))
        else:
            lines = known.lines if len(known.lines) == PLACES else (*known.lines, line)
            self._found[code] = replace(known, count=known.count + 1, lines=lines)

    def found(self) -> tuple[Warning_, ...]:
        """One warning for each kind met so far."""
        return tuple(self._found.values())
