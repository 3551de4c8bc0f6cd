"""Chunks tile the file, keep to their limits, and carry the CRC of exactly their bytes."""

from __future__ import annotations

import zlib

import pytest

from core.table import Format, RecordReader
from worker.cutting import Cutter, Tail

FORMAT = Format(None, "utf-8", ",", True, "\n", True, ("id", "text"))


def cut(data: bytes, settings, *, block: int = 7):
    """All chunks of a file that arrives in small blocks."""
    tail = Tail(0)
    blocks = [data[at : at + block] for at in range(0, len(data), block)]
    cutter = Cutter(settings, 1, tail)
    chunks = [chunk for record in RecordReader(tail.tee(blocks), FORMAT) if (chunk := cutter.add(record))]
    last = cutter.flush()
    return [*chunks, last] if last else chunks


def lines(n: int, text: str = "fine") -> bytes:
    return b"id,text\n" + b"".join(b"%d,%s\n" % (number, text.encode()) for number in range(1, n + 1))


@pytest.mark.parametrize(
    ("limits", "rows", "sizes"),
    [
        ({"chunk_records": 4}, lines(10), [4, 4, 2]),
        ({"chunk_text_bytes": 10}, lines(5, "12345"), [2, 2, 1]),
        ({"chunk_text_bytes": 10}, lines(2, "x" * 50), [1, 1]),
        ({"chunk_bytes": 21}, lines(6), [3, 3]),
        ({}, lines(3), [3]),
        ({}, b"id,text\n", []),
        ({"chunk_records": 2}, b'id,text\n1,"a\nb"\n\n2,c\n\n3,d', [2, 1]),
        ({"chunk_records": 2}, b"id,text\n1\n2,a,b\n3,d\n", [2, 1]),
    ],
)
def test_chunks_keep_to_their_limits_and_tile_the_file(make_settings, limits, rows, sizes):
    chunks = cut(rows, make_settings(**limits))
    assert [chunk.n_rows for chunk in chunks] == sizes
    next_row = 1
    for chunk in chunks:
        assert chunk.first_row == next_row
        next_row += chunk.n_rows
        data = rows[chunk.byte_start : chunk.byte_end]
        assert chunk.crc == zlib.crc32(data)
        alone = RecordReader([data], FORMAT, offset=chunk.byte_start, row=chunk.first_row, line=chunk.first_line)
        assert [record.row for record in alone] == list(range(chunk.first_row, chunk.first_row + chunk.n_rows))


def test_a_chunk_knows_its_physical_line(make_settings):
    chunks = cut(b'id,text\n1,"a\nb\nc"\n\n2,d\n3,e\n', make_settings(chunk_records=1))
    assert [chunk.first_line for chunk in chunks] == [2, 6, 7]
