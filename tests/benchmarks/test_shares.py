"""The index of fairness, and the moments at which jobs arrive."""

from __future__ import annotations

import pytest

from benchmarks.arrivals import times
from benchmarks.shares import jain


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        ([5, 5, 5, 5], 1),
        ([1, 0, 0, 0], 0.25),
        ([10], 1),
        ([1, 3], 0.8),  # (1 + 3)² / (2 × (1 + 9))
    ],
)
def test_jains_index(shares, index):
    assert jain(shares) == pytest.approx(index)


def test_where_nobody_got_anything_there_is_no_index():
    with pytest.raises(ValueError, match="Nobody"):
        jain([0, 0])


def test_moments_are_the_seeds_own_in_order_and_within_the_window():
    moments = times(100, 60, seed=7)
    assert moments == times(100, 60, seed=7) != times(100, 60, seed=8)
    assert moments == sorted(moments)
    assert 0 <= moments[0] < moments[-1] <= 60
