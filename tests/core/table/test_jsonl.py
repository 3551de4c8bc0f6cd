"""JSON lines as a table: every value as it is written, and a place for what comes late."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadOption, InputError, NoRows, NotText, RecordTooLong
from core.preview import PREVIEW_BYTES, preview
from core.table import Overrides, WarningCounter
from core.table.jsonl import MAX_LINE_BYTES, JsonLines, fields, header_of
from tests.core.table.reading import check_of, format_of, in_blocks, read_upload

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


def as_cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=4), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_objects_become_rows_and_nothing_is_lost(objects: list[dict[str, object]], end: str):
    data = end.join(json.dumps(one, ensure_ascii=False) for one in objects).encode()
    header = header_of(json.dumps(one) for one in objects)
    if not header:
        return
    lines = JsonLines(header, WarningCounter())
    out = b"".join(lines.feed(block) for block in in_blocks(data, 3, 7)) + lines.finish()
    table = list(csv.reader(io.StringIO(out.decode(), newline="")))
    assert table[0] == list(header)
    assert [dict(zip(header, row, strict=True)) for row in table[1:]] == [
        {name: as_cell(one.get(name)) for name in header} for one in objects
    ]


def test_values_stay_as_they_are_written():
    line = '{"a": 1.10, "b":1e5, "c": 1234567890123456789.0, "d": {"x" : [1, 2]}, "e": true, "f": null, "g": "\\n"}'
    assert list(fields(line).values()) == ["1.10", "1e5", "1234567890123456789.0", '{"x" : [1, 2]}', "true", "", "\n"]


def test_keys_that_come_late_are_kept_as_an_overflow_and_warned_of():
    lines = JsonLines(["id", "text"], WarningCounter())
    out = lines.feed(b'{"id": 1, "text": "a"}\n\n{"text": "b", "late": [1], "id": "x"}\n{}\n') + lines.finish()
    assert list(csv.reader(io.StringIO(out.decode(), newline=""))) == [
        ["id", "text"],
        ["1", "a"],
        [],
        ["x", "b", '{"late": "[1]"}'],
        ["", ""],
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"a": 1', "breaks off"),
        (b'{"a": 1}{"a": 2}', "something follows"),
        (b"[1]", "does not begin with {"),
        (b'{"a" 1}', "no colon"),
        (b'{"a": tru}', "expecting value"),
        (b"{1: 2}", "not in quotes"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"a,b,c", "does not begin with {"),
    ],
)
def test_a_line_that_is_no_object_is_named(line: bytes, said: str):
    lines = JsonLines(["a"], WarningCounter())
    with pytest.raises(InputError, match=said) as refused:
        lines.feed(b"\n" + line + b"\n")
    assert (refused.value.row, refused.value.line) == (1, 2)
    with pytest.raises(InputError, match=said) as refused:
        JsonLines(["a"], WarningCounter()).feed(b'{"a": 1}\n\n' + (line + b"\n") * 2)
    assert (refused.value.row, refused.value.line) == (3, 4)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_broken_line_costs_one_row_and_is_kept(end: bytes):
    odd = WarningCounter()
    out = JsonLines(["id", "text"], odd).feed(
        end.join([b'{"id": 1, "text": "a"}', b'{"id": 2, "te', b"", b'{"id": 3}', "[é]".encode(), b""])
    )
    assert list(csv.reader(io.StringIO(out.decode(), newline="")))[1:] == [
        ["1", "a"],
        ["", "", '{"id": 2, "te'],
        [],
        ["3", ""],
        ["", "", "[é]"],
    ]
    (warning,) = odd.found()
    assert (warning.code, warning.count, warning.row, warning.line, warning.lines) == ("no_object", 2, 2, 2, (2, 5))


def test_a_line_without_an_end_is_not_collected_for_ever():
    lines = JsonLines(["a"], WarningCounter())
    lines.feed(b'{"a": "' + b"x" * (MAX_LINE_BYTES - 100))
    with pytest.raises(RecordTooLong) as refused:
        lines.feed(b"x" * 100)
    assert refused.value.line == 1


def test_half_a_surrogate_pair_is_replaced_and_warned_of():
    odd = WarningCounter()
    out = JsonLines(["a"], odd).feed(b'{"a": "\\ud83d\\ude00 \\ud83d"}\n')
    assert out.decode().splitlines()[1] == "😀 \ufffd"
    assert [warning.code for warning in odd.found()] == ["surrogates"]


OBJECTS = [{"id": n, "text": f"a fine day, number {n}", "tags": ["x"]} for n in range(1, 40)]
FILE = "".join(json.dumps(one) + "\n" for one in OBJECTS).encode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_objects_is_told_by_its_beginning(packed: bool, encoding: str):
    data = FILE.decode().encode(encoding)
    if encoding == "utf-16" and packed:
        return
    data = gzip.compress(data) if packed else data
    given = {"source": "jsonl"} if encoding == "utf-16" else {}  # whose first bytes say nothing of JSON
    table = read_upload(data, **given)
    found, records = table.fmt, table.records
    assert (found.source, found.header, found.needs_canonical) == ("jsonl", ("id", "text", "tags"), True)
    assert [(record.row, record.line) for record in records] == [(n, n) for n in range(1, 40)]
    assert records[3].cells == ["4", "a fine day, number 4", '["x"]']


def test_the_head_is_shown_before_the_file_is_sent():
    data = FILE * 200
    found = preview(data[:PREVIEW_BYTES], n_bytes=len(data), overrides=Overrides())
    assert found.text_column is not None
    assert found.text_column.name == "text"
    assert found.problem is None
    assert [record.cells[0] for record in found.records[:39]] == [str(n) for n in range(1, 40)]
    assert found.rows.low <= len(OBJECTS) * 200 <= found.rows.high


def test_broken_lines_are_told_before_the_file_is_sent():
    data = FILE + b"nonsense\n" + FILE * 200
    found = preview(data[:PREVIEW_BYTES], n_bytes=len(data), overrides=Overrides())
    assert found.problem is None
    assert found.records[39].cells == ["", "", "", "nonsense"]
    assert [(warning.code, warning.line) for warning in found.warnings] == [("no_object", 40), ("long_row", 40)]
    data = FILE + b"nonsense\n" * 10_000
    found = preview(data[:PREVIEW_BYTES], n_bytes=len(data), overrides=Overrides())
    assert found.problem is not None
    assert (found.problem.line, len(found.records)) == (79, 78)


def test_what_the_user_says_counts_more():
    data = b'{"a": 1}\n{"a": 2}\n'
    table = read_upload(data, source="csv", has_header=False)
    assert table.fmt.source == "csv"
    assert len(table.records) == 2
    with pytest.raises(BadOption):
        check_of(data, source="parquet")


def test_what_is_no_table_of_objects_is_refused():
    with pytest.raises(NotText, match="JSON array"):
        check_of(b'[{"a": 1}]')
    with pytest.raises(NoRows):
        format_of(b"{}\n{}\n")
    with pytest.raises(InputError) as refused:
        format_of(b'{\n  "a": 1\n}\n', source="jsonl")
    assert refused.value.line == 1
