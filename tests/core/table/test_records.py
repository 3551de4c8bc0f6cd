"""The cutter against `csv` itself: the same records, whatever the blocks, from whatever record boundary."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import EncodingFailed, RecordTooLong, UnclosedQuote
from core.table import Format, RecordReader
from tests.core.table.reading import in_blocks, read, table_format

TEXTS = st.text('a,"\n\r;é\x00\x0b\u2028\x85 ', max_size=60)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def lines_of(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


def by_csv(text: str, fmt: Format) -> list[list[str]] | None:
    """The records as `csv` cuts them; None if the text ends within quotes."""
    rows = list(csv.reader(lines_of(text), **fmt.reader_args))
    with_one_more = list(csv.reader([*lines_of(text), "!"], **fmt.reader_args))
    return [row for row in rows if row] if with_one_more == [*rows, ["!"]] else None


@given(text=TEXTS, sizes=SIZES, quoting=st.booleans())
@settings(max_examples=400, deadline=None)
@example(text='a\r\n"a\r\n\r\n",a\r', sizes=[1], quoting=True)
@example(text='é,"\u2028\n\x0b"\r\r\n\n,', sizes=[3], quoting=True)
def test_cuts_where_csv_cuts(text: str, sizes: list[int], quoting: bool) -> None:
    fmt = table_format(quoting=quoting)
    expected = by_csv(text, fmt)
    if expected is None:
        with pytest.raises(UnclosedQuote):
            read(text.encode(), fmt, *sizes)
    else:
        assert read(text.encode(), fmt, *sizes).rows == expected


@given(text=TEXTS, sizes=SIZES)
@settings(max_examples=400, deadline=None)
def test_places_are_those_of_the_file(text: str, sizes: list[int]) -> None:
    fmt, raw, lines = table_format(), text.encode(), lines_of(text)
    if by_csv(text, fmt) is None:
        return
    reader = RecordReader(in_blocks(raw, *sizes), fmt)
    end, n_blank = 0, 0
    for row, record in enumerate(reader, start=1):
        assert record.row == row
        assert "".join(lines[: record.line - 1]).encode() == raw[: record.start]
        # Nothing but blank lines lies between two records.
        between = raw[end : record.start].decode()
        assert between.strip("\r\n") == ""
        n_blank += len(lines_of(between))
        end = record.end
        assert (reader.offset, reader.row) == (record.end, row + 1)
    assert reader.n_blank == n_blank + len(lines_of(raw[end:].decode()))
    assert (reader.offset, reader.line) == (len(raw), len(lines) + 1)


@given(text=TEXTS, sizes=SIZES)
@settings(max_examples=400, deadline=None)
def test_a_range_of_bytes_gives_the_same_records_again(text: str, sizes: list[int]) -> None:
    fmt, raw = table_format(), text.encode()
    if by_csv(text, fmt) is None:
        return
    whole = read(raw, fmt)
    for first in range(len(whole.records)):
        for last in range(first, len(whole.records)):
            wanted = whole.records[first : last + 1]
            start, row, line = wanted[0].start, wanted[0].row, wanted[0].line
            data = raw[start : wanted[-1].end]
            assert read(data, fmt, *sizes, offset=start, row=row, line=line).records == wanted


@given(text=TEXTS, sizes=SIZES, stop=st.integers(0, 9))
@settings(max_examples=400, deadline=None)
def test_a_second_reader_carries_on(text: str, sizes: list[int], stop: int) -> None:
    fmt, raw = table_format(has_header=True), text.encode()
    if by_csv(text, fmt) is None:
        return
    whole = read(raw, fmt)
    first = RecordReader(in_blocks(raw, *sizes), fmt)
    records = [record for _, record in zip(range(stop), first, strict=False)]
    rest = read(raw[first.offset :], fmt, *sizes, offset=first.offset, row=first.row, line=first.line)
    assert records + rest.records == whole.records
    assert first.n_blank + rest.n_blank == whole.n_blank


CUTS = {
    "blank lines are counted": (b"a,b\n\n\r\nc,d\n\n", {}, [["a", "b"], ["c", "d"]], 3),
    "rows of nothing but commas are rows": (b"a,b\n,\n,\n", {}, [["a", "b"], ["", ""], ["", ""]], 0),
    "a blank line in one column is no row": (b"a\n\nb\n", {"width": 1, "delimiter": ""}, [["a"], ["b"]], 1),
    "a quoted empty cell in one column is": (b'a\n""\nb\n', {"width": 1, "delimiter": ""}, [["a"], [""], ["b"]], 0),
    "nothing splits one column": (b"a,b;c\td|e\n", {"width": 1, "delimiter": ""}, [["a,b;c\td|e"]], 0),
    "spaces are data": (b" \na, b\n", {}, [[" "], ["a", " b"]], 0),
    "byte order mark": (b"\xef\xbb\xbfa,b\n", {}, [["a", "b"]], 0),
    "byte order mark before a quote": (b'\xef\xbb\xbf"a\n",b\n', {}, [["a\n", "b"]], 0),
    "header is read over": (b"x,y\na,b\n", {"has_header": True}, [["a", "b"]], 0),
    "header over two lines, after blank ones": (b'\n\n"x\n",y\na,b\n', {"has_header": True}, [["a", "b"]], 2),
    "sep= line": (b"\xef\xbb\xbfsep=,\r\nx,y\r\na,b\r\n", {"has_header": True, "sep_line": True}, [["a", "b"]], 0),
    "no line end at the end": (b"a,b\nc,d", {}, [["a", "b"], ["c", "d"]], 0),
    "only CR": (b'a,b\r"c\rd",e\r', {}, [["a", "b"], ["c\rd", "e"]], 0),
    "VT, FF, NEL and U+2028 end no line": (
        "a\x0bb,c\x0cd\ne\x85f,g\u2028h\n".encode(),
        {},
        [["a\x0bb", "c\x0cd"], ["e\x85f", "g\u2028h"]],
        0,
    ),
    "quotes as ordinary characters": (b'"a,b"\n"c\n', {"quoting": False}, [['"a', 'b"'], ['"c']], 0),
    "quotes within a cell": (b'1,["a"]\n2,b "c" d\n', {}, [["1", '["a"]'], ["2", 'b "c" d']], 0),
    "nothing": (b"", {}, [], 0),
}


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(("data", "fields", "rows", "n_blank"), CUTS.values(), ids=CUTS)
def test_cuts(data: bytes, fields: dict, rows: list[list[str]], n_blank: int, size: int) -> None:
    table = read(data, table_format(**fields), size)
    assert (table.rows, table.n_blank) == (rows, n_blank)


def test_lines_and_offsets_count_what_is_read_over() -> None:
    data = b"\xef\xbb\xbfsep=,\nx,y\n\na,b\n"
    (record,) = read(data, table_format(has_header=True, sep_line=True)).records
    assert (record.row, record.line, data[record.start : record.end]) == (1, 4, b"a,b\n")


WARNINGS = {
    "short": (b"a,b\nc\n", {}, {"short_row": (2, 2, 1)}),
    "long, twice": (b"a,b,c\n\nd,e,f\n", {}, {"long_row": (1, 1, 2)}),
    "NUL": (b"a,b\n\0,b\n", {}, {"nul": (2, 2, 1)}),
    "NUL in the header is not of a row": (b"x\0,y\na,b\n", {"has_header": True}, {}),
    "swallowed": (b'x,y\n1,a\n2,"b\n3,c\n4,d"\n5,e\n', {"has_header": True}, {"lines_swallowed": (2, 3, 1)}),
    "swallowed, with quotes of their own": (
        b'1,a,x\n2,"b,x\n3,"c, d",x\n',
        {"width": 3},
        {"long_row": (2, 2, 1), "lines_swallowed": (2, 2, 1)},
    ),
    "swallowed into the header": (b'x,"y\n1,a\n2,b"\n3,c\n', {"has_header": True}, {"lines_swallowed": (None, 1, 1)}),
    "a quote that closes before text": (b'1,"a b\nc" d\n', {}, {"stray_quote": (1, 1, 1)}),
    "a text of several lines": (b'1,"a\nb"\n2,"c, d\n, e\nf"\n', {}, {}),
    "a text with a comma in its second line": (b'7,"Great.\nI like it, thanks"\n', {}, {}),
    "a text over two lines in one column": (b'"a\nb"\n', {"width": 1, "delimiter": ""}, {}),
    "nothing odd": (b'1,"a ""b"""\n2,\n', {}, {}),
}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("data", "fields", "expected"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(data: bytes, fields: dict, expected: dict[str, tuple], size: int) -> None:
    table = read(data, table_format(**fields), size)
    assert {warning.code: (warning.row, warning.line, warning.count) for warning in table.warnings} == expected


def test_many_swallowed_rows_may_have_an_odd_one_among_them() -> None:
    rows = [b"%d,%d,text\n" % (number, number) for number in range(20)]
    rows[3] = b'3,3,"text\n'
    rows[9] = b"9,9,text, and more\n"
    rows[15] = b'15,15,text"\n'
    (warning,) = read(b"".join(rows), table_format(3)).warnings
    assert (warning.code, warning.line) == ("lines_swallowed", 4)


def test_warnings_keep_the_first_places_only() -> None:
    (warning,) = read(b"a\n" * 5000, table_format()).warnings
    assert warning.count == 5000
    assert warning.lines == tuple(range(1, 11))


UNCLOSED = {
    "on its first line": (b'a,b\nc,"d\n', {}, 2, 2),
    "on a later line of its record": (b'a,b\n\n"c\r\nd","e\nf', {}, 2, 4),
    "quote is the last byte": (b'a,b\nc,"', {}, 2, 2),
    "in the header": (b'x,"y\na,b\n', {"has_header": True}, None, 1),
    "a doubled quote at the end": (b'a,"b""\n', {}, 1, 1),
}


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(("data", "fields", "row", "line"), UNCLOSED.values(), ids=UNCLOSED)
def test_unclosed_quote_names_the_line_where_it_opens(
    data: bytes, fields: dict, row: int, line: int, size: int
) -> None:
    with pytest.raises(UnclosedQuote) as caught:
        read(data, table_format(**fields), size)
    assert (caught.value.row, caught.value.line) == (row, line)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize(
    ("long", "allowed"),
    [
        (b"x," + b"y" * 47 + b"\n", True),
        (b"x," + b"y" * 48 + b"\n", False),
        (b'x,"y' + b"y\n" * 22 + b'"\n', True),
        (b'x,"yy' + b"y\n" * 22 + b'"\n', False),
        (b'x,"' + b"y\n" * 500, False),
        (b"y" * 500, False),
    ],
)
def test_a_record_may_be_as_long_as_the_limit_and_no_longer(long: bytes, allowed: bool, size: int) -> None:
    data, fmt = b"a,b\n\n" + long, table_format()
    if allowed:
        assert len(read(data, fmt, size, max_record_bytes=50).records) == 2
        return
    with pytest.raises(RecordTooLong) as caught:
        read(data, fmt, size, max_record_bytes=50)
    assert (caught.value.row, caught.value.line) == (2, 3)


def test_bytes_that_are_not_utf8_name_their_line() -> None:
    with pytest.raises(EncodingFailed) as caught:
        read(b'a,b\n"c\n\xff",d\n', table_format())
    assert caught.value.line == 3


def test_a_cell_may_be_longer_than_the_limit_that_csv_comes_with() -> None:
    (record,) = read(b"a," + b"x" * 500_000, table_format()).records
    assert len(record.cells[1]) == 500_000


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(n_blocks: int) -> int:
        block = b'1,"some text\nover two lines"\n2,short\n' * 500
        tracemalloc.start()
        for _ in RecordReader((block for _ in range(n_blocks)), table_format()):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40) < peak(4) * 1.5
