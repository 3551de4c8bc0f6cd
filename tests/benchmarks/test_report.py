"""What comes out: the quick form's one line, and JSON and Markdown of all."""

from __future__ import annotations

import json

import pytest

from benchmarks import plot, report
from benchmarks.group import Group, at_least, at_most, show
from benchmarks.interleaved import Figure

FACTS = {
    "machine": {"cpu": "A", "cores": 2, "instruction_sets": ["avx2"], "python": "3.11"},
    "command": "python -m benchmarks",
    "rounds": 3,
    "corpus": "made",
}


def groups() -> list[Group]:
    speed = Group("a", "Speed", "Measured.")
    speed.add("engine_rows_per_s", "engine", Figure.of([900, 1000, 1100]), "rows/s")
    speed.add("pipeline_32_rows_per_s", "pipeline", Figure.of([300, 310, 305]), "rows/s")
    speed.add("same_weights_ratio", "engine over pipeline", Figure.of([3.0, 3.2, 3.4]), "×", at_least(3.1))
    speed.add("label_agreement", "same label", Figure.of([0.99987]), "share", at_least(0.999))
    end = Group("c", "End to end", "Measured.")
    end.add("end_to_end_share", "share", Figure.of([0.9, 0.92, 0.91]), "share", at_least(0.95))
    return [speed, Group("b", "Limit", skipped="failed: no cores"), end]


def test_the_quick_line_has_its_six_keys_and_null_where_nothing_was_measured():
    line = report.quick_line(groups())
    assert "\n" not in line
    assert json.loads(line) == {
        "same_weights_ratio": 3.2,
        "best_batch_ratio": None,
        "label_agreement": 0.9999,
        "student_ratio": None,
        "sgemm_share": None,
        "end_to_end_share": 0.91,
    }


def test_a_target_is_judged_by_the_median():
    found = json.loads(report.as_json(FACTS, groups()))["measurements"]
    assert found["a"]["figures"]["same_weights_ratio"]["met"] is True
    assert found["c"]["figures"]["end_to_end_share"] | {"rounds": []} == {
        "what": "share",
        "unit": "share",
        "median": 0.91,
        "low": 0.9,
        "high": 0.92,
        "rounds": [],
        "target": "≥ 0.9500",
        "met": False,
    }
    assert found["b"] == {"title": "Limit", "how": "", "skipped": "failed: no cores"}
    assert at_most(6).met(6)
    assert not at_most(6).met(6.1)


def test_files_and_plot_are_written(tmp_path):
    report.write(tmp_path, FACTS, groups())
    text = (tmp_path / "results.md").read_text()
    assert "| engine over pipeline | 3.20 | 3 – 3.40 | × | ≥ 3.10 | met |" in text
    assert "Skipped: failed: no cores." in text
    assert json.loads((tmp_path / "results.json").read_text())["rounds"] == 3


def test_the_plot_shows_what_there_is(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "results.svg"
    assert plot.draw(groups(), FACTS, path)
    assert path.read_text().startswith("<?xml")
    assert not plot.draw([groups()[1]], FACTS, tmp_path / "none.svg")


def test_numbers_as_people_read_them():
    assert [show(value) for value in (1234.5, 99.96, 12.34, 9.99, 3.14159, 0.98765, 2)] == [
        "1,234",
        "100.0",
        "12.3",
        "9.99",
        "3.14",
        "0.9877",
        "2",
    ]
