"""Which rows are asked about: enough of each label, the same ones again, each as likely as the next."""

from __future__ import annotations

import numpy as np
import pytest

from core.review.allocation import Draw, allocate, hashes


@pytest.mark.parametrize(
    ("rows", "size", "asked"),
    [
        ([1000, 1000], 20, [10, 10]),
        ([900, 100], 60, [43, 17]),  # 5 each, 50 divided 30 : 10
        ([10_000, 100, 0, 3], 50, [39, 8, 0, 3]),
        ([10_000, 100, 1], 10, [8, 1, 1]),
        ([5, 3, 2], 70, [5, 3, 2]),
        ([0, 0], 70, [0, 0]),
    ],
)
def test_a_few_of_each_and_the_rest_by_the_square_root(rows, size, asked):
    found = allocate(np.array(rows), size)
    assert found.sum() == min(size, sum(rows))
    assert (found <= rows).all()
    assert found == pytest.approx(asked, abs=2)


def test_28_labels_are_all_asked_about():
    rows = np.random.default_rng(1).integers(1, 5000, 28)
    for size in (50, 70, 100, 500):
        found = allocate(rows, size)
        assert found.sum() == size
        assert found.min() >= 1


def show_all(draw: Draw, rows: np.ndarray, labels: np.ndarray, pieces: int) -> None:
    for part in np.array_split(np.random.default_rng(pieces).permutation(len(rows)), pieces):
        draw.show(rows[part], labels[part])


def test_the_same_rows_whatever_the_chunks_and_their_order():
    rows = np.arange(1, 20_001)
    labels = np.random.default_rng(0).choice(4, len(rows), p=[0.7, 0.2, 0.09, 0.01])
    labels[::50] = -1
    found = []
    for pieces in (1, 7, 400):
        draw = Draw(4, seed=3, most=70)
        show_all(draw, rows, labels, pieces)
        assert draw.counts.tolist() == [int((labels == label).sum()) for label in range(4)]
        found.append(draw.chosen(70))
    chosen, strata = found[0]
    assert all((again == chosen).all() for again, _ in found)
    assert len(set(chosen.tolist())) == 70
    assert (labels[chosen - 1] == strata).all()


def test_a_larger_sample_holds_the_smaller_one():
    rows, labels = np.arange(1, 5001), np.arange(5000) % 3
    samples = {}
    for size in (30, 90):
        draw = Draw(3, seed=9, most=size)
        draw.show(rows, labels)
        samples[size] = set(draw.chosen(size)[0].tolist())
    assert samples[30] < samples[90]


def test_whoever_stops_early_has_asked_about_all_labels():
    draw = Draw(3, seed=1, most=60)
    draw.show(np.arange(1, 3001), np.repeat([0, 1, 2], [2400, 500, 100]))
    _, strata = draw.chosen(60)
    shares = np.bincount(strata) / 60
    for n in (10, 20, 40):
        assert np.bincount(strata[:n], minlength=3) == pytest.approx(shares * n, abs=1.01)


def test_every_row_is_as_likely_as_the_next():
    """A chi-squared test over the places in a file: 20 cells, 2,000 seeds, ten rows each."""
    taken = np.zeros(200)
    for seed in range(2000):
        draw = Draw(1, seed=seed, most=10)
        draw.show(np.arange(1, 201), np.zeros(200, int))
        taken[draw.chosen(10)[0] - 1] += 1
    cells = taken.reshape(20, 10).sum(axis=1)
    assert ((cells - 1000) ** 2 / 1000).sum() < 43.8  # 0.999 of 19 degrees of freedom


def test_hashes_differ_by_seed_and_row():
    assert len(set(hashes(1, np.arange(100_000)).tolist())) == 100_000
    assert not (hashes(1, np.arange(1000)) == hashes(2, np.arange(1000))).any()
