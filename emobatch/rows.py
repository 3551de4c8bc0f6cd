"""Which rows of a job to ask for, what comes back, and how it looks as a CSV or at a terminal."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]
"""One row as the API gives it: its number and line, its cells, and what is said of it."""

WIDTH = 60
"""Characters shown of a text at a terminal."""

_ADDED = ("emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "listed_score", "row_status", "flags")
_SHOWN = ("row", "text", "emotion", "emotion_score", "emotions", "sentiment", "listed_score", "row_status", "flags")


@dataclass(frozen=True)
class RowFilter:
    """Which rows, all of which must hold, and in which order.

    Attributes:
        label: the top label, in the taxonomy that is asked for.
        listed: a label that is said of the row: at or over its threshold. Scores are about this one then.
        status: ``ok``, ``empty`` or ``failed``.
        flag: ``ragged``, ``windowed``, ``capped`` …
        min_score, max_score: of the score, both inclusive.
        search: what the text holds, upper or lower case alike.
        whole_word: as a word of its own.
        sort: ``row``, ``row-desc``, ``score`` (highest first) or ``score-asc``.
    """

    label: str | None = None
    listed: str | None = None
    status: str | None = None
    flag: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    search: str | None = None
    whole_word: bool = False
    sort: str | None = None

    def params(self) -> dict[str, str]:
        """As query parameters."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given["whole_word"] = "yes" if self.whole_word else None
        return {name: str(value) for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class RowPage:
    """Some labelled rows, as in the API's JSON Lines.

    Attributes:
        next, previous: ask for the rows after and before those, as a cursor; None: there are none.
        total: rows like that; of a search that is not done, those found so far.
        searched: how far a search looked: ``rows`` of ``of``, and whether the page is ``done``.
    """

    rows: tuple[Row, ...]
    next: str | None = None
    previous: str | None = None
    total: int | None = None
    searched: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, page: Mapping[str, Any]) -> RowPage:
        """Reads an answer of ``GET /jobs/…/rows``."""
        rest = {name: page.get(name) for name in ("next", "previous", "total", "searched")}
        return cls(tuple(page["rows"]), **rest)


def write_csv(rows: Iterable[Row], file: TextIO) -> None:
    """Rows as a CSV: number, own cells, what is said of each. Where the file has a column of that name, ours gets _2.

    Columns are those of the first row: the cells of a file are named alike in all.
    """
    writer = csv.writer(file)
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    own = list(first["cells"])
    added = [name for name in _ADDED if name in first] + [f"score_{label}" for label in first.get("scores", {})]
    number, *names = free_names(["row", *added], own)
    writer.writerow([number, *own, *names])
    for row in _chained(first, rows):
        scores = {f"score_{label}": score for label, score in row.get("scores", {}).items()}
        said = row | scores if isinstance(row, dict) else {**row, **scores}
        writer.writerow([row["row"], *(row["cells"].get(name, "") for name in own), *(_cell(said, n) for n in added)])


def write_jsonl(rows: Iterable[Row], file: TextIO) -> None:
    """Rows as the API gives them, one JSON object a line."""
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def table_of(rows: Sequence[Row]) -> Table:
    """Rows for people at a terminal."""
    shown = [name for name in _SHOWN if rows and name in rows[0]]
    table = Table(show_lines=False)
    for name in shown:
        is_number = name == "row" or name.endswith("_score")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=name != "emotions")
    for row in rows:
        table.add_row(*(Text(_short(_cell(row, name))) for name in shown))
    return table


def _chained(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def free_names(added: Iterable[str], own: Sequence[str]) -> list[str]:
    """Names for our columns beside a file's own: with ``_2`` (``_3`` …) where it has a column of that name."""
    found, taken = [], set(own)
    for name in added:
        again, free = 1, name
        while free in taken:
            again += 1
            free = f"{name}_{again}"
        taken.add(free)
        found.append(free)
    return found


def _cell(row: Row, name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return "|".join(value) if isinstance(value, list) else str(value)


def _short(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
