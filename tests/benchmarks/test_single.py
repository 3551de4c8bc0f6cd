"""What one-command measurements have in common: sizes, and the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import single
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure


def group(value: float | None = 1.0, *, skipped: str = "") -> Group:
    made = Group("part", "A part", skipped=skipped)
    if value is not None:
        made.add("seconds", "how long", Figure.of([value]), "s", at_most(5))
    return made


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (lambda _: group(5.0), 0),
        (lambda _: group(5.1), 1),
        (lambda _: group(None, skipped="needs root"), 0),
        (lambda _: 1 / 0, 1),
    ],
    ids=["met", "missed", "cannot be measured here", "broke"],
)
def test_the_exit_code_says_whether_every_target_was_met(found, code, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(sys, "argv", ["x", "--out", str(tmp_path), "--seed", "7"])
    assert single.run("trying", "Tries.", {"part": found}) == code
    written = json.loads((tmp_path / "trying.json").read_text())
    assert (written["seed"], list(written["measurements"])) == (7, ["part"])
    assert (tmp_path / "trying.md").read_text()


def test_sizes_are_scaled_but_never_nothing(tmp_path: Path):
    trial = single.Trial(1, 0.01, None, tmp_path, print)  # type: ignore[arg-type]
    assert (trial.size(1_000), trial.size(10), trial.size(10, 5)) == (10, 1, 5)
