"""The intervals of a review hold the truth as often as they say: a short form of `python -m benchmarks.coverage`.

With 200 samples a share of 0.95 strays by 0.03 to either side. The seeds are fixed, so what passes once passes always.
"""

from __future__ import annotations

import pytest

from benchmarks.coverage import CASES, coverage

RUNS = 200


@pytest.mark.parametrize("at", [1, 3, 5, 8], ids=[CASES[at].name for at in (1, 3, 5, 8)])
def test_intervals_hold_the_truth(at):
    found = coverage(CASES[at], RUNS)
    for name in ("accuracy", "precision", "recall", "prevalence", "listed: precision", "listed: recall"):
        mean, worst = found[name]
        assert mean > 0.91, name
        assert worst > 0.87, name


def test_the_usual_formula_does_not():
    """What the intervals are for. If this fails, the simulation has become too easy to tell anything."""
    assert coverage(CASES[1], RUNS)["usual"][1] < 0.7
