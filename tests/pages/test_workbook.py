"""A workbook through the upload page and through the command line: one of its sheets comes back labelled."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from emobatch.cli import main

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

REVIEWS = [
    ["007", "I love this so much, thank you!"],
    ["8", 'I miss her every day, "truly",\nand I cannot stop crying.'],
    ["9", "=1+1 is what I am furious about!"],
    ["", ""],
    ["11", "The parcel weighs two kilograms."],
]
SAID = ["joy", "sadness", "anger", "", "neutral"]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "customers.xlsx"
    with xlsxwriter.Workbook(str(path)) as made:
        notes = made.add_worksheet("notes")
        notes.write_column(0, 0, ["read this first, please", "nothing of interest is here"])
        sheet = made.add_worksheet("what they wrote")
        for at, row in enumerate([["number", "text"], *REVIEWS], start=2):
            for column, cell in enumerate(row):
                sheet.write_string(at, column, cell)
    return path


def cells(path: Path) -> list[list[str]]:
    """Of a workbook's first sheet, as text."""
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    return [[str(cell) for cell in row] for row in rows]


def expect_labelled(rows: list[list[str]]) -> None:
    assert rows[0][:4] == ["number", "text", "emotion", "emotion_score"]
    assert [row[:2] for row in rows[1:]] == REVIEWS
    assert [row[2] for row in rows[1:]] == SAID


def test_a_sheet_goes_in_and_comes_back_as_a_workbook_and_as_csv(page, keep, book, tmp_path):
    page.set_input_files("#file", book)
    expect(page.locator("#preview .notice")).to_contain_text("looked at once it is uploaded")
    expect(page.locator("#preview [role=alert]")).to_have_count(0)
    page.click(".options summary")
    page.fill("#sheet", "what they wrote")
    keep(page, "workbook")
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    expect(page.get_by_text("what they wrote")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "customers.labelled.csv"
    expect_labelled(list(csv.reader(io.StringIO(download.value.path().read_text(), newline=""))))
    page.click("summary:has-text('Other formats')")
    with page.expect_download() as download:
        page.get_by_role("button", name="Excel workbook").click()
    assert download.value.suggested_filename == "customers.labelled.xlsx"
    download.value.save_as(tmp_path / "page.xlsx")
    expect_labelled(cells(tmp_path / "page.xlsx"))


def test_a_sheet_that_is_not_there_is_told_on_the_jobs_page(page, book):
    page.set_input_files("#file", book)
    page.click(".options summary")
    page.fill("#sheet", "sales")
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Failed"), timeout=60_000)
    expect(page.locator("#live [role=alert]")).to_contain_text("1 'notes', 2 'what they wrote'")


def test_the_command_line_writes_a_workbook_from_a_workbook(local_stack, book, tmp_path, capfd):
    server = ["--server", local_stack.url, "--token", local_stack.token]
    assert main(["label", str(book), "--sheet", "2", "-o", str(tmp_path / "out.xlsx"), *server]) == 0
    assert "sheet 'what they wrote'" in capfd.readouterr().err
    expect_labelled(cells(tmp_path / "out.xlsx"))
    assert main(["label", str(book), "--sheet", "2", *server]) == 0
    expect_labelled(list(csv.reader(io.StringIO((tmp_path / "customers.labelled.csv").read_text(), newline=""))))
