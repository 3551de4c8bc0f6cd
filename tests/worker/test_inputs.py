"""Workbooks, Parquet and JSON lines, uploaded and labelled; and those that were made to harm."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from core.errors import LimitExceeded, NotText
from core.states import JobState
from core.table import Overrides
from tests.fixtures import Installation
from worker.conversion.supervise import environment


def workbook(fill: Callable[[Any], None]) -> bytes:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        fill(book)
    return made.getvalue()


def labelled(installation: Installation, data: bytes, **request: Any) -> list[list[str]]:
    job_id = installation.accept(data, **request)
    installation.run()
    status = installation.status(job_id)
    assert status.state is JobState.COMPLETED, status.error
    return list(csv.reader(io.StringIO(installation.csv(job_id).decode(), newline="")))


def refused(installation: Installation, data: bytes, **request: Any) -> dict[str, Any]:
    """The error of a job that is made of this file, and fails."""
    job_id = installation.accept(data, **request)
    installation.run()
    status = installation.status(job_id)
    assert status.state is JobState.FAILED
    assert status.error
    return status.error


def reviews(book: Any) -> None:
    day, moment, hours = (
        book.add_format({"num_format": form}) for form in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm", "[h]:mm")
    )
    book.add_worksheet("notes").write(0, 0, "read me, please")
    sheet = book.add_worksheet("reviews")
    sheet.write_row(2, 1, ["id", "text", "when", "value"])
    sheet.write_row(3, 1, ["007", "what a fine day", "", 0.1 + 0.2])
    sheet.write_row(4, 1, [12.0, "", "", 1e20])
    sheet.write_string(4, 2, "=1+1 is no formula here, is it")
    sheet.write_datetime(3, 3, dt.datetime(2024, 5, 1), day)
    sheet.write_datetime(4, 3, dt.datetime(2024, 5, 1, 13, 45), moment)
    sheet.write_string(6, 2, "after an\nempty row")
    sheet.write_datetime(6, 3, dt.timedelta(hours=30, minutes=5), hours)
    sheet.write_boolean(6, 4, True)
    sheet.write_string(9, 1, "   ")
    sheet.write_blank(12, 2, None, day)


EXPECTED = [
    ["id", "text", "when", "value"],
    ["007", "what a fine day", "2024-05-01", "0.3"],
    ["12", "=1+1 is no formula here, is it", "2024-05-01T13:45:00", "100000000000000000000"],
    ["", "", "", ""],
    ["", "after an\nempty row", "30:05:00", "TRUE"],
    ["", "", "", ""],
    ["", "", "", ""],
    ["   ", "", "", ""],
]


@pytest.mark.parametrize("sheet", ["reviews", "2"])
def test_a_workbook_is_labelled_by_what_its_cells_show(installation: Installation, sheet: str):
    data = workbook(reviews)
    job_id = installation.accept(data, filename="r.xlsx", overrides=Overrides(sheet=sheet))
    before = installation.status(job_id)
    assert before.format
    assert (before.format["source"], before.format["sheet"]) == ("xlsx", sheet)
    installation.run()
    status = installation.status(job_id)
    assert (status.state, status.error) == (JobState.COMPLETED, None)
    table = list(csv.reader(io.StringIO(installation.csv(job_id).decode(), newline="")))
    assert [row[:4] for row in table] == EXPECTED
    assert [row[-2] for row in table[1:4]] == ["ok", "ok", "empty"]
    assert status.format
    assert status.format["sheet"] == "reviews"
    assert status.text_column["name"] == "text"


def test_the_first_sheet_with_cells_is_read_and_the_others_are_named(installation: Installation):
    def fill(book: Any) -> None:
        book.add_worksheet("empty")
        hidden = book.add_worksheet("hidden")
        hidden.write_row(0, 0, ["text", "x"])
        hidden.hide()
        sheet = book.add_worksheet("table")
        sheet.write_column(0, 0, ["text", "a fine day", "a bad day"])
        sheet.write(200, 0, "")

    job_id = installation.accept(workbook(fill))
    installation.run()
    status = installation.status(job_id)
    assert (status.state, status.rows_total) == (JobState.COMPLETED, 2)
    said = {warning["code"]: warning for warning in status.warnings}
    assert "'empty', 'hidden'" in said["other_sheets"]["message"]


def test_rows_of_a_sheet_are_named_by_their_place_in_it(installation: Installation):
    job_id = installation.accept(workbook(reviews), overrides=Overrides(sheet="reviews"))
    installation.run()
    from core.results import ResultOptions, Results

    found = Results(installation.web_db, installation.storage).open(installation.account_id, job_id, ResultOptions())
    lines = [json.loads(line) for line in b"".join(found.jsonl()).splitlines()]
    assert [(line["row"], line["line"]) for line in lines[:4]] == [(1, 4), (2, 5), (3, 6), (4, 7)]


def test_an_unknown_sheet_or_column_is_told_with_those_there_are(installation: Installation):
    data = workbook(reviews)
    error = refused(installation, data, overrides=Overrides(sheet="sales"))
    assert error["code"] == "unknown_sheet"
    assert "1 'notes', 2 'reviews'" in error["next_step"]
    error = refused(installation, data, overrides=Overrides(sheet="2"), text_column="body")
    assert error["code"] == "unknown_column"
    assert "'text'" in error["next_step"]


TYPES = pa.table(
    {
        "text": ["what a fine day", None, "=1+1, so to say"],
        "n": pa.array([1, None, 3], pa.int32()),
        "x": [0.5, 3.0, None],
        "ok": [True, False, None],
        "day": [dt.date(2024, 5, 1)] * 3,
        "at": pa.array([dt.datetime(2024, 5, 1, 13, 45, 0, 500_000)] * 3, pa.timestamp("us", tz="UTC")),
        "here": pa.array([dt.datetime(2024, 5, 1, 11, 45, 0, 250_000)] * 3, pa.timestamp("us", tz="Europe/Berlin")),
        "ns": pa.array([1_700_000_000_000_000_001] * 3, pa.timestamp("ns")),
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "tags": [["x", "ü"], [], None],
        "deep": [{"a": b"\xff", "b": [1.5]}, None, {"a": None, "b": []}],
        "raw": [b"caf\xc3\xa9", b"\xff", None],
        "money": pa.array([1, 2, 3], pa.int64()).cast(pa.decimal128(21, 2)),
        "void": pa.nulls(3),
    }
)


def parquet(table: pa.Table, **options: Any) -> bytes:
    made = io.BytesIO()
    pq.write_table(table, made, **options)
    return made.getvalue()


def test_parquet_is_labelled_with_its_values_as_text(installation: Installation):
    table = labelled(installation, parquet(TYPES, row_group_size=2), filename="t.parquet")
    rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    assert [row["text"] for row in rows] == ["what a fine day", "", "=1+1, so to say"]
    first = rows[0]
    assert (first["n"], first["ok"], first["day"]) == ("1", "true", "2024-05-01")
    assert (first["at"], first["ns"]) == ("2024-05-01T13:45:00.5Z", "2023-11-14T22:13:20.000000001")
    assert first["here"] == "2024-05-01T13:45:00.25+02:00"
    assert (float(first["x"]), first["deep"]) == (0.5, r'{"a": "\\xff", "b": [1.5]}')
    assert (first["kind"], first["tags"], first["raw"], first["money"]) == ("a", '["x", "ü"]', "café", "1.00")
    assert (rows[1]["tags"], rows[1]["raw"], rows[2]["tags"]) == ("[]", "\\xff", "")
    assert {row["void"] for row in rows} == {""}
    assert [row["row_status"] for row in rows] == ["ok", "empty", "ok"]


def test_a_time_zone_that_nobody_knows_is_told_in_utc(installation: Installation):
    moments = pa.array([dt.datetime(2024, 5, 1, 11, 45)], pa.timestamp("s", tz="Mars/Olympus"))
    table = labelled(installation, parquet(pa.table({"text": ["a fine day"], "at": moments})))
    assert table[1][1] == "2024-05-01T11:45:00Z"


def test_json_lines_are_labelled_and_late_keys_kept(installation: Installation):
    objects = [{"id": n, "text": f"a fine day, number {n}"} for n in range(20_000)]
    objects[15_000]["late"] = {"a": 1}
    data = "".join(json.dumps(one) + "\n" for one in objects).encode()
    job_id = installation.accept(gzip.compress(data), filename="r.jsonl.gz")
    installation.run(chunk_records=1000)
    table = list(csv.reader(io.StringIO(installation.csv(job_id).decode(), newline="")))
    assert [row[0] for row in table[1:]] == [str(n) for n in range(20_000)]
    assert table[15_001][7:8] + table[15_001][9:] == ["ok: ragged", '{"late": "{\\"a\\": 1}"}']
    (warning,) = installation.status(job_id).warnings
    assert (warning["code"], warning["row"], warning["line"]) == ("long_row", 15_001, 15_001)


def test_a_broken_line_costs_one_row(installation: Installation):
    good = b'{"text": "a fine day"}\n'
    job_id = installation.accept(good * 20_000 + b'{"text": \n' + good, filename="r.jsonl")
    installation.run()
    status = installation.status(job_id)
    assert (status.rows_ok, status.rows_skipped, status.rows_failed) == (20_001, 1, 0)
    assert [(found["code"], found["row"], found["line"]) for found in status.warnings] == [
        ("no_object", 20_001, 20_001),
        ("long_row", 20_001, 20_001),
    ]
    row = list(csv.reader(io.StringIO(installation.csv(job_id).decode(), newline="")))[20_001]
    assert (row[0], row[6], row[8]) == ("", "empty", '{"text": ')


def test_lines_most_of_which_are_no_objects_fail_the_job_by_their_place(installation: Installation):
    good = b'{"text": "a fine day"}\n'
    error = refused(installation, good * 20_000 + b'{"text": \n' * 20_001)
    assert (error["row"], error["line"]) == (40_001, 40_001)
    assert "not one JSON object" in error["what"]


def test_a_converted_file_comes_back_as_a_workbook(installation: Installation):
    from python_calamine import CalamineWorkbook

    from core.results import ResultOptions, Results

    job_id = installation.accept(workbook(reviews), filename="r.xlsx", overrides=Overrides(sheet="2"))
    installation.run()
    found = Results(installation.web_db, installation.storage).open(installation.account_id, job_id, ResultOptions())
    assert found.stem == "r.labelled"
    book = CalamineWorkbook.from_filelike(io.BytesIO(b"".join(found.files.xlsx().blocks())))
    rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert [row[:4] for row in rows][1:3] == EXPECTED[1:3]


# --- made to harm ---------------------------------------------------------------------------------------------------


def repacked(change: Callable[[dict[str, bytes]], None], **info: Any) -> bytes:
    """The workbook with some of its parts changed."""
    with zipfile.ZipFile(io.BytesIO(workbook(reviews))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return made.getvalue()


def bomb() -> bytes:
    filler = b"<row><c><v>1</v></c></row>" * 1_500_000
    return repacked(lambda parts: parts.update({"xl/worksheets/sheet9.xml": filler}))


def lying_bomb() -> bytes:
    """A member that says it has ten bytes, and has forty million."""
    data = bytearray(bomb())
    at = data.index(b"PK\x01\x02", data.index(b"xl/worksheets/sheet9.xml", data.index(b"PK\x01\x02")) - 50)
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(data)


def entities() -> bytes:
    text = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>'
    )
    return repacked(lambda parts: parts.update({"xl/sharedStrings.xml": text}))


def many_members() -> bytes:
    return repacked(lambda parts: parts.update({f"xl/media/{n}": b"" for n in range(10_001)}))


def locked() -> bytes:
    data = bytearray(workbook(reviews))
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 8] |= 1
    return bytes(data)


def sparse() -> bytes:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "text")
        sheet.write(1_048_575, 16_383, "far away")

    return workbook(fill)


def damaged() -> bytes:
    return repacked(lambda parts: parts.update({"xl/workbook.xml": b"<workbook><sheets><sheet"}))


def absurd_metadata() -> bytes:
    data = parquet(TYPES)
    return data[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"


def nonsense_metadata() -> bytes:
    data = bytearray(parquet(TYPES))
    (length,) = struct.unpack("<I", data[-8:-4])
    at = len(data) - 8 - length
    data[at : at + length] = zlib.compress(bytes(length * 9))[:length].ljust(length, b"\x77")
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (bomb, "times its size"),
        (lying_bomb, ""),
        (entities, "XML entities"),
        (many_members, "parts"),
        (locked, "password"),
        (sparse, "of memory"),
        (damaged, "damaged"),
        (lambda: workbook(reviews)[:-30], "cut off"),
        (lambda: b"PK\x03\x04xl/" + b"\0" * 5000, "cut off"),
        (absurd_metadata, "describes itself"),
        (nonsense_metadata, ""),
        (lambda: parquet(TYPES)[:-4], "cut off"),
        (lambda: parquet(TYPES)[:-4] + b"PARE", "encrypted"),
        (lambda: b"PAR1" + b"\0" * 100, "cut off"),
    ],
)
def test_a_hostile_file_gets_one_clear_error(installation: Installation, make: Callable[[], bytes], said: str):
    error = refused(installation, make())
    assert error["code"] in ("input_error", "limit_exceeded", "no_rows", "no_text_column")
    assert said in error["what"]
    assert error["next_step"]
    assert [entry.key for entry in installation.storage.list() if "canonical" in entry.key] == []


def test_an_encrypted_workbook_is_refused_at_once(installation: Installation):
    with pytest.raises(NotText, match="password"):
        installation.accept(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000))


def test_a_container_has_limits_of_its_own(installation: Installation):
    installation.settings = installation.settings.model_copy(update={"max_container_bytes": 5_000})
    with pytest.raises(LimitExceeded, match="5,000"):
        installation.accept(workbook(reviews) + bytes(5_000))


def test_a_file_that_takes_over_a_library_finds_no_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@h/d")
    monkeypatch.setenv("EMOBATCH_SECRET_KEY", "secret")
    assert "secret" not in repr(environment())


def test_a_library_that_is_not_installed_is_named(installation: Installation, monkeypatch: pytest.MonkeyPatch):
    without = (
        "import sys, runpy; sys.modules['pyarrow'] = None; runpy.run_module('worker.conversion', None, '__main__')"
    )
    monkeypatch.setattr("worker.conversion.supervise.COMMAND", ("-c", without))
    error = refused(installation, parquet(TYPES))
    assert "pyarrow is not installed" in error["what"]


def test_a_conversion_that_takes_too_long_is_ended(installation: Installation):
    job_id = installation.accept(workbook(reviews))
    installation.run(convert_s=0)
    error = installation.status(job_id).error
    assert error
    assert "seconds" in error["what"]
