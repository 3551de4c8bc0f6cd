"""What comes out: every cell of the input, and the added columns in their place."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import BadOption, EncodingFailed, UnclosedQuote
from core.results.files import CsvFile
from core.table import OutputLayout, TableWriter
from tests.core.table.reading import read, table_format

TOP = ("emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags")
LAYOUTS = [
    ({}, TOP),
    ({"scores": "none"}, ("emotion", "emotions", "sentiment", "row_status", "flags")),
    ({"scores": "all", "labels": ["joy", "fear"]}, (*TOP, "score_joy", "score_fear")),
    ({"taxonomy": "sentiment"}, ("sentiment", "sentiment_score", "row_status", "flags")),
    ({"taxonomy": "sentiment", "scores": "none"}, ("sentiment", "row_status", "flags")),
    ({"taxonomy": "goemotions"}, TOP),
]


@pytest.mark.parametrize(("options", "columns"), LAYOUTS)
def test_added_columns(options: dict, columns: tuple[str, ...]) -> None:
    layout = OutputLayout(["id", "text"], **options)
    assert layout.columns == columns
    assert layout.header() == ["id", "text", *columns]


def test_clashing_names_get_a_number() -> None:
    layout = OutputLayout(["emotion", "sentiment", "sentiment_2", "Emotions"])
    assert layout.names == (
        "emotion_2",
        "emotion_score",
        "emotions",
        "sentiment_3",
        "sentiment_score",
        "row_status",
        "flags",
    )
    assert layout.columns == TOP


def test_a_number_may_clash_with_another_added_column() -> None:
    layout = OutputLayout(["score_joy"], scores="all", labels=["joy", "joy_2"])
    assert layout.names[-2:] == ("score_joy_2", "score_joy_2_2")


def test_unknown_scores_are_no_option() -> None:
    with pytest.raises(BadOption):
        OutputLayout(["text"], scores="some")


ROWS = {
    "full": (["a", "b"], ["a", "b", "X", "Y"]),
    "short": (["a"], ["a", "", "X", "Y"]),
    "long": (["a", "b", "c", "d"], ["a", "b", "X", "Y", "c", "d"]),
}


@pytest.mark.parametrize(("cells", "row"), ROWS.values(), ids=ROWS)
def test_rows(cells: list[str], row: list[str]) -> None:
    assert OutputLayout(["id", "text"]).row(cells, ["X", "Y"]) == row


CELLS = st.text('a,;\t|"\n\r é\x00\x0b\u2028\ufeff', max_size=6)
ROW_LISTS = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6)


@given(rows=ROW_LISTS, delimiter=st.sampled_from(",;\t|"), line_end=st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=500, deadline=None)
def test_any_cells_come_back(rows: list[list[str]], delimiter: str, line_end: str) -> None:
    fmt = table_format(delimiter=delimiter, line_end=line_end)
    data = TableWriter(fmt).write(rows)
    # A character that looks like a byte order mark at the very start is one, to every reader.
    if not data.startswith(b"\xef\xbb\xbf"):
        assert read(data, fmt).rows == rows
    assert list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter)) == rows


@given(text=st.text('a,"\n\r;é\x00\x0b\u2028 ', max_size=60), line_end=st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=500, deadline=None)
def test_what_was_read_is_read_again_after_writing(text: str, line_end: str) -> None:
    for quoting in (True, False):
        fmt = table_format(line_end=line_end, quoting=quoting)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), **fmt.reader_args) if row]
        layout = OutputLayout(fmt.header)
        added = ["joy", "0.9", "joy|love", "positive", "0.8", "ok"]
        data = TableWriter(fmt).write([layout.row(row, added) for row in rows])
        assert read(data, fmt).rows == [layout.row(row, added) for row in rows]


ADDED = [("joy", "ok", ""), ("joy;sad", "x,", ""), ("", '"a" b', ""), ("", "x\r", "\ny")]


@given(
    text=st.text('a,"\n\r;é\x00\x0b\u2028 ', max_size=60),
    delimiter=st.sampled_from([",", ";", ""]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.booleans(),
    added=st.sampled_from(ADDED),
)
@settings(max_examples=1000, deadline=None)
def test_rows_of_the_headers_width_keep_their_bytes(text, delimiter, line_end, quoting, added) -> None:
    fmt = table_format(delimiter=delimiter, line_end=line_end, quoting=quoting)
    try:
        records = read(text.encode(), fmt, 7).records
    except UnclosedQuote:
        assume(False)
    assume(records)
    layout = OutputLayout(fmt.header, taxonomy="sentiment", scores="none")
    written = CsvFile(fmt, layout).write(records, [added] * len(records))
    is_quoted = quoting or not delimiter
    blanks = dict.fromkeys(map(ord, f"{delimiter}\r\n"), " ")
    said = added if is_quoted else tuple(cell.translate(blanks) for cell in added)
    again = table_format(5, delimiter=delimiter or ",", line_end=line_end, quoting=is_quoted)
    assert read(written, again).rows == [layout.row(record.cells, said) for record in records]
    if delimiter:
        at = 0
        for record in records:
            own = (record.data or b"").rstrip(b"\r\n")
            if len(record.cells) == 2:
                at = written.index(own + delimiter.encode(), at) + len(own)
                assert record.data in text.encode()


def test_quotes_that_need_not_be_stay_in_rows_that_need_no_change() -> None:
    fmt = table_format(delimiter=";")
    records = read(b'"a";b\n"short"\n"a ""b""";"two\nlines"\na;b;"long"\n"no";end', fmt).records
    written = CsvFile(fmt, OutputLayout(fmt.header, taxonomy="sentiment", scores="none")).write(
        records, [("good", "ok", "")] * 5
    )
    assert written == (
        b'"a";b;good;ok;\nshort;;good;ok;\n"a ""b""";"two\nlines";good;ok;\na;b;good;ok;;long\n"no";end;good;ok;\n'
    )


