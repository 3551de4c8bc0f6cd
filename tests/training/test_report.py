"""The report on a tiny model: what it writes, that its numbers are those of evaluation, and the levers' page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
from core.model_directory import ModelDirectory
from tests.training.conftest import ROWS
from training import neutral, report
from training.baselines import fit_words, majority_logits, words_logits
from training.data import read_corpus
from training.evaluate import evaluate
from training.recalibrate import main as recalibrate
from training.report_page import shown, table


def test_a_report_says_what_evaluation_says(tiny_model: Path, data: Path, film: Path, tmp_path: Path) -> None:
    where = ["--model", str(tiny_model), "--data", str(data), "--domain", str(film), "--out", str(tmp_path)]
    assert report.main(where) == 0
    folder = tmp_path / "tiny"
    found = json.loads((folder / "report.json").read_text())
    corpus = read_corpus(data)
    expected = evaluate(ModelDirectory.load(tiny_model), corpus.dev, cross_fit=True)
    for key, value in found["figures"].items():
        if value and key != "n":
            assert value[0] == pytest.approx(expected[key], abs=1e-4), key
    assert [row["n"] for row in found["labels"]["goemotions"]] == corpus.dev.gold.sum(axis=0).tolist()
    assert found["slices"]["also in train, case aside"]["n"] == len(ROWS)
    assert found["slices"]["not in train"]["n"] == 0
    lengths = [part["n"] for name, part in found["slices"].items() if "words" in name]
    assert sum(lengths) == len(ROWS)
    assert 0 < found["domains"]["film"]["n"] < 7
    written = (folder / "report.md").read_text()
    for plot in ("confusion", "reliability", "precision-recall-ekman", "precision-recall-sentiment", "labels"):
        assert f"({plot}.svg)" in written
        assert "</svg>" in (folder / f"{plot}.svg").read_text()
    first = (folder / "confusion.svg").read_bytes()
    assert report.main(where) == 0
    assert (folder / "confusion.svg").read_bytes() == first


def test_baselines_know_only_train(data: Path) -> None:
    train = read_corpus(data).train
    said = majority_logits(train, 3)
    assert (said.argmax(axis=1) == train.gold.sum(axis=0).argmax()).all()
    assert (said > 0).sum() == 3
    logits = words_logits(fit_words(train), ["so furious, I hate it", "great lovely happy"])
    assert logits.shape == (2, 5)
    assert logits[0, 0] > logits[1, 0]
    assert logits[1, 2] > logits[0, 2]


def test_a_model_of_other_labels_is_refused(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert report.main(["--data", str(data), "--out", str(tmp_path)]) == 2
    assert "other labels" in capsys.readouterr().err


def test_the_levers_are_priced(tiny_model: Path, data: Path, film: Path, tmp_path: Path) -> None:
    where = ["--model", str(tiny_model), "--data", str(data), "--domain", str(film), "--out", str(tmp_path)]
    assert neutral.main([*where, "--with", str(tiny_model)]) == 0
    lines = (tmp_path / "tiny" / "neutral.md").read_text().splitlines()
    rows = {c[1].strip(): c[2:-1] for c in (line.split("|") for line in lines) if len(c) > 3}
    assert rows["mean with tiny"][1:] == rows["none: as fitted"][1:], "a model averaged with itself"
    assert "errors evened out" in rows
    assert (tmp_path / "tiny" / "neutral.svg").is_file()


def test_recalibrating_keeps_the_weights(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    where = ["--version", "2", "--neutral-give", "0.1", "--data", str(data), "--out", str(tmp_path / "new")]
    assert recalibrate([str(tiny_model), *where]) == 0
    old, new = (ModelDirectory.load(path, verify=True) for path in (tiny_model, tmp_path / "new"))
    assert new.version == "2"
    assert old.sha256 != new.sha256
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (old.path / name).read_bytes() == (new.path / name).read_bytes(), name
    record = json.loads((new.path / "training.json").read_text())
    assert record["calibration"]["neutral_give"] == 0.1
    again = evaluate(new, read_corpus(data).dev, cross_fit=True)
    assert record["dev"] == pytest.approx(again), "a cross-fit fits as the directory was fitted"


def test_cells() -> None:
    assert shown([0.5, 0.25, 0.75]) == "0.500 [0.250, 0.750]"
    assert shown([0.5]) == "0.500"
    assert shown(None) == ""
    assert table(["a", "b"], [["1", "2"]]).splitlines() == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]
