"""XLSX: the cells of one sheet as the text that a person sees in them, or nearly.

python-calamine holds a sheet as a whole, so what it is given is measured first: an archive's own words about its sizes
are not believed, its members are unpacked and counted.
"""

from __future__ import annotations

import datetime as dt
import os
import struct
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from core.errors import InputError, LimitExceeded, UnknownSheet
from core.table import Warning_

MOST_MEMBERS = 10_000
"""Files in the archive. A workbook of a hundred sheets has some three hundred."""

RATIO_COUNTS_FROM = 16 * 1024 * 1024
"""Bytes unpacked from which on the ratio counts: a short sheet of one repeated value packs better than any long one."""

_TAIL = 65_557  # the end record of an archive, with the longest comment it may have
_END = b"PK\x05\x06"
_BLOCK = 1024 * 1024


def workbook_rows(file: int, sheet: str | None, *, max_unpacked: int, max_ratio: int, memory: int) -> WorkbookRows:
    """Opens a workbook.

    Args:
        file: its open descriptor.
        sheet: name, else number from 1; None: the first that is visible and has cells.
        max_unpacked: bytes its parts may have together.
        max_ratio: of those for each byte packed.
        memory: bytes of this process, for messages.

    Raises:
        UnknownSheet: listing those there are.
        InputError: protected by a password, or not a workbook.
        LimitExceeded: it unpacks to more than is allowed.
    """
    check_archive(file, max_unpacked=max_unpacked, max_ratio=max_ratio)
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    book = CalamineWorkbook.from_path(f"/dev/fd/{file}")
    sheets = [found.name for found in book.sheets_metadata if found.typ == SheetTypeEnum.WorkSheet]
    visible = [found.name for found in book.sheets_metadata if found.visible == SheetVisibleEnum.Visible]
    if not sheets:
        raise InputError("The workbook has no sheet with cells.", next_step="Send one with a table.")
    if sheet is not None:
        name = _named(sheets, sheet)
        return WorkbookRows(book.get_sheet_by_name(name), name, [])
    for name in [name for name in sheets if name in visible] or sheets:
        found = book.get_sheet_by_name(name)
        if found.start is not None:
            return WorkbookRows(found, name, [other for other in sheets if other != name])
    raise InputError("No sheet of the workbook has a cell.", next_step="Send one with a table.")


def check_archive(file: int, *, max_unpacked: int, max_ratio: int) -> None:
    """Measures what a ZIP archive unpacks to, in constant memory.

    Raises:
        InputError: no archive, encrypted, or with definitions of entities.
        LimitExceeded: too many members, or they are too large.
    """
    size = os.fstat(file).st_size
    tail = os.pread(file, _TAIL, max(0, size - _TAIL))
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        raise InputError("The workbook is cut off before its end.", next_step="Save it anew and send it again.")
    # Said by the archive, and read before the list of its members is: that is as long as it says.
    members, listing = struct.unpack("<HI", tail[at + 10 : at + 16])
    if members > MOST_MEMBERS or listing > 100 * MOST_MEMBERS + 22 * 65_536:
        raise _too_many()
    unpacked = 0
    with open(f"/dev/fd/{file}", "rb") as stream, zipfile.ZipFile(stream) as archive:  # noqa: PTH123
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS:
            raise _too_many()
        for entry in entries:
            if entry.flag_bits & 1:
                raise InputError(
                    "The workbook is protected by a password.", next_step="Save it without one and send that."
                )
            with archive.open(entry) as member:
                first = True
                while block := member.read(_BLOCK):
                    unpacked += len(block)
                    if unpacked > max_unpacked:
                        raise LimitExceeded(
                            f"The workbook unpacks to more than {max_unpacked:,} bytes.",
                            next_step="Save the sheet as CSV and send that, also compressed with gzip.",
                        )
                    if unpacked > RATIO_COUNTS_FROM and unpacked > max_ratio * size:
                        raise LimitExceeded(
                            f"The workbook unpacks to more than {max_ratio} times its size, as no table does.",
                            next_step="Save the sheet as CSV and send that.",
                        )
                    if first and b"<!DOCTYPE" in block[:4096]:
                        raise InputError(
                            "The workbook defines XML entities, as no spreadsheet program does.",
                            next_step="Save it anew in a spreadsheet program, or as CSV.",
                        )
                    first = False


def _too_many() -> LimitExceeded:
    return LimitExceeded(
        f"The workbook has more than {MOST_MEMBERS:,} parts.", next_step="Save the sheet as CSV and send that."
    )


def _named(sheets: Sequence[str], wanted: str) -> str:
    if wanted in sheets:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(sheets):
        return sheets[int(wanted) - 1]
    listed = ", ".join(f"{number} {name!r}" for number, name in enumerate(sheets[:20], start=1))
    more = f" and {len(sheets) - 20:,} more" if len(sheets) > 20 else ""
    raise UnknownSheet(f"There is no sheet {wanted!r}.", next_step=f"The sheets are {listed}{more}.")


class WorkbookRows:
    """One sheet's rows. Empty ones before the first and after the last are left out, those between are rows."""

    def __init__(self, sheet: Any, name: str, others: Sequence[str]) -> None:
        self._sheet = sheet
        self._name = name
        self._others = others
        self._first = 1
        self._dropped = 0

    def __iter__(self) -> Iterator[Sequence[str]]:
        """Each row as wide as the sheet."""
        width = n_waiting = 0
        for number, row in enumerate(self._sheet.iter_rows(), start=1):
            cells = [plain(value) for value in row]
            if any(cells):
                if not width:
                    self._first, width = number, len(cells)
                else:
                    yield from ([""] * width for _ in range(n_waiting))
                n_waiting = 0
                yield cells
            elif width:
                n_waiting += 1
        self._dropped = n_waiting

    def report(self) -> dict[str, Any]:
        """See `Rows.report`."""
        warnings = []
        if self._others:
            listed = ", ".join(map(repr, self._others[:10])) + (" …" if len(self._others) > 10 else "")
            warnings.append(
                Warning_(
                    "other_sheets", f"The sheet {self._name!r} was read. If another one was meant, name it: {listed}."
                )
            )
        if self._dropped:
            warnings.append(
                Warning_("empty_end", "Empty rows at the end of the sheet were left out.", count=self._dropped)
            )
        return {
            "sheet": self._name,
            "first_line": self._first,
            "has_header": None,
            "warnings": [warning.to_dict() for warning in warnings],
        }


def plain(value: Any) -> str:
    """A cell's value as plain text: numbers without a format, dates in ISO 8601, errors as nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
    if isinstance(value, dt.timedelta):
        seconds = round(value.total_seconds())
        sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return "" if value is None else str(value)


def _number(value: float) -> str:
    """As a spreadsheet shows it in a cell that is wide enough: 15 digits, and an exponent only far from 1."""
    if value.is_integer() and abs(value) < 1e21:
        return f"{value:.0f}"
    text = f"{value:.15g}"
    if "e" in text and 1e-10 < abs(value) < 1:
        text = f"{value:.24f}".rstrip("0")
    return text
