"""Files made to be hard to cut, a million of them: `python -m tests.core.table.fuzz --cases 1000000 --seed 1`.

The cutter promises that its records tile the file, and are those that Python's `csv` reads. Here both are held against
`csv` itself, over the same physical lines, whatever blocks the file comes in and from whatever record one starts again.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from core.errors import UnclosedQuote
from core.table import Format, Record, RecordReader
from core.table.lines import text_lines
from tests.core.table.reading import in_blocks, table_format

PIECES = (
    *("a", "b c", "é", "日本", "😀", "0", " ", "'", "\\", "#", "\u2028", "\u0085", "\x0b", "\x0c", "\x1c", "\ufeff"),
    *('"', '""', '"""', ",", ";", "\t", "|", "\n", "\r\n", "\r", "\n\n", "\x00"),
)
"""What trips parsers: quotes, delimiters, line ends of every kind, and what `str.splitlines` takes for one."""

BATCH = 20_000


@dataclass(frozen=True)
class Case:
    """One file, and how it is read."""

    text: str
    fmt: Format
    block: int
    """Bytes of a block."""
    resume: int
    """Records after which to start anew, as a worker does at a chunk."""


def cases(seed: int, count: int) -> Iterator[Case]:
    """So many cases, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        weights = [chance.random() ** 3 for _ in PIECES]
        # A mark at the very start is the file's byte order mark, which is no part of a cell.
        text = "".join(chance.choices(PIECES, weights, k=chance.randint(0, 40))).lstrip("\ufeff")
        fmt = table_format(chance.randint(1, 4), delimiter=chance.choice(",;\t|"), quoting=chance.random() < 0.8)
        yield Case(text, fmt, chance.choice((1, 2, 3, 7, 64)), chance.randint(0, 3))


def check(case: Case) -> None:
    """Raises AssertionError unless the cutter keeps its promise."""
    raw, expected = case.text.encode(), by_csv(case)
    reader = RecordReader(in_blocks(raw, case.block), case.fmt)
    if expected is None:
        try:
            list(reader)
        except UnclosedQuote:
            return
        raise AssertionError("a quote that is never closed was not noticed")
    records = list(reader)
    assert [record.cells for record in records] == expected, "other records than csv reads"
    assert [record.row for record in records] == list(range(1, len(records) + 1)), "rows are not counted"
    end = 0
    for record in records:
        assert raw[end : record.start].strip(b"\r\n") == b"", "something lies between two records"
        assert record.start >= end, "records overlap"
        assert record.line == len(text_lines(raw[: record.start].decode())) + 1, "another line than it says"
        end = record.end
    assert raw[end:].strip(b"\r\n") == b"", "something is left after the last record"
    if records:
        _check_resumed(case, raw, records)


def _check_resumed(case: Case, raw: bytes, records: list[Record]) -> None:
    last = records[min(case.resume, len(records) - 1)]
    line = last.line + len(text_lines(raw[last.start : last.end].decode()))
    again = RecordReader(in_blocks(raw[last.end :], case.block), case.fmt, offset=last.end, row=last.row + 1, line=line)
    assert list(again) == records[last.row :], "started anew it cuts elsewhere"


def by_csv(case: Case) -> list[list[str]] | None:
    """The records as `csv` cuts them; None if the text ends within quotes."""
    lines = text_lines(case.text)
    rows = list(csv.reader(lines, **case.fmt.reader_args))
    with_one_more = list(csv.reader([*lines, "!"], **case.fmt.reader_args))
    return [row for row in rows if row] if with_one_more == [*rows, ["!"]] else None


def run(seed: int, count: int) -> str:
    """Checks so many cases of one seed; what is wrong with the first bad one, or nothing."""
    for case in cases(seed, count):
        try:
            check(case)
        except Exception as error:  # a crash counts as much as a wrong answer
            return f"seed {seed}: {case!r}: {type(error).__name__}: {error}"
    return ""


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.table.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    began, rounds = time.monotonic(), -(-arguments.cases // BATCH)
    with ProcessPoolExecutor(arguments.processes) as pool:
        seeds = range(arguments.seed * 1_000_000, arguments.seed * 1_000_000 + rounds)
        wrong = [found for found in pool.map(partial(run, count=BATCH), seeds) if found]
    print(*wrong, f"{rounds * BATCH:,} cases in {time.monotonic() - began:.0f} s, {len(wrong)} wrong", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
