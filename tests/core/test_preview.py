"""The head of a file says what the whole of it will be taken for, wherever it was cut."""

from __future__ import annotations

import gzip
import random

import pytest

from core.errors import BadOption, LimitExceeded, NoRows, NoTextColumn, NotText, UnclosedQuote, UnknownColumn
from core.preview import PREVIEW_BYTES, preview
from core.table import Overrides, RecordReader, StreamCheck, choose_text_column, detect

WORDS = "the quick brown fox jumps over lazy dogs and then sleeps".split()


def rows(n: int, *, delimiter: str = ",", extra: str = "") -> str:
    chance = random.Random(7)
    lines = [f"{number}{delimiter}{' '.join(chance.choices(WORDS, k=9))}{extra}\r\n" for number in range(n)]
    return f"id{delimiter}body\r\n" + "".join(lines)


def look(data: bytes, size: int = PREVIEW_BYTES, text_column: str | None = None, **overrides):
    return preview(data[:size], n_bytes=len(data), overrides=Overrides(**overrides), text_column=text_column)


def format_of(data: bytes):
    """What a job takes the file for."""
    check = StreamCheck()
    check.feed(data)
    return detect(lambda start, length: data[start : start + length], check.finish(), Overrides())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("n", [3, 20_000])
def test_it_is_what_the_job_will_find(n, delimiter):
    data = rows(n, delimiter=delimiter).encode()
    found = format_of(data)
    records = list(RecordReader([data], found))
    seen = look(data)
    assert seen.format == found
    assert seen.records == records[: len(seen.records)]
    assert len(seen.records) == 3 if n == 3 else len(seen.records) > 1_000
    assert seen.text_column == choose_text_column(found, [record.cells for record in records[:200]], None)
    assert seen.texts()[0] == records[0].cells[1]
    assert seen.problem is None
    assert seen.warnings == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "cp1252", "shift_jis"])
def test_a_cut_through_a_character_is_no_other_encoding(encoding):
    extra = (" schöne Grüße" if encoding == "cp1252" else "日本語のテキスト") * 12  # the cut is in the middle of it
    text = rows(6_000, extra=extra)
    expected = format_of(text.encode(encoding)).encoding
    for shift in range(6):
        seen = look(("_" * shift + text).encode(encoding))
        assert seen.format.encoding == expected
        assert seen.records[-1].cells[1].endswith(extra)
        assert seen.problem is None


def test_wherever_it_is_cut_only_whole_rows_are_shown():
    text = "id,body\n" + '7,"two\nlines, ""quoted"""\n' * 20_000
    for shift in range(30):
        seen = look(("_" * shift + text).encode())
        assert {tuple(record.cells) for record in seen.records} == {("7", 'two\nlines, "quoted"')}
        assert seen.warnings == ()


def test_a_gzip_file_is_unpacked_as_far_as_it_goes():
    data = gzip.compress(rows(60_000).encode())
    assert len(data) > PREVIEW_BYTES
    seen = look(data)
    assert seen.format.compression == "gzip"
    assert seen.rows.low <= 60_000 <= seen.rows.high
    small = gzip.compress(rows(5).encode())
    assert look(small).rows.low == look(small).rows.high == 5


def test_overrides_count_and_the_column_follows():
    data = rows(5, delimiter=";").encode()
    assert look(data, delimiter="comma").format.header == ("id;body",)
    seen = look(data, has_header=False, text_column="1")
    assert seen.format.header == ("column_1", "column_2")
    assert (seen.text_column.index, seen.text_column.guessed) == (0, False)
    assert len(seen.records) == 6


def test_a_file_without_texts_is_shown_with_the_reason():
    seen = look(b"a,b\n1,2\n3,4\n")
    assert isinstance(seen.problem, NoTextColumn)
    assert seen.text_column is None
    assert seen.texts() == []
    assert len(seen.records) == 2
    assert isinstance(look(rows(3).encode(), text_column="nowhere").problem, UnknownColumn)


def test_a_quote_that_is_never_closed_is_told_with_its_place():
    head, tail = rows(10).encode(), rows(20).encode()[9:]
    small = look(head + b'11,"lost\r\n' + tail)
    assert isinstance(small.problem, UnclosedQuote)
    assert (small.problem.row, small.problem.line) == (11, 12)
    assert len(small.records) == 10
    large = look(head + b'11,"lost\r\n' + tail * 1_000)
    assert large.problem is None
    assert len(large.records) == 10
    (warning,) = [warning for warning in large.warnings if warning.code == "quote_open"]
    assert (warning.row, warning.line) == (11, 12)


def test_oddities_have_row_and_line():
    (warning,) = look((rows(4) + "5,short row here,one too many\n").encode()).warnings
    assert (warning.code, warning.row, warning.line) == ("long_row", 5, 6)


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", NoRows), (b"only,header\n", NoRows), (b"PK\x03\x04" + b"\0" * 200, NotText)],
)
def test_what_cannot_be_shown_is_an_error(data, error):
    with pytest.raises(error):
        look(data)


def test_too_little_of_a_file_is_not_taken_for_the_whole():
    data = rows(20_000).encode()
    with pytest.raises(LimitExceeded, match="longer than what was sent"):
        look(data, 1_000)
    with pytest.raises(LimitExceeded, match="longer than what was sent"):
        look(b"id,body\n1," + b"endless words " * 100_000)
    with pytest.raises(LimitExceeded, match="columns"):
        preview(data, n_bytes=len(data), overrides=Overrides(), max_columns=1)


def test_an_impossible_option_is_told():
    with pytest.raises(BadOption):
        look(rows(3).encode(), delimiter="xyz")


@pytest.mark.parametrize("grows", [False, True])
def test_the_number_of_rows_lies_within_the_range(grows):
    data = "id,body\n" + "".join(
        f"{n},{'word ' * (1 + n % 7 if not grows else 1 + n // 4_000)}\n" for n in range(40_000)
    )
    found = look(data.encode()).rows
    assert found.low < found.high
    if not grows:  # a head says nothing of a file that changes later
        assert found.low <= 40_000 <= found.high
        assert found.high < 1.3 * found.low


def test_rows_of_which_few_fit_into_the_head_are_estimated_too():
    data = ("id,body\n" + "".join(f"{n},{'word ' * 6_000}\n" for n in range(100, 200))).encode()
    found = look(data)
    assert len(found.records) == 8
    assert found.rows.low <= 100 <= found.rows.high <= 110
