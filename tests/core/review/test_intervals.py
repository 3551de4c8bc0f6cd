"""Intervals against numbers from the literature, and at their ends."""

from __future__ import annotations

import numpy as np
import pytest

from core.review.intervals import of_stratum, ratio, shares, total

ENDLESS = 10**12


@pytest.mark.parametrize(
    ("counted", "asked", "low", "high"),
    [  # Newcombe (1998), table I, method 4
        (81, 263, 0.2535, 0.3682),
        (15, 148, 0.0598, 0.1644),
        (0, 20, 0.0000, 0.2005),
        (1, 29, 0.0018, 0.1963),
    ],
)
def test_as_newcombe_printed_them(counted, asked, low, high):
    found = of_stratum(np.array(counted), np.array(asked), np.array(ENDLESS))
    assert (float(found[0]), float(found[1])) == pytest.approx((low, high), abs=1e-4)


def test_nothing_is_left_to_be_unsure_of_when_all_were_asked():
    low, high = of_stratum(np.array([0, 3, 10]), np.array(10), np.array(10))
    assert low.tolist() == high.tolist() == [0.0, 0.3, 1.0]
    narrower, _ = of_stratum(np.array(5), np.array(10), np.array(12))
    wider, _ = of_stratum(np.array(5), np.array(10), np.array(1200))
    assert 0.5 > narrower > wider


def test_nobody_asked_is_anything():
    low, high = of_stratum(np.array(0), np.array(0), np.array(7))
    assert (low, high) == (0.0, 1.0)


def test_one_stratum_is_the_plain_interval():
    rows, asked = np.array([5000.0]), np.array([40.0])
    value, low, high = total(np.array([10.0]), asked, rows)
    alone = of_stratum(np.array(10), np.array(40), np.array(5000))
    assert (value, low, high) == pytest.approx((0.25, float(alone[0]), float(alone[1])))
    me = np.array([True])
    found = ratio(np.array([10.0]), np.array([30.0]), me, me, asked, rows)
    assert found == pytest.approx((0.25, float(alone[0]), float(alone[1])), abs=1.1e-3)


def test_strata_are_weighted_by_their_rows():
    value, low, high = total(np.array([[9.0, 1.0]]), np.array([10.0, 10.0]), np.array([100.0, 900.0]))
    assert value == pytest.approx([0.1 * 0.9 + 0.9 * 0.1])
    assert (low < value).all()
    assert (value < high).all()


def test_a_stratum_without_answers_is_as_the_others_but_may_be_anything():
    weights = np.array([0.5, 0.25, 0.25])
    assert shares(np.array([4.0, 0.0, 0.0]), np.array([8.0, 4.0, 0.0]), weights).tolist() == [0.5, 0.0, 1 / 3]
    rows = np.array([5000.0, 2500.0, 2500.0])
    _, low, high = total(np.array([4.0, 0.0, 0.0]), np.array([8.0, 4.0, 0.0]), rows)
    _, low_all, high_all = total(np.array([4.0, 0.0, 1.0]), np.array([8.0, 4.0, 3.0]), rows)
    assert low < low_all
    assert high > high_all


def test_a_ratio_of_what_was_never_seen_is_unknown():
    none = np.zeros(2)
    value, low, high = ratio(
        none, none, np.array([True, False]), np.array([False, True]), np.array([5.0, 5.0]), np.array([50.0, 500.0])
    )
    assert np.isnan(value)
    assert (low, high) == (0.0, 1.0)


def test_all_found_is_not_proof_that_nothing_is_missed():
    value, low, high = ratio(
        np.array([6.0, 0.0]),
        np.array([0.0, 0.0]),
        np.array([True, False]),
        np.array([False, True]),
        np.array([8.0, 20.0]),
        np.array([100.0, 900.0]),
    )
    assert (value, high) == (1.0, 1.0)
    assert low < 0.5  # up to an eighth of the 900 may be missed
