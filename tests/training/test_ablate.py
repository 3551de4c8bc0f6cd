"""Variants: read, trained once, built on each other, in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from training import ablate as command
from training.ablate import VARIANTS, main, needed, read_variants
from training.recipe import RecipeError

TOML = """
base = "{base}"
max_length = 24
[defaults]
seed = 1
epochs = 1
batch_size = 8
share = 0.5
[[variants]]
name = "plain"
[[variants]]
name = "half"
of = "plain"
method = {{ thresholds = "half" }}
[[variants]]
name = "seed 2"
seed = 2
[[variants]]
name = "both"
mean = ["plain", "seed 2"]
[[variants]]
name = "taught"
teachers = ["plain", "seed 2"]
teacher_weight = 0.5
[[variants]]
name = "focal"
loss = "focal"
mixup = 0.4
mask_tokens = 0.1
"""


def test_variants_are_trained_once_and_measured(
    tiny_base: Path, data: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.toml"
    path.write_text(TOML.format(base=tiny_base.as_posix()))
    monkeypatch.setattr(command.os, "nice", lambda _: 0)
    where = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--domain", str(film)]
    assert main(["--variants", str(path), "--data", str(data), *where]) == 0
    lines = (tmp_path / "out" / "ablations.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == ["plain", "half", "seed 2", "both", "taught", "focal"]
    assert all(len(row) == 10 for row in rows)
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[1:9] if cell != "nan")
    monkeypatch.setattr("training.train.train_run", lambda *_: pytest.fail("trained again"))
    assert main(["--variants", str(path), "--data", str(data), "--only", "both", *where]) == 0
    again = (tmp_path / "out" / "ablations.md").read_text()
    assert "| both |" in again
    assert "| taught |" not in again
    both = [np.load(next((tmp_path / "work" / "ablate").glob(f"{n}-*/dev.npy"))) for n in ("plain", "seed 2")]
    assert not np.array_equal(*both)


def test_the_shipped_variants_read_and_differ_by_what_they_say() -> None:
    recipe, variants = read_variants(VARIANTS)
    names = [variant.name for variant in variants]
    assert len(set(names)) == len(names)
    assert {run.share for run in recipe.runs} == {0.25}
    assert needed(variants, ["distilled from three seeds"]) == {
        *("distilled from three seeds", "plain", "seed 2", "seed 3"),
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('mean = ["plain", "seed 2"]', 'mean = ["later"]', "later"),
        ('loss = "focal"', 'speed = "focal"', "speed"),
        ('loss = "focal"', 'loss = "vocal"', "vocal"),
        ("[defaults]", "[faults]", "defaults"),
    ],
)
def test_a_mistake_is_said(tmp_path: Path, tiny_base: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "v.toml"
    path.write_text(TOML.format(base=tiny_base.as_posix()).replace(old, new))
    with pytest.raises(RecipeError, match=message):
        read_variants(path)
