"""What the worker tells the process that opens a file."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {"xlsx": "workbook", "parquet": "Parquet file"}
"""What its owner calls a file of each kind."""


@dataclass(frozen=True)
class Task:
    """What is to be done, and with how much.

    Attributes:
        source: ``"xlsx"`` or ``"parquet"``.
        upload: file descriptor of the upload.
        report: file descriptor that the report is written to.
        sheet: the sheet wanted, by name or number from 1.
        memory: bytes.
        seconds: of processor time.
        max_unpacked: bytes that a container may unpack to.
        max_ratio: bytes unpacked for each one packed.
        max_columns, max_rows: of the table.
    """

    source: str
    upload: int
    report: int
    sheet: str | None
    memory: int
    seconds: int
    max_unpacked: int
    max_ratio: int
    max_columns: int
    max_rows: int
