"""A file of failed rows: what it looks like, and how it is read when it comes back fixed. Pure.

It has a column with the number of each row, one that says why the row failed, and the job's own columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.errors import ColumnsDiffer, EmobatchError, NotAFailedRow, NotText
from core.table import CONTAINERS, BinarySource, CheckResult, Format, Overrides, Record, detect

ROW_COLUMN = "row_number"
"""The first column of a file of failed rows: a row's number in the job's file."""

REASON_COLUMN = "row_status"
"""The second, which may be taken out: why it failed."""

MOST_UNSORTED = 20_000
"""Rows that may come in any order. Each is read alone when results are read; in order, many at once."""

_DELIMITERS = (",", ";", "\t", "|")


@dataclass
class FixedRows:
    """Where the rows of a file of fixed rows lie: an entry each, in the file's order.

    Attributes:
        numbers: of the parent's rows.
        starts, ends: byte offsets in the file's canonical form.
    """

    numbers: array[int] = field(default_factory=lambda: array("i"))
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))


def fixed_format(parent: Format) -> Format:
    """The format of a file of a job's failed rows: its delimiter, always with quotes."""
    return Format(
        compression=None,
        encoding="utf-8-sig",  # a spreadsheet program would otherwise read it in a local encoding, and write it so
        delimiter=parent.delimiter or ",",
        quoting=True,
        line_end=parent.line_end,
        has_header=True,
        header=(ROW_COLUMN, REASON_COLUMN, *parent.header),
    )


def check_rows(records: Iterable[Record], failed: bytearray) -> FixedRows:
    """Reads a file of fixed rows to its end.

    Args:
        records: of the file.
        failed: as `failed_rows` gives it; a row that is found is struck off.

    Raises:
        NotAFailedRow: naming the place in the file: no number, no such row, not a failed one, or there twice.
        InputError: as `records` raises.
    """
    rows = FixedRows()
    last, is_sorted = 0, True
    for record in records:
        number = _number(record.cells[0])
        if number is None:
            problem = f"{record.cells[0]!r} is no row number."
        elif not 1 <= number < len(failed):
            problem = f"The job has no row {number:,}: it has {len(failed) - 1:,} rows."
        elif not failed[number]:
            problem = f"Row {number:,} of the job has not failed."
        elif failed[number] > 1:
            problem = f"Row {number:,} of the job stands here a second time."
        else:
            failed[number] = 2
            is_sorted = is_sorted and number > last
            last = number
            rows.numbers.append(number)
            rows.starts.append(record.start)
            rows.ends.append(record.end)
            if not is_sorted and len(rows.numbers) > MOST_UNSORTED:
                raise NotAFailedRow(
                    f"More than {MOST_UNSORTED:,} rows must be in the order of their numbers.",
                    row=record.row,
                    line=record.line,
                    column=ROW_COLUMN,
                    next_step=f"Sort the file by {ROW_COLUMN}.",
                )
            continue
        raise NotAFailedRow(
            problem,
            row=record.row,
            line=record.line,
            column=ROW_COLUMN,
            next_step="Send only rows that failed, each once, and leave their numbers as they were.",
        )
    return rows


def _number(cell: str) -> int | None:
    given = cell.strip()
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def find_format(source: BinarySource, check: CheckResult, encoding: str | None, parent: Format) -> tuple[Format, int]:
    """How a file of fixed rows is to be read, and how many columns it has before the job's own.

    Whatever it was edited with may have saved it with another delimiter: the header, which is known, tells.
    """
    if check.source in CONTAINERS:
        raise NotText("A file of fixed rows must be a text table.", next_step="Save it as CSV and send that.")
    wanted = {1: (ROW_COLUMN, *parent.header), 2: (ROW_COLUMN, REASON_COLUMN, *parent.header)}
    problem: EmobatchError | None = None
    seen: list[tuple[str, ...]] = []
    for delimiter in dict.fromkeys([parent.delimiter or ",", *_DELIMITERS]):
        given = Overrides(encoding=encoding, delimiter=delimiter, has_header=True, quoting=True)
        try:
            found = detect(source, check, given)
        except EmobatchError as error:
            problem = problem or error
            continue
        for own, header in wanted.items():
            if found.header == header:
                return found, own
        seen.append(found.header)
    if not seen and problem:
        raise problem
    raise _columns_differ(max(seen, key=len), wanted[2])


def _columns_differ(found: tuple[str, ...], wanted: tuple[str, ...]) -> ColumnsDiffer:
    if ROW_COLUMN in found and REASON_COLUMN not in found:
        wanted = (ROW_COLUMN, *wanted[2:])
    for at, (has, should) in enumerate(zip(found, wanted, strict=False), start=1):
        if has != should:
            what = f"Column {at:,} is {has[:200]!r}, and should be {should[:200]!r}."
            break
    else:
        what = f"The file has {len(found):,} columns, and should have {len(wanted):,}."
    return ColumnsDiffer(
        what,
        line=1,
        next_step=f"Keep the columns of the file of failed rows as they were; only {REASON_COLUMN} may be taken out.",
    )
