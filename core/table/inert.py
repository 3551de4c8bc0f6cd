"""Cells that a spreadsheet program would run as a formula, made inert: for people who open a CSV in one.

A text that begins with ``=`` is computed by Excel, LibreOffice and Google Sheets when a CSV is opened, and a formula
can fetch an address with the row's other cells in it. As OWASP describes ("CSV Injection"), such a cell gets a leading
apostrophe, which the programs take as "this is text". That changes the cell, so it is only done where asked for.

A program that is set to another delimiter than the file's does not see which cells are quoted, and takes a text apart
wherever it has that delimiter. So a sign behind a delimiter or a line end within a cell gets an apostrophe too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What no program shows, and some skip before they look for a formula: spaces, controls, and signs of no width.
_UNSEEN = r"\s\x00-\x20\x7f-\xa0\u00ad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff"
# The four signs; their full-width and small forms, which Asian versions of Excel take for the same.
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_RISKY = re.compile(f"[\\t\\r\\n]|[{_UNSEEN}]*[{_SIGNS}]")
# A sign before a plain number is arithmetic on nothing: -5, +3.2, -1,234.56, -0.5e-3, -12 %.
_PLAIN = r"[-+]?(?:[0-9]+(?:[.,][0-9]+)*|[.,][0-9]+)(?:[eE][-+]?[0-9]+)? ?%?"
_NUMBER = re.compile(_PLAIN)
_WITHIN = re.compile(f"[,;|\\t\\r\\n][{_UNSEEN}]*(?=[{_SIGNS}])(?!{_PLAIN}(?:[,;|\\t\\r\\n]|$))")


def inert(cell: str) -> str:
    """The cell, with an apostrophe before all that a spreadsheet program would take for a formula."""
    cell = _WITHIN.sub(r"\g<0>'", cell)
    if _RISKY.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def inert_row(cells: Sequence[str]) -> list[str]:
    """`inert`, for each cell of a row."""
    return [inert(cell) for cell in cells]
