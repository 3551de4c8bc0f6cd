"""The files that other CSV projects test with: rows counted right, or a warning, or a clear error."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.errors import InputError
from core.table import choose_text_column
from tests.core.table.reading import read_upload

FILES = Path(__file__).parents[4] / "shared" / "data" / "csv"
MANIFEST = FILES / "MANIFEST.tsv"

# Where a clear error is one of the answers that the manifest allows, and the one we give.
REFUSED = {"frictionless/table.csv.zip", "frictionless/table.xlsx", "commons-csv/csv-141.csv"}

pytestmark = pytest.mark.skipif(not MANIFEST.exists(), reason="../shared/data/csv is not there")


def cases() -> list[dict[str, str]]:
    if not MANIFEST.exists():
        return [{"file": "none"}]
    with MANIFEST.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["file"])
def test_as_expected(case: dict[str, str]) -> None:
    expected, outcome = case["expected_rows"], case["expected_outcome"]
    data = (FILES / case["file"]).read_bytes()
    if outcome == "clear error" or case["file"] in REFUSED:
        with pytest.raises(InputError) as caught:
            read_upload(data)
        assert caught.value.next_step
        assert "error" in outcome
        return
    table = read_upload(data)
    if "warning" in outcome and table.fmt.n_columns < 9_000:
        assert table.codes
    if expected and len(table.rows) != int(expected):
        # Only where it is said, and never without the line.
        assert "warning" in outcome
        assert any(warning.line for warning in table.warnings) or "comment_line" in table.codes
    if outcome.startswith("parse ok") and expected:
        assert table.fmt.has_header == (case["header_rows"] == "1") or "no_header" in table.codes
    if case["text_column"]:
        assert choose_text_column(table.fmt, table.rows, None).name == case["text_column"]
