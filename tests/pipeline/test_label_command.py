"""`emobatch label` on files of every kind: rows counted right, or a warning, or a clear error; never a traceback."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from emobatch.cli import main

SUITES = Path(__file__).parents[3] / "shared" / "data" / "csv"

JAPANESE = "番号,本文\n1,とても楽しかったです。また行きたいと思います。\n2,残念でした。二度と行きません。\n"


def workbook(*rows: list[object]) -> bytes:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    return made.getvalue()


def parquet(**columns: list[object]) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.table(columns), made)
    return made.getvalue()


# name → bytes, options, rows expected (None: an error), a word that stdout or stderr must hold
CASES: dict[str, tuple[bytes, list[str], int | None, str]] = {
    "plain": (b"id,text\n1,good day\n2,bad day\n", [], 2, "text"),
    "semicolon": ("id;kommentar\r\n1;schön, wirklich\r\n2;nicht gut\r\n".encode("cp1252"), [], 2, "cp1252"),
    "tab": (b"id\ttext\n1\tso, so\n2\tfine\n", [], 2, "tab"),
    "pipe": (b"id|text\n1|one, two\n2|three\n", [], 2, ""),
    "old Mac": (b"id,text\r1,good day\r2,bad day\r", [], 2, ""),
    "newline in a cell": (b'id,text\n1,"good\nday"\n2,fine\n', [], 2, ""),
    "BOM": ("\ufeffid,text\n1,größer\n".encode(), [], 1, "utf-8-sig"),
    "UTF-16": ("id,text\n1,größer als\n".encode("utf-16"), [], 1, "utf-16"),
    "Shift-JIS": (
        "番号,本文\n1,とても楽しかったです。また行きたいと思います。\n2,残念でした。二度と行きません。\n".encode(
            "cp932"
        ),
        [],
        2,
        "cp932",
    ),
    "gzip": (gzip.compress(b"id,text\n1,good day\n"), [], 1, ""),
    "no header": (
        b"1,I was there and it was good,2026-01-01\n2,Never going there again,2026-01-02\n",
        ["--no-header"],
        2,
        "",
    ),
    "ragged": (b"id,text,n\n1,good\n2,bad day,3,4,5\n", [], 2, "row"),
    "blank lines": (b"text\n\ngood day\n\n\nbad day\n\n", [], 2, ""),
    "NUL": (b"id,text\n1,go\x00od day\n2,bad day\n", [], 2, "NUL"),
    "column by number": (b"a,b\nx y,z w\n", ["--text-column", "2"], 1, "b"),
    "clashing column": (b"text,emotion\ngood day,mine\n", [], 1, ""),
    "JSON lines": (b'{"id": 1, "text": "good day"}\n{"text": "bad day", "id": 2}\n', [], 2, "JSON lines"),
    "workbook": (workbook(["id", "text"], [1, "good day"], [2, "bad day"]), [], 2, "workbook"),
    "Parquet": (parquet(id=[1, 2], text=["good day", "bad day"]), [], 2, "Parquet"),
    "no such sheet": (workbook(["text"], ["good day"]), ["--sheet", "sales"], None, "Sheet1"),
    "workbook cut off": (workbook(["text"], ["good day"])[:-9], [], None, "cut off"),
    "workbook of nothing": (workbook(), [], None, "cell"),
    "two cells far apart": (workbook(["text"], *[[]] * 1_048_574, [*[""] * 16_383, "far away"]), [], None, "memory"),
    "Parquet cut off": (parquet(text=["good day"])[:-3], [], None, "cut off"),
    "a broken line of JSON": (b'{"text": "good day"}\n{"text": \n', [], 2, "line 2"),
    "not JSON": (b'{"text": "good day"}\n{"text": \n{"tex', [], None, "line 3"),
    "UTF-8 with a byte that is none": ("text\n«très bien», déjà vu\nça va".encode() + b"\xff\n", [], 2, "line 3"),
    "a character that is cut": (b"text\n" + "本当に良い商品です\n".encode("cp932") * 20 + b"\x8a\n", [], 21, "line 22"),
    "unclosed quote": (b'id,text\n1,"never closed\n2,fine\n', [], None, "line 2"),
    "empty": (b"", [], None, "empty"),
    "header only": (b"id,text\n", [], None, "row"),
    "numbers only": (b"a,b\n1,2\n3,4\n", [], None, "column"),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, [], None, "PNG"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000), [], None, "Office"),
    "no such column": (b"id,text\n1,x y\n", ["--text-column", "body"], None, "body"),
    "no such encoding": (b"id,text\n1,x y\n", ["--encoding", "klingon"], None, "klingon"),
}


@pytest.fixture
def label(local_stack, tmp_path, capfd, monkeypatch):
    """Runs `emobatch label` on bytes: exit code, rows out or None, and all that was said."""
    monkeypatch.setenv("EMOBATCH_SERVER", local_stack.url)
    monkeypatch.setenv("EMOBATCH_TOKEN", local_stack.token)

    def run(source: Path, *options: str) -> tuple[int, list[list[str]] | None, str, dict]:
        target = tmp_path / "out.csv"
        code = main(["label", str(source), "-o", str(target), "--json", *options])
        out, err = capfd.readouterr()
        found = json.loads(out)["job"] if out.strip() else {}
        rows = None
        if target.exists():
            form = found.get("format") or {}
            text = target.read_bytes().decode()
            quoting = csv.QUOTE_MINIMAL if form.get("quoting", True) else csv.QUOTE_NONE
            delimiter = form.get("delimiter") or ","
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting))
        assert "Traceback" not in out + err
        return int(code), rows, out + err, found

    return run


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_kind_of_file(label, tmp_path, case):
    data, options, expected, word = CASES[case]
    source = tmp_path / "in.csv"
    source.write_bytes(data)
    code, rows, said, _ = label(source, *options)
    assert word in said
    if expected is None:
        assert (code, rows) == (2, None)
    else:
        assert code == 0
        assert rows is not None
        assert len(rows) == expected + 1
        status = rows[0].index("row_status")
        assert all(row[status] for row in rows), "every row has a status"


def manifest() -> list[dict[str, str]]:
    path = SUITES / "MANIFEST.tsv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.skipif(not manifest(), reason="the conformance suites are not at hand")
@pytest.mark.parametrize("entry", manifest(), ids=lambda entry: entry["file"])
def test_the_conformance_suites(label, entry):
    source = SUITES / entry["file"]
    code, rows, said, found = label(source)
    if code == 2 and "Name the text column" in said:  # no words in it: the user names a column
        code, rows, said, found = label(source, "--text-column", "1")
    outcome = entry["expected_outcome"]
    if code == 2:
        assert "error" in outcome
        assert rows is None
        assert said.strip()
        return
    assert code == 0
    assert outcome != "clear error"
    assert rows is not None
    counted = entry["expected_rows"] in ("", str(len(rows) - 1))
    assert counted or found["warnings"], "neither the rows expected nor a warning"
    if "should report a warning" in outcome:
        assert found["warnings"]
