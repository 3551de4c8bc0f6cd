"""Two hundred cells that attack whoever opens a file, opened by LibreOffice: none is computed or leads anywhere.

What `tests/core/table/test_inert.py` holds against rules is held here against the program itself. It needs `soffice`
(Debian: libreoffice-calc-nogui), and is skipped where that is missing.
"""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from core.results.files import SpreadsheetFile, WorkbookFile
from core.results.files.base import FileWriter
from core.table import OutputLayout, Record
from core.table.inert import inert
from tests.core.table.reading import table_format
from tests.core.table.test_inert import PAYLOADS

OFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(OFFICE is None, reason="needs LibreOffice: apt-get install libreoffice-calc-nogui")

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
CSV_OF_ANY_KIND = "CSV:44/59/9/124,34,76,1,,0,false,true,false,false,false,0,true"
"""All delimiters that people try, UTF-8, formulas are computed: the worst that can be chosen."""
CUT = "two;=1+1\tcells,=1+1"
"""A cell that is taken apart at whatever is taken for the delimiter."""


def written(writer: FileWriter, payloads: list[str]) -> bytes:
    records = [Record(n, n, 0, 0, [cell, CUT]) for n, cell in enumerate(payloads, start=1)]
    return writer.begin() + writer.write(records, [["positive", cell, ""] for cell in payloads]) + writer.end()


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> dict[str, ElementTree.Element]:
    """By name, files as LibreOffice has them once they are open."""
    folder = tmp_path_factory.mktemp("office")
    layout = OutputLayout(["=id", "text"], taxonomy="sentiment", scores="none")
    for name, delimiter in {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}.items():
        fmt = replace(table_format(delimiter=delimiter), header=("=id", "text"))
        (folder / f"{name}.csv").write_bytes(written(SpreadsheetFile(fmt, layout), PAYLOADS))
    plain = io.StringIO(newline="")
    csv.writer(plain).writerows([payload] for payload in PAYLOADS)
    (folder / "plain.csv").write_text(plain.getvalue(), encoding="utf-8", newline="")
    (folder / "book.xlsx").write_bytes(written(WorkbookFile(layout), PAYLOADS))
    convert(folder, sorted(folder.glob("*.csv")), f"--infilter={CSV_OF_ANY_KIND}")
    convert(folder, [folder / "book.xlsx"])
    return {path.stem: ElementTree.parse(path).getroot() for path in folder.glob("*.fods")}


def convert(folder: Path, files: list[Path], *options: str) -> None:
    assert OFFICE
    command = [OFFICE, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", "fods"]
    subprocess.run([*command, *options, "--outdir", folder, *files], check=True, capture_output=True, timeout=120)


def live(root: ElementTree.Element) -> Iterator[str]:
    """What of a document is computed, fetched or followed."""
    for element in root.iter():
        if formula := element.get(f"{TABLE}formula"):
            yield formula
        if element.tag in (f"{TEXT}a", f"{TABLE}dde-link", f"{TABLE}dde-links", f"{TABLE}cell-range-source"):
            yield element.tag


def texts(root: ElementTree.Element) -> list[str]:
    """What is seen in each cell that has something in it; spaces and line ends aside."""
    cells = ("".join(cell.itertext()) for cell in root.iter(f"{TABLE}table-cell"))
    return ["".join(cell.split()) for cell in cells if cell]


def test_without_what_we_do_they_are_live(opened):
    assert len(list(live(opened["plain"]))) >= 20, "else the next test shows nothing"


@pytest.mark.parametrize("name", ["comma", "semicolon", "tab", "pipe", "book"])
def test_no_cell_is_live(opened, name):
    assert list(live(opened[name])) == []


@pytest.mark.parametrize("name", ["comma", "semicolon", "tab", "pipe", "book"])
def test_all_of_them_are_there_to_be_read(opened, name):
    seen = texts(opened[name])
    expected = PAYLOADS if name == "book" else map(inert, PAYLOADS)
    assert [cell for cell in expected if "".join(cell.split()) not in seen] == []
