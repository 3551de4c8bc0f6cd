"""The files that results come in: each one read back by another program's reader, cell by cell."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from core.results import ResultOptions, Results
from core.results.files import WorkbookFile, workbook
from core.table import OutputLayout, Record
from tests.fakes import NullScorer
from tests.fixtures import Installation

CELLS = [
    "007",
    "=1+1",
    "-5",
    "  ",
    "héllo ☃ 😀",
    'a "quoted", cell',
    "two\nlines",
    "a\rb",
    "\x01\x0b",
    "_x0041_",
    "<b>&",
]
HEADER = "id,text,id,"


def refuse(text: str) -> None:
    if "bad" in text:
        raise RuntimeError("no")


@pytest.fixture
def job_id(installation: Installation) -> uuid.UUID:
    """Fifteen rows: cells that are hard to carry, a short row, a long one, an empty one and one that fails."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADER.split(","))
    writer.writerows([str(n), "fine day", cell, ""] for n, cell in enumerate(CELLS))
    writer.writerows([["s", "short"], ["l", "long one", "", "", "over", "and over"], ["e", "", "", ""]])
    writer.writerow(["f", "bad", "", ""])
    made = installation.accept(out.getvalue().encode())
    installation.run(NullScorer(refuse), chunk_records=4)
    return made


def opened(installation: Installation, job_id: uuid.UUID, **options: str):
    results = Results(installation.web_db, installation.storage)
    return results.open(installation.account_id, job_id, ResultOptions.parse(**options))


def lines(results: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(results.jsonl()).splitlines()]


@pytest.mark.parametrize("scores", ["none", "top", "all"])
def test_parquet_says_what_the_lines_of_json_say_in_types(installation, job_id, scores):
    results = opened(installation, job_id, scores=scores)
    table = pq.read_table(io.BytesIO(b"".join(results.files.parquet().blocks())))
    types = {field.name: str(field.type) for field in table.schema}
    assert types["row"] == types["line"] == "int64"
    assert types["id"] == types["id_2"] == types["column_4"] == types["emotion"] == types["row_status"] == "string"
    assert types["emotions"] == types["flags"] == types["overflow"] == "list<element: string>"
    assert {kind for name, kind in types.items() if "score" in name} == ({"double"} if scores != "none" else set())
    for found, line in zip(table.to_pylist(), lines(results), strict=True):
        cells, overflow = line.pop("cells"), line.pop("overflow", None)
        said = line.pop("scores", {})
        assert {name: found[name] for name in ("id", "text", "id_2", "column_4")} == {
            name: cells.get(name) for name in ("id", "text", "id_2", "column_4")
        }
        assert found["overflow"] == overflow
        assert line.pop("text") == (found["text"] or "")
        expected = line | {f"score_{label}": score for label, score in said.items()}
        if scores == "none":
            expected = {name: value for name, value in expected.items() if not name.endswith("_score")}
        assert {name: found[name] for name in expected} == expected


def test_parquet_comes_in_row_groups_as_rows_come(installation, job_id, monkeypatch):
    monkeypatch.setattr("core.results.files.parquet_file.GROUP_ROWS", 4)
    blocks = list(opened(installation, job_id).files.parquet().blocks())
    assert len(blocks) > 3
    read = pq.ParquetFile(io.BytesIO(b"".join(blocks)))
    assert read.num_row_groups == 4
    assert read.read().column("row").to_pylist() == list(range(1, 16))


def sheets(data: bytes) -> dict[str, list[list[Any]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}


def test_a_workbook_holds_the_table_as_text_and_its_scores_as_numbers(installation, job_id):
    results = opened(installation, job_id)
    data = b"".join(results.files.xlsx().blocks())
    (rows,) = sheets(data).values()
    exact = list(csv.reader(io.StringIO(b"".join(results.csv()).decode(), newline="")))
    scores = [at for at, name in enumerate(exact[0]) if name.endswith("_score")]
    spelt = str.maketrans({"\r": "\n"})  # what the reader makes of it
    for found, row in zip(rows, exact, strict=True):
        for at, cell in enumerate(row):
            if at in scores and row is not exact[0]:
                assert found[at] == (float(cell) if cell else "")
            elif "\x01" not in cell and "_x0041_" not in cell:
                assert str(found[at]).translate(spelt) == cell.translate(spelt)
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert made.testzip() is None
        xml = made.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in xml
    assert "hyperlink" not in xml
    assert "_x0001__x000B_" in xml
    assert "_x005F_x0041_" in xml


def test_a_workbook_has_further_sheets_when_one_is_full(installation, job_id, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_ROWS", 7)
    found = sheets(b"".join(opened(installation, job_id).files.xlsx().blocks()))
    assert list(found) == ["labelled", "labelled 2", "labelled 3"]
    assert [len(rows) for rows in found.values()] == [7, 7, 4]
    assert len({tuple(rows[0][:11]) for rows in found.values()}) == 1


def test_a_cell_that_excel_cannot_hold_is_cut_and_says_so(installation: Installation):
    long = "😀word " * 6_000
    job_id = installation.accept(f"id,text\n1,{'x' * 32_767}\n2,{long}\n".encode())
    installation.run()
    found = sheets(b"".join(opened(installation, job_id).files.xlsx().blocks()))
    whole, cut = found["labelled"][1][1], found["labelled"][2][1]
    assert whole == "x" * 32_767
    assert len(cut.encode("utf-16-le")) // 2 <= 32_767
    kept, _, note = cut.partition(" … ")
    assert long.startswith(kept)
    assert note == "[cut: 42,000 characters]"
    assert found["cut cells"] == [["row", "column", "characters"], ["2", "text", "42000"]]


def test_the_same_results_are_the_same_bytes(installation, job_id):
    for form in ("csv", "spreadsheet", "jsonl", "parquet", "xlsx"):
        first, second = (b"".join(getattr(opened(installation, job_id).files, form)().blocks()) for _ in range(2))
        assert first == second, form


# What XML can carry in one way only; the reader turns the other line end into this one.
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=2, max_size=2), max_size=8))
def test_any_text_comes_back_out_of_a_workbook(rows: list[list[str]]):
    writer = WorkbookFile(OutputLayout(["a", "b"], scores="none", taxonomy="sentiment"))
    records = [Record(n, n + 1, 0, 0, cells) for n, cells in enumerate(rows, start=1)]
    data = writer.begin() + writer.write(records, [["positive", "ok", ""]] * len(rows)) + writer.end()
    (found,) = sheets(data).values()
    plain = [[*cells, "positive", "ok", ""] for cells in rows if not any("_x" in c for c in cells)]
    if len(plain) == len(rows):
        assert found[1:] == plain
