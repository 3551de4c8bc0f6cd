"""The first rows of a labelled file, for people at a terminal: `python -m emobatch.show reviews.labelled.csv`."""

from __future__ import annotations

import csv
import sys
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

ROWS = 10
WIDTH = 60
"""Characters shown of a text."""

SHOWN = ("text", "emotion", "emotion_score", "emotions", "sentiment", "row_status", "flags")


def table_of(path: Path, rows: int = ROWS) -> Table:
    """The file's first rows in the columns that emobatch adds, beside the text."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        shown = [(name, header.index(name)) for name in SHOWN if name in header]
        table = Table(title=f"{path.name}: the first {rows} rows", title_justify="left", show_lines=False)
        for name, _ in shown:
            table.add_column(name, justify="right" if name.endswith("_score") else "left", no_wrap=name != "emotions")
        for record in islice(reader, rows):
            table.add_row(*(Text(_short(record[at])) for _, at in shown))
    return table


def _short(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


if __name__ == "__main__":
    Console(width=None if sys.stdout.isatty() else 140).print(table_of(Path(sys.argv[1])))