def test_dialect_of_the_input() -> None:
    fmt = table_format(delimiter=";", line_end="\r\n")
    assert TableWriter(fmt).write([["a;b", 'c"d', "e,f"], [""]]) == b'"a;b";"c""d";e,f\r\n""\r\n'


def test_a_file_of_one_column_becomes_one_of_commas() -> None:
    fmt = table_format(1, delimiter="")
    assert TableWriter(fmt).write([["a, b", "joy"], ["c", "joy"]]) == b'"a, b",joy\nc,joy\n'


def test_a_file_of_one_column_whose_quotes_are_ordinary_keeps_its_commas() -> None:
    fmt = table_format(1, delimiter="", quoting=False)
    assert TableWriter(fmt).write([['the 19" one, twice', "joy"]]) == b'"the 19"" one, twice",joy\n'


def test_quotes_that_are_ordinary_characters_stay_so() -> None:
    fmt = table_format(delimiter="|", quoting=False)
    data = TableWriter(fmt).write([['"a', 'b"c"', "joy|love", "failed:\nx"]])
    assert data == b'"a|b"c"|joy love|failed: x\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp932", "iso2022_jp_2"])
def test_the_encoding_of_the_input(encoding: str) -> None:
    writer = TableWriter(table_format(encoding=encoding), encoding="same")
    data = writer.write([["id", "本文"]]) + writer.write([["1", "箱"]])
    assert data == "id,本文\n1,箱\n".encode(encoding)
    assert TableWriter(table_format(encoding=encoding)).write([["箱"]]) == "箱\n".encode()


def test_a_character_that_the_encoding_lacks_names_its_row() -> None:
    writer = TableWriter(table_format(encoding="cp1252"), encoding="same")
    with pytest.raises(EncodingFailed, match="'Ж'") as caught:
        writer.write([["é", "ok"], ["Ж", "ok"]], first_row=7)
    assert caught.value.row == 8
    with pytest.raises(EncodingFailed, match="'Ж'") as caught:
        writer.write_behind([b"a,b\n", "ж,Ж\n".encode().replace("ж".encode(), b"c")], [["ok"], ["ok"]], first_row=7)
    assert caught.value.row == 8


def test_unknown_encodings_are_no_option() -> None:
    with pytest.raises(BadOption):
        TableWriter(table_format(), encoding="klingon")
