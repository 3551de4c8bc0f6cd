"""What a file is taken to be: a table of small files, as people and programs write them."""

from __future__ import annotations

import csv
import gzip
import itertools
import json

import pytest

from core.errors import BadOption, EncodingFailed, NoRows, NotText, RecordTooLong
from core.table import CheckResult, Format, Overrides, detect
from core.table.delimiter import parse
from tests.core.table.reading import check_of, format_of, read_upload, source_of

TABLE = [
    ["id", "text", "score"],
    ["1", "Great, I love it; really", "4,5"],
    ["2", 'She said "no"\nand left', "1,0"],
    ["3", "", "3,5"],
    ["4", "a\tb|c", "2,5"],
]


def written(rows: list[list[str]], delimiter: str, line_end: str) -> str:
    def cell(value: str) -> str:
        quoted = any(character in value for character in (delimiter, '"', "\n"))
        return '"' + value.replace('"', '""') + '"' if quoted else value

    return "".join(delimiter.join(map(cell, row)) + line_end for row in rows)


@pytest.mark.parametrize("pack", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("header", [True, False], ids=["header", "no header"])
@pytest.mark.parametrize(
    ("delimiter", "line_end", "encoding"),
    list(itertools.product(",;\t|", ["\n", "\r\n", "\r"], ["utf-8", "utf-8-sig", "utf-16", "cp1252"])),
)
def test_every_combination(delimiter: str, line_end: str, encoding: str, header: bool, pack: bool) -> None:
    rows = [*TABLE, ["5", "très bien – déjà réservé", "5,0"]]
    data = written(rows if header else rows[1:], delimiter, line_end).encode(encoding)
    table = read_upload(gzip.compress(data) if pack else data)
    fmt = table.fmt
    assert table.rows == rows[1:]
    assert (fmt.delimiter, fmt.line_end, fmt.encoding, fmt.has_header) == (delimiter, line_end, encoding, header)
    assert fmt.header == (("id", "text", "score") if header else ("column_1", "column_2", "column_3"))
    assert fmt.compression == ("gzip" if pack else None)
    assert fmt.needs_canonical == (pack or not encoding.startswith("utf-8"))
    assert table.codes == ({"encoding_guessed"} if encoding == "cp1252" else set()) | (
        set() if header else {"no_header"}
    )


DELIMITERS = {
    "decimal commas": ("city;value;share\na;1,5;2,25\nb;2,5;3,75\nc;3,0;1,25\n", ";"),
    "decimal commas, no header": ("1,5;2,5;3,1;4,0\n2,5;3,5;4,1;5,0\n", ";"),
    "a comma in every text": ("id;text\n1;Hello, world\n2;Yes, but\n3;Well, no\n", ";"),
    "a comma in every text, tabs, no header": ("1\tHello, world\n2\tYes, but\n3\tWell, no\n", "\t"),
    "lists in a cell": ("id,tags,text\n1,a|b,x\n2,c|d,y\n3,e|f,z\n", ","),
    "a comma in every text, tabs, no header, no numbers": ("Ann\tHello, world\nBob\tYes, but\n", "\t"),
    "lists in a cell of ragged rows": ("who,tags,text\n" + "x,a|b,y\n" * 5 + "x,c|d\n" * 5, ","),
    "lists in a cell, no header": ("1,a|b\n2,c|d\n3,e|f\n", ","),
    "delimiters within quotes": ('id|text\n1|"a|b|c"\n2|"d|e"\n', "|"),
    "ragged": ("a,b,c\n1,27,,x\n,y\n0,z,17\n", ","),
    "broken lines": ("a,b,c\n1,cat\ndog,c\n3,b,c\n", ","),
    "comments among the rows": ("A,B,C\n# x\na,b,c\n# y\nd,e,f\n# z\n", ","),
    "a title above": ("Report 2026\n" + "a,b,c\n" + "1,2,x\n" * 9, ","),
    "one short record": ("a;b\n", ";"),
    "one column": ("text\nHello\nWorld\n", ""),
    "one column, quoted": ('text\n"Hello, world"\n"a; b"\n', ""),
    "one column of prose": ("text\nHello, world\nGood, bad, ugly\nFine\nYes; no\nWell, no, maybe, yes\n", ""),
    "one column of prose, comma first": ("I came, I saw\nGreat!\nYes, indeed, it is\nNo; never\n", ""),
    "one word": ("text\nword", ""),
    "HTML entities": ("id,text\n1,a &amp; b\n2,c &lt; d\n3,e\n", ","),
    "SQL export without quotes": ("1\tabc\t\\N\n2\tde, f\t\\N\n", "\t"),
}


@pytest.mark.parametrize(("text", "delimiter"), DELIMITERS.values(), ids=DELIMITERS)
def test_delimiter(text: str, delimiter: str) -> None:
    fmt = format_of(text.encode(), has_header=False)
    assert fmt.delimiter == delimiter


def test_one_column_that_may_be_several_is_said() -> None:
    text = "# title\na,b,c\n1,2,3\n# more\n# more\nx,y,z\n"
    assert {"delimiter_doubtful", "comment_line"} <= {warning.code for warning in format_of(text.encode()).warnings}
    prose = b"text\nHello, world\nGood, bad, ugly\nFine\n"
    assert format_of(prose).warnings == ()


HEADERS = {
    "numbers below words": ("a,b\n1,2\n3,4\n", True),
    "numbers everywhere": ("1,2\n3,4\n5,6\n", False),
    "dates below words": ("when,who\n2024-01-01,ann\n2024-02-01,bob\n", True),
    "a date on top": ("2024-01-01 10:00,so good\n2024-02-01 11:00,so bad\n", False),
    "flags below numbers": ("id,100022,100025\nid1,TRUE,FALSE\nid2,TRUE,TRUE\n", True),
    "years": ("country,2010,2011\nFrance,3.5,4.1\nSpain,2.5,3.2\n", True),
    "years under no known name": ("Gebiet,2010,2011\nNord,3.5,4.1\nWest,2.5,3.2\n", True),
    "a year and a text": ("2010,so good\n2011,so bad\n2012,fine\n", False),
    "e-mail addresses": ("ann@example.com,so good\nbob@example.com,so bad\n", False),
    "known names over texts": ("text,label\nI love it,pos\nI hate it,neg\n", True),
    "labels that come again": ("I love it,joy\nI hate it,anger\nI like it,joy\n", False),
    "a sentence in one column": ("I really love this thing\nTerrible\nNot for me\n", False),
    "a question of a survey": ("What did you like most about it?\nThe food\nThe staff\n", True),
    "questions and times": ("Timestamp,How was it?\n1/2/2024 10:00:00,Good\n1/3/2024 11:00:00,Bad\n", True),
    "a sentence with a full stop": ("It is so good.,fine\nIt is so bad.,poor\n", False),
    "names that say nothing": ("alpha,beta\nfoo,bar\nbaz,qux\n", True),
    "names over several lines": ('"text\n(free)",id\nfoo,1\nbar,2\n', True),
    "the same header twice": ("alpha,beta\nfoo,bar\nalpha,beta\nbaz,qux\n", True),
    "empty cells on top": (",,\nfoo,bar,1\nbaz,qux,2\n", True),
    "one record of numbers": ("1,2,3\n", False),
    "names in other languages": ("Kommentar;Datum\ngut;gestern\nschlecht;heute\n", True),
}


@pytest.mark.parametrize(("text", "has_header"), HEADERS.values(), ids=HEADERS)
def test_header(text: str, has_header: bool) -> None:
    fmt = format_of(text.encode())
    assert fmt.has_header == has_header
    assert has_header or "no_header" in {warning.code for warning in fmt.warnings}


def test_header_can_be_overridden() -> None:
    assert read_upload(b"1,2\n3,4\n", has_header=True).rows == [["3", "4"]]
    assert read_upload(b"a,b\n3,4\n", has_header=False).rows == [["a", "b"], ["3", "4"]]


def test_an_assumed_header_is_said() -> None:
    assert [warning.code for warning in format_of(b"alpha,beta\nfoo,bar\nbaz,qux\n").warnings] == ["header_assumed"]


HEADER_WARNINGS = {
    "blank": (b"id,,age\n1,a,2\n", "blank_header", "column 2"),
    "repeated": (b"id,name,id\n1,a,2\n", "duplicate_header", "'id'"),
    "of another width": (b"id,name\n1,a,2\n2,b,3\n3,c,4\n", "header_width", "2 cells"),
}


@pytest.mark.parametrize(("data", "code", "said"), HEADER_WARNINGS.values(), ids=HEADER_WARNINGS)
def test_odd_headers_are_said(data: bytes, code: str, said: str) -> None:
    (warning,) = format_of(data).warnings
    assert (warning.code, warning.line) == (code, 1)
    assert said in warning.message


QUOTING = {
    "none": ("a\tb\n1\tx\n", True),
    "enclosing": ('a\tb\n1\t"x\ty"\n2\t"z"\n', True),
    "PostgreSQL TEXT": ('1\t"quoted"\t\\N\n2\tx\\ny\tz\n', False),
    "lone quotes between tabs": ('a\tb\n1\t"so good\n2\tfine\n', False),
    "quoted starts between tabs": ('a\tb\n1\t"Yes" she said\n2\tfine\n', False),
    "inches between tabs": ('a\tb\n1\t5" long\n2\tfine\n', True),
    "a text of two lines that split alike": ('id,text\n1,"Great\nI like it, thanks"\n2,x\n', True),
    "many lone quotes between commas": ('id,text\n1,"so good\n2,"so bad\n3,"so so\n4,x\n', False),
    "JSON in cells": ('id,text\n1,["a"]\n2,\n', True),
}


@pytest.mark.parametrize(("text", "quoting"), QUOTING.values(), ids=QUOTING)
def test_quoting(text: str, quoting: bool) -> None:
    fmt = format_of(text.encode())
    assert fmt.quoting == quoting
    assert ("literal_quotes" in {warning.code for warning in fmt.warnings}) == (not quoting)


def test_quoting_can_be_overridden() -> None:
    data = b'id,text\n1,"a\n2,b\n'
    assert read_upload(data, quoting=False).rows == [["1", '"a'], ["2", "b"]]
    assert read_upload(b'a\tb\n1\t"x"\n2\t\\N\n', quoting=True).rows == [["1", "x"], ["2", "\\N"]]


def test_excel_separator_line_is_obeyed_and_no_record() -> None:
    table = read_upload("\ufeffsep=|\r\nid|text\r\n1|a,b;c\r\n".encode())
    assert (table.fmt.delimiter, table.fmt.header, table.rows) == ("|", ("id", "text"), [["1", "a,b;c"]])
    assert table.records[0].line == 3


EMPTY = {
    "zero bytes": b"",
    "a line end": b"\n",
    "blank lines": b"\r\n\r\n\n",
    "a mark": b"\xef\xbb\xbf",
    "a header": b"id,text\n",
    "a header and blank lines": b"id,text\n\n\n",
    "a gzip of nothing": gzip.compress(b""),
    "UTF-16 of nothing": b"\xff\xfe",
}


@pytest.mark.parametrize("data", EMPTY.values(), ids=EMPTY)
def test_no_rows(data: bytes) -> None:
    with pytest.raises(NoRows):
        format_of(data)


def test_one_row_is_enough() -> None:
    assert read_upload(b"id,text\n1,a").rows == [["1", "a"]]
    assert read_upload(b"I really love this thing").rows == [["I really love this thing"]]
    assert read_upload(b"id,text\n", has_header=False).rows == [["id", "text"]]


def test_only_the_head_is_read() -> None:
    data = b"id,text\n" + b"1,plain text\n" * 100_000
    asked: list[tuple[int, int]] = []

    def source(start: int, length: int) -> bytes:
        asked.append((start, length))
        return data[start : start + length]

    check = check_of(data, 1 << 20)
    assert detect(source, check, Overrides()).header == ("id", "text")
    assert sum(length for _, length in asked) < 300_000
    # The head is cut somewhere within a row: that row is not counted as ragged, or as the end of the file.
    assert detect(source, check, Overrides()).warnings == ()


def test_the_last_record_of_a_head_may_be_cut() -> None:
    lines = ["a,b\n", 'c,"d\n']
    assert [record.cells for record in parse(lines, ",", True, complete=False)] == [["a", "b"]]
    assert [record.cells for record in parse(lines, ",", True, complete=True)] == [["a", "b"], ["c", "d\n"]]


def test_a_head_cut_within_a_character_is_no_damage() -> None:
    for shift in range(3):
        data = ("id,text\n" + "x" * shift + "1,とても良い商品です\n" * 20_000).encode()
        assert format_of(data).encoding == "utf-8"
        assert format_of(data.decode().encode("cp932")).encoding == "cp932"


def test_a_first_record_longer_than_the_head() -> None:
    header = ",".join(f"column {number}" for number in range(30_000))
    assert format_of(f"{header}\n{header}\n".encode(), has_header=True).n_columns == 30_000
    long = '"' + "long text, " * 60_000 + '"'
    table = read_upload(f"id,text\n1,{long}\n2,x\n".encode())
    assert [row[0] for row in table.rows] == ["1", "2"]


def test_a_first_record_without_end() -> None:
    with pytest.raises(RecordTooLong):
        format_of(b'"' + b"text, " * 1_000_000)


def test_binary_behind_a_wrong_check_is_refused_too() -> None:
    data = b"%PDF-1.7\n" * 100
    check = CheckResult("", len(data), None, len(data), True)
    with pytest.raises(NotText):
        detect(source_of(data), check, Overrides())


def test_a_format_survives_json() -> None:
    fmt = format_of("\ufeffid;;id\n1;é;x\n".encode("utf-16"))
    assert fmt.warnings
    assert Format.from_dict(json.loads(json.dumps(fmt.to_dict()))) == fmt


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (",", ","),
        ("tab", "\t"),
        ("\\t", "\t"),
        ("TAB", "\t"),
        ("pipe", "|"),
        ("none", ""),
        ("^", "^"),
        ("\x01", "\x01"),
    ],
)
def test_delimiter_names(given: str, kept: str) -> None:
    assert Overrides(delimiter=given).delimiter == kept


@pytest.mark.parametrize("given", ['"', "\n", "\r", "\0", ",,", "é", "commas", "x", "1"])
def test_impossible_delimiters(given: str) -> None:
    with pytest.raises(BadOption):
        Overrides(delimiter=given)


def test_delimiter_can_be_overridden() -> None:
    data = b"a;b,c\n1;2,3\n"
    assert read_upload(data, delimiter=",", has_header=True).rows == [["1;2", "3"]]
    assert read_upload(data, delimiter="none", has_header=True).rows == [["1;2,3"]]


def test_overrides_that_contradict_the_bytes_are_errors() -> None:
    with pytest.raises(EncodingFailed):
        format_of(b"id,text\n1,\xe9\n", encoding="utf-8")


def test_a_cell_longer_than_what_csv_takes_by_default() -> None:
    csv.field_size_limit(131_072)  # as in a process that has read nothing yet
    table = read_upload(b"id,text,page\n" + b"".join(b"%d,good day,%s\n" % (n, b"x" * 200_000) for n in range(3)))
    assert [row[:2] for row in table.rows] == [[str(n), "good day"] for n in range(3)]
