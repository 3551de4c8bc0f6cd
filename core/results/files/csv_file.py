"""CSV: the exact one, and the one that is safe to open in a spreadsheet program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from core.table import Format, OutputLayout, Record, TableWriter
from core.table.inert import inert_row


class CsvFile:
    """The labelled file in the dialect of the input: every cell parses back to what it was.

    A row with as many cells as the header keeps its very bytes, quotes and all, and the added cells stand behind them.
    Other rows are written from their cells, and so are all rows of a file that had no delimiter.

    Args:
        fmt: the input's format.
        layout: the columns.
        encoding: as `TableWriter`.
    """

    def __init__(self, fmt: Format, layout: OutputLayout, encoding: str = "utf-8", *, quote_all: bool = False) -> None:
        self._layout = layout
        self._width = fmt.n_columns
        self._is_delimited = bool(fmt.delimiter)
        self._writer = TableWriter(fmt, encoding=encoding, quote_all=quote_all)

    def begin(self) -> bytes:
        """The header."""
        return self._writer.write([self._layout.header()])

    def write(self, records: Sequence[Record], added: Sequence[Sequence[str]]) -> bytes:
        """See `FileWriter.write`."""
        written = []
        for is_kept, run in groupby(zip(records, added, strict=True), key=self._is_kept):
            pairs = list(run)
            first_row = pairs[0][0].row
            if is_kept:
                lines = [record.data or b"" for record, _ in pairs]
                written.append(self._writer.write_behind(lines, [cells for _, cells in pairs], first_row=first_row))
            else:
                rows = [self._row(record.cells, cells) for record, cells in pairs]
                written.append(self._writer.write(rows, first_row=first_row))
        return b"".join(written)

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def _is_kept(self, pair: tuple[Record, Sequence[str]]) -> bool:
        record = pair[0]
        return self._is_delimited and len(record.cells) == self._width and record.data is not None

    def _row(self, cells: Sequence[str], added: Sequence[str]) -> list[str]:
        return self._layout.row(cells, added)


class SpreadsheetFile(CsvFile):
    """The same for Excel, LibreOffice and Google Sheets: UTF-8 with a byte order mark, and no cell is a formula.

    Every cell is quoted: a program that takes another sign for the delimiter must not find a formula behind one.
    """

    def __init__(self, fmt: Format, layout: OutputLayout) -> None:
        super().__init__(replace(fmt, quoting=True), layout, "utf-8-sig", quote_all=True)

    def begin(self) -> bytes:
        """The header."""
        return self._writer.write([inert_row(self._layout.header())])

    def _is_kept(self, pair: tuple[Record, Sequence[str]]) -> bool:
        return False  # every cell is looked at

    def _row(self, cells: Sequence[str], added: Sequence[str]) -> list[str]:
        return inert_row(super()._row(cells, added))
