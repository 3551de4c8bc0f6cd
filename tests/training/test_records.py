"""The record of a run, and the page of all runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from training.records import RECORDS, epochs_of, read_records
from training.runs import main, page

LOG = [
    {"loss": 0.5, "epoch": 0.5, "step": 5},
    {"loss": 0.3, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.35, "eval_macro_f1": 0.2, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.3, "eval_macro_f1": 0.25, "epoch": 2.0, "step": 20},
    {"train_runtime": 4.0, "epoch": 2.0},
]


def test_epochs_of_a_log() -> None:
    assert epochs_of(LOG) == [
        {"epoch": 1.0, "dev_loss": 0.35, "train_loss": 0.4, "macro_f1": 0.2},
        {"epoch": 2.0, "dev_loss": 0.3, "macro_f1": 0.25},
    ]


def test_the_command_keeps_a_record_and_draws_it(tiny_model: Path, tmp_path: Path) -> None:
    records, out = tmp_path / "records", tmp_path / "out"
    assert main(["--add", str(tiny_model), "--records", str(records), "--out", str(out)]) == 0
    record = json.loads((records / "tiny.json").read_text())
    assert record["recipe"]["runs"][0]["seed"] == 1
    assert len(record["runs"][0]["epochs"]) == 40
    assert record["data"]["train_rows"] == 30
    assert record["recipe"]["base"] == "base0", "of a folder only its name is kept"
    written = (out / "runs.md").read_text()
    assert "| tiny | base0 | 2 | 0.005 | 40 | 8 |" in written
    assert (out / "runs" / "tiny.svg").read_text().count("<path") > 10
    first = (out / "runs" / "tiny.svg").read_bytes()
    assert main(["--records", str(records), "--out", str(out)]) == 0
    assert (out / "runs" / "tiny.svg").read_bytes() == first, "the same record draws the same file"


def test_a_folder_without_a_record_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--add", str(tmp_path), "--records", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "no training record" in capsys.readouterr().err


def test_the_page_in_docs_is_of_the_records_beside_the_code() -> None:
    docs = Path(__file__).parents[2] / "docs" / "model" / "runs.md"
    assert docs.read_text() == page(read_records(RECORDS)), "python -m training.runs writes it again"


def test_records_name_no_place() -> None:
    for record in read_records():
        assert not Path(record["recipe"]["base"]).is_absolute()
        assert not {"host", "hostname", "user"} & set(record["machine"])
