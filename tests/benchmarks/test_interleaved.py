"""Rounds and medians: each contestant once a round, nobody always first, warm-ups forgotten."""

from __future__ import annotations

import pytest

from benchmarks.interleaved import Figure, rotated, rounds


def test_every_contestant_runs_once_a_round_and_the_order_rotates():
    ran: list[str] = []
    results = rounds({name: lambda name=name: ran.append(name) or len(ran) for name in "abc"}, 3, warm_up=1)
    assert ran == ["a", "b", "c", "b", "c", "a", "c", "a", "b", "a", "b", "c"]
    assert results == {"a": [6, 8, 10], "b": [4, 9, 11], "c": [5, 7, 12]}


def test_rotated_begins_with_another_one_each_time():
    assert [rotated("xyz", by)[0] for by in range(4)] == ["x", "y", "z", "x"]


def test_a_figure_is_its_median_and_range():
    figure = Figure.of([3, 9, 1, 5])
    assert (figure.median, figure.low, figure.high) == (4, 1, 9)


def test_ratios_are_taken_round_by_round():
    # The machine was half as fast in the second round; the ratio does not see it.
    assert Figure.of([1, 2, 1]).over(Figure.of([4, 8, 2])).values == (0.25, 0.25, 0.5)


def test_a_rate_is_an_amount_over_seconds():
    assert Figure.of([2, 4]).rate(100).values == (50, 25)


@pytest.mark.parametrize(("share", "expected"), [(0.95, 38), (0.951, 39), (0.5, 20), (1, 40), (0, 1), (0.07, 3)])
def test_a_quantile_is_a_value_that_so_many_do_not_exceed(share, expected):
    assert Figure.of(range(40, 0, -1)).quantile(share) == expected


def test_a_figure_of_nothing_is_none():
    with pytest.raises(ValueError, match="at least one round"):
        Figure.of([])
