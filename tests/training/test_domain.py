"""Sets from elsewhere: what their labels mean, which part chooses, and the figures by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.taxonomy import plain
from training.data import DataError, data_dir
from training.domain import DOMAINS, chooses, domain_figures, read_domain

LABELS = ("anger", "fear", "joy", "surprise", "neutral")


def test_a_set_reads_as_declared(film: Path) -> None:
    found = read_domain(film, LABELS, film.parent)
    assert (found.name, found.title, found.taxonomy, len(found)) == ("film", "lines of film", "ekman", 7)
    assert found.gold[1].tolist() == [1, 1, 0, 0, 0]
    assert found.gold[4].tolist() == [0, 0, 0, 0, 1]


def test_texts_that_differ_in_case_and_marks_are_in_one_part() -> None:
    assert chooses("How lovely") == chooses(" HOW  lovely!")
    parts = [chooses(f"text number {n}") for n in range(2000)]
    assert np.mean(parts) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('rage = "anger"\n', "", "data row 1"),
        ('"anger"', '"spite"', "spite"),
        ("film.csv", "none.csv", "none.csv"),
        ("[labels]", "[words]", "labels"),
    ],
)
def test_what_is_not_declared_is_said(film: Path, old: str, new: str, message: str) -> None:
    film.write_text(film.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        read_domain(film, LABELS, film.parent)


def test_figures_by_hand() -> None:
    taxonomy = plain("ekman", {"anger": [0], "joy": [1], "neutral": [2]})
    logits = np.array([[2, -2, -1], [-2, -1, 1], [-1, -2, 3], [-2, 1, -1], [-1, -2, -1]], np.float16)
    gold = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 1, 0]], np.int8)
    found = domain_figures(taxonomy, logits, gold)(np.ones((1, 5)))
    assert found["emotional_called_neutral"][0] == pytest.approx(1 / 3)  # rows 0, 1, 4: only 1; 4 ties, the first wins
    assert found["emotional_said_nothing"][0] == pytest.approx(2 / 3)
    assert found["neutral_called_emotional"][0] == pytest.approx(1 / 2)
    assert found["accuracy_single"][0] == pytest.approx(2 / 4)
    assert found["accuracy_six"][0] == pytest.approx(1.0)
    only = domain_figures(taxonomy, logits, gold)(np.array([[0, 0, 1.0, 0, 0]]))
    assert np.isnan(only["emotional_called_neutral"][0])


@pytest.mark.parametrize("path", sorted(DOMAINS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_declared_set_reads_where_its_file_is(path: Path) -> None:
    ekman = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
    try:
        beside = data_dir().parent
    except DataError:
        pytest.skip("the data is not beside this checkout")
    found = read_domain(path.stem, ekman, beside)
    assert len(found) > 1000
    assert 0.4 < found.choosing.mean() < 0.6
