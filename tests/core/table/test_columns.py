"""The column that is classified, and the records it is chosen by."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from core.errors import NoTextColumn, UnclosedQuote, UnknownColumn
from core.table import choose_text_column, preview
from tests.core.table.reading import format_of, read_upload, source_of, table_format

GUESSES = {
    "by name": ("id,author,review,rating\n1,Ann Example,Good,5\n2,Bob Example-Longer,Bad,1\n", "review"),
    "by a part of the name": ("id,customerFeedback,name\n1,Good,Ann Example\n2,Bad,Bob Example\n", "customerFeedback"),
    "by name in German": ("Nr;Name;Kommentar\n1;Ann Example;gut\n2;Bob Example;schlecht\n", "Kommentar"),
    "by name with an accent": ("id,nombre,reseña\n1,Ann Example,bueno\n2,Bob Example,malo\n", "reseña"),
    "by name in Russian": ("id,имя,отзыв\n1,Анна Примерова,да\n2,Борис Примеров,нет\n", "отзыв"),
    "by name in Chinese": ("编号,作者,评论\n1,某某某某某,好\n2,某某某某某,坏\n", "评论"),
    "not what is about a text": ("review_id,comment count,body\nabc def,x y z w,Good\nghi jkl,x y z,Bad\n", "body"),
    "not who wrote it": (
        "comment author,customer feedback\nAnn Example-Longer,Good\nBob Other,Bad\n",
        "customer feedback",
    ),
    "not a name over numbers": ("text,words\n1,Good one\n2,Bad one\n", "words"),
    "the longest of two names": ("summary,review\nGood,It was good\nBad,It was bad\n", "review"),
    "the longest words": ("a,b,c\n1,Ann,It was good\n2,Bob,It was bad\n", "c"),
    "not addresses": ("a,b\nhttps://example.com/some/long/path,good\nhttps://example.com/other,bad\n", "b"),
    "not long numbers": ("a,b\n2024-01-01 10:00:00,good\n2024-01-02 10:00:00,bad\n", "b"),
    "one column": ("words\nGood\nBad\n", "words"),
    "cells that are mostly empty": ("id,notes\n1,\n2,Good\n3,\n4,NULL\n", "notes"),
    "answers that are mostly numbers": ("a,b\n1,5\n2,better not say\n3,5\n", "b"),
    "text without spaces": ("id,val1,val2\n1,とても良い商品です,v\n2,箱が壊れていました,v\n", "val1"),
}


@pytest.mark.parametrize(("text", "name"), GUESSES.values(), ids=GUESSES)
def test_guess(text: str, name: str) -> None:
    table = read_upload(text.encode())
    column = choose_text_column(table.fmt, table.rows, None)
    assert (column.name, column.guessed) == (name, True)
    assert table.fmt.header[column.index] == name
    assert column.reason


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,3\n4,5,6\n",
        "when,where\n2024-01-01,https://example.com\n",
        "a,b\n1,2\n3,x\n5,6\n",
        "text,n\n,1\n,2\n",
    ],
)
def test_no_column_of_words(text: str) -> None:
    table = read_upload(text.encode())
    with pytest.raises(NoTextColumn, match="1 '"):
        choose_text_column(table.fmt, table.rows, None)


NAMED = {
    "a name": ("b", 1),
    "a number": ("3", 2),
    "a name that is a number": ("1", 3),
    "a name with spaces": (" b ", 4),
}


@pytest.mark.parametrize(("named", "index"), NAMED.values(), ids=NAMED)
def test_named(named: str, index: int) -> None:
    fmt = table_format(header=("a", "b", "c", "1", " b ", "b"), has_header=True)
    column = choose_text_column(fmt, [], named)
    assert (column.index, column.name, column.guessed) == (index, fmt.header[index], False)


@pytest.mark.parametrize("named", ["d", "0", "7", "-1", "", "B", "²"])
def test_unknown_column_lists_those_there_are(named: str) -> None:
    fmt = table_format(header=("a", "b", "c", "1", " b ", "b"), has_header=True)
    with pytest.raises(UnknownColumn, match="1 'a', 2 'b', 3 'c'"):
        choose_text_column(fmt, [], named)


def test_many_columns_are_not_all_listed() -> None:
    with pytest.raises(UnknownColumn) as caught:
        choose_text_column(table_format(9_000), [], "x")
    assert len(str(caught.value)) < 1000


def test_short_rows_have_no_cell_to_look_at() -> None:
    assert choose_text_column(table_format(2), [["1"], ["2", "good"]], None).index == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp932"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_preview_is_the_first_records(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    rows = "".join(f"{number},とても良い商品です\n" for number in range(50_000))
    data = pack(("id,text\n" + rows).encode(encoding))
    fmt = format_of(data)
    records = preview(source_of(data), fmt, 3)
    assert [record.cells for record in records] == [[str(number), "とても良い商品です"] for number in range(3)]
    many = preview(source_of(data), fmt, 10**9)
    assert 3 < len(many) < 50_000
    assert {record.cells[1] for record in many} == {"とても良い商品です"}  # the one that the head cuts is left out


def test_preview_of_a_short_file_is_all_of_it() -> None:
    data = b"id,text\n1,a\n2,b"
    assert [record.cells for record in preview(source_of(data), format_of(data))] == [["1", "a"], ["2", "b"]]


def test_preview_leaves_out_the_record_that_the_head_cuts() -> None:
    data = b"id,text\n1,a\n" + b'2,"' + b"long\n" * 100_000 + b'"\n3,b\n'
    assert [record.row for record in preview(source_of(data), format_of(data))] == [1]


def test_preview_says_when_a_short_file_is_not_closed() -> None:
    data = b'id,text\n1,a\n2,"b\n'
    with pytest.raises(UnclosedQuote):
        preview(source_of(data), format_of(data))
