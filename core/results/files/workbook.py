"""XLSX: the table as a workbook, written while it is sent.

XlsxWriter makes the workbook with everything that belongs to it, but for the sheets' rows: it takes six times as long
for those, in one piece, and would keep a reader waiting for minutes at a million rows. The rows are written here, as
text that can be no formula and no link, in sheets of as many as Excel takes; scores are numbers.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, cast

from core.errors import BadOption
from core.results.files.base import is_score
from core.table import OutputLayout, Record

MOST_ROWS = 1_048_576
"""Rows of a sheet, its header included (ECMA-376, and Excel's own limit)."""

MOST_CHARACTERS = 32_767
"""UTF-16 units of a cell: Excel calls a workbook damaged that has more in one."""

CUTS_TOLD = 10_000
"""Cells that were cut are listed in a sheet of their own; the first of them."""

CUTS_SHEET = "cut cells"

_EPOCH = datetime(2000, 1, 1)
_ZIP_TIME = (2000, 1, 1, 0, 0, 0)  # so that the same results are the same bytes
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews><sheetView '
    'workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView>'
    "</sheetViews><sheetData>"
)
_FOOT = "</sheetData></worksheet>"
# Signs that XML has no way to write are spelt _xHHHH_ (ECMA-376, 22.9.2.19), and so is what looks like such a spelling.
_SPELT = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class WorkbookFile:
    """Writes results as XLSX.

    Args:
        layout: the columns.
    """

    def __init__(self, layout: OutputLayout) -> None:
        self._layout = layout
        header = layout.header()
        self._width = len(header) - len(layout.columns)
        self._numbers = [is_score(column) for column in layout.columns]
        self._names = [_column_name(at) for at in range(len(header))]
        self._out = _Growing()
        self._zip = zipfile.ZipFile(cast(IO[bytes], self._out), "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._sheets = 0
        self._sheet: IO[bytes] | None = None
        self._at = MOST_ROWS  # rows of the sheet in hand: full, so that the first row begins one
        self._cuts: list[tuple[str, str, str]] = []
        self._n_cuts = 0

    @staticmethod
    def check() -> None:
        """Raises BadOption where the library is missing."""
        try:
            import xlsxwriter  # noqa: F401
        except ImportError:
            raise BadOption(
                "This server writes no workbooks: XlsxWriter is not installed.",
                next_step="Take another format, or have emobatch[web] installed.",
            ) from None

    def begin(self) -> bytes:
        """Nothing: the first rows bring their sheet."""
        return b""

    def write(self, records: Sequence[Record], added: Sequence[Sequence[str]]) -> bytes:
        """See `FileWriter.write`."""
        written: list[str] = []
        for record, cells in zip(records, added, strict=True):
            if self._at == MOST_ROWS:
                self._turn(written)
                written = []
            self._at += 1
            written.append(self._row(record, cells))
        if written:
            self._put(written)
        return self._out.take()

    def end(self) -> bytes:
        """Ends the last sheet and writes what makes a workbook of them."""
        if not self._sheets:
            self._turn([])
        self._put([_FOOT])
        self._close()
        names = ["labelled", *(f"labelled {number}" for number in range(2, self._sheets + 1))]
        if self._cuts:
            names.append(CUTS_SHEET)
            self._write_cuts()
        with zipfile.ZipFile(_skeleton(names)) as made:
            for entry in made.infolist():
                if not entry.filename.startswith("xl/worksheets/sheet"):
                    with self._zip.open(_entry(entry.filename), "w") as target:
                        target.write(made.read(entry))
        self._zip.close()
        return self._out.take()

    def _turn(self, written: list[str]) -> None:
        """Ends the sheet in hand, if there is one, and begins the next with the header."""
        if self._sheet:
            self._put([*written, _FOOT])
            self._close()
        self._sheets += 1
        self._sheet = self._zip.open(_entry(f"xl/worksheets/sheet{self._sheets}.xml"), "w", force_zip64=True)
        self._at = 1
        cells = [self._text(at, name, None) for at, name in enumerate(self._layout.header())]
        self._put([_HEAD, f'<row r="1">{"".join(cells)}</row>'])

    def _put(self, parts: Iterable[str]) -> None:
        assert self._sheet
        self._sheet.write("".join(parts).encode())

    def _close(self) -> None:
        assert self._sheet
        self._sheet.close()
        self._sheet = None

    def _row(self, record: Record, added: Sequence[str]) -> str:
        row = record.cells
        width = self._width
        cells = [self._text(at, cell, record) for at, cell in enumerate(row[:width]) if cell]
        for at, (cell, is_number) in enumerate(zip(added, self._numbers, strict=True), start=width):
            if is_number and cell:
                cells.append(f'<c r="{self._names[at]}{self._at}"><v>{cell}</v></c>')
            elif cell:
                cells.append(self._text(at, cell, record))
        over = width + len(added)
        cells += [self._text(at, cell, record) for at, cell in enumerate(row[width:], start=over) if cell]
        return f'<row r="{self._at}">{"".join(cells)}</row>'

    def _text(self, at: int, text: str, record: Record | None) -> str:
        while at >= len(self._names):
            self._names.append(_column_name(len(self._names)))
        if 2 * len(text) > MOST_CHARACTERS:
            text = self._cut(at, text, record)
        if _SPELT.search(text):
            text = _SPELT.sub(_spell, text)
        return f'<c r="{self._names[at]}{self._at}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'

    def _cut(self, at: int, text: str, record: Record | None) -> str:
        """A cell's text, cut to what Excel takes and saying so, if it is longer."""
        units = text.encode("utf-16-le", "surrogatepass")
        n_units = len(units) // 2
        if n_units <= MOST_CHARACTERS:
            return text
        note = f" … [cut: {n_units:,} characters]"
        kept = units[: 2 * (MOST_CHARACTERS - len(note))].decode("utf-16-le", "ignore")
        self._n_cuts += 1
        if len(self._cuts) < CUTS_TOLD:
            header = self._layout.header()
            name = header[at] if at < len(header) else ""
            self._cuts.append((str(record.row) if record else "header", name[:1000], str(n_units)))
        return kept + note

    def _write_cuts(self) -> None:
        more = self._n_cuts - len(self._cuts)
        rows = [("row", "column", "characters"), *self._cuts]
        rows += [(f"and {more:,} more", "", "")] if more else []
        self._at = 0
        with self._zip.open(_entry(f"xl/worksheets/sheet{self._sheets + 1}.xml"), "w") as sheet:
            parts = [_HEAD]
            for row in rows:
                self._at += 1
                cells = "".join(self._text(at, cell, None) for at, cell in enumerate(row))
                parts.append(f'<row r="{self._at}">{cells}</row>')
            sheet.write("".join([*parts, _FOOT]).encode())


def _skeleton(sheets: Sequence[str]) -> io.BytesIO:
    """A workbook with these sheets, all empty."""
    import xlsxwriter

    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        book.set_properties({"created": _EPOCH})
        for name in sheets:
            book.add_worksheet(name)
    return made


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _column_name(at: int) -> str:
    """``A`` for 0, ``AA`` for 26."""
    name = ""
    at += 1
    while at:
        at, letter = divmod(at - 1, 26)
        name = chr(65 + letter) + name
    return name


def _spell(found: re.Match[str]) -> str:
    sign = found[0]
    return _ENTITIES.get(sign) or f"_x{ord(sign):04X}_"


class _Growing:
    """A stream that `zipfile` writes to and cannot go back in; what has come is taken from it."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> int:
        self._blocks.append(bytes(block))
        return len(block)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._blocks)
        self._blocks.clear()
        return taken
