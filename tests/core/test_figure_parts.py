"""Parts of the figures that are pure: intervals, scores by table, what a column is, how its values are gathered."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from core.figures import scoring
from core.figures.grouping import BLANK, FIRST, MOST_NAMES, OTHER, group
from core.figures.values import Kind, key_of, kind_of
from core.intervals import Share, wilson
from core.model_directory import ModelDirectory, shipped_model_path
from core.taxonomy import Calibration, Taxonomy


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_as_published(count, of, low, high):
    assert wilson(count, of) == pytest.approx((low, high), abs=5e-5)


def test_wilson_covers_as_often_as_it_says():
    """Mean coverage over shares and sizes, computed exactly, is close to 95 %; the usual formula's is not."""
    covered = []
    for of in (10, 30, 100):
        intervals = [wilson(count, of) for count in range(of + 1)]
        for p in np.linspace(0.01, 0.99, 99):
            chances = _binomial(of, p)
            covered.append(sum(c for c, (low, high) in zip(chances, intervals, strict=True) if low <= p <= high))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def _binomial(of: int, p: float) -> list[float]:
    chances = [(1 - p) ** of]
    for k in range(of):
        chances.append(chances[-1] * (of - k) / (k + 1) * p / (1 - p))
    return chances


def test_a_share_of_nothing_says_nothing():
    assert (Share(0, 0).share, Share(0, 0).interval) == (None, (0.0, 1.0))


@pytest.mark.parametrize("name", ["ekman", "goemotions", "sentiment", "own"])
def test_scores_by_table_are_the_taxonomys_to_the_last_bit(name):
    rng = np.random.default_rng(1)
    logits = np.concatenate(
        [rng.normal(-3, 3, (500, 28)), rng.choice([-np.inf, np.inf, 0.0, -0.0, 65504, -65504], (50, 28))]
    ).astype("<f2")
    stored = logits.copy()
    stored[3] = np.nan
    own = Taxonomy("own", ("a", "b"), ((5, 2, 9), (1,)), (Calibration(0.7, 0.1), Calibration(1.3, -2)), (0.3, 0.4))
    model = ModelDirectory.load(shipped_model_path())
    taxonomy = own if name == "own" else model.taxonomies[name]
    bits, is_scored = scoring.scored(stored.tobytes(), 28)
    assert is_scored.tolist() == [row != 3 for row in range(550)]
    wanted = taxonomy.scores(np.delete(logits, 3, axis=0))
    assert (wanted == scoring.scores(taxonomy, bits).T).all()


def test_steps_decide_as_comparing_does():
    near = [value for n in range(101) for value in (n / 100, np.nextafter(n / 100, 0), np.nextafter(n / 100, 1))]
    scores = np.clip(np.array([near]), 0, 1)
    reached = scoring.steps(scores)[0]
    for n in range(101):
        assert ((scores[0] >= n / 100) == (reached >= n)).all()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["2025-01-02", "2025-03-04T10:00:00Z", "", "n/a"], Kind.DAY),
        (["1 Mar 2025", "12-Apr-2025 10:00", "Friday, 3 May 2025"], Kind.DAY),
        (["Mar 1, 2025", "April 12 2025"], Kind.DAY),
        (["13/04/2025", "03/04/2025"], Kind.DAY_MONTH),
        (["04/13/2025", "03/04/2025"], Kind.MONTH_DAY),
        (["03/04/2025", "05/06/2025"], Kind.MONTH_DAY),
        (["03.04.2025", "05.06.2025"], Kind.DAY_MONTH),
        (["1", "2", "5", "5"], Kind.NUMBER),
        (["1,5", "2,25"], Kind.NUMBER),
        (["lamp", "desk", "lamp"], Kind.NAME),
        ([str(n) for n in range(1, 200)], Kind.UNLIKE),
        ([f"user-{n}" for n in range(200)], Kind.UNLIKE),
        (["a text of some length, as people write it, that goes on for more than a line would " * 2] * 3, Kind.UNLIKE),
        (["", " ", "null"], Kind.EMPTY),
        ([], Kind.EMPTY),
        (["2025-01-02", "lamp", "desk", "lamp"], Kind.NAME),
    ],
)
def test_what_a_column_is(cells, kind):
    assert kind_of(cells) is kind


@pytest.mark.parametrize(
    ("kind", "cell", "key"),
    [
        (Kind.DAY, "2025-1-2 23:59", "2025-01-02"),
        (Kind.DAY, "2025-02-30", None),
        (Kind.DAY, "12 Sept 2025", "2025-09-12"),
        (Kind.DAY_MONTH, "3/4/2025 10:00", "2025-04-03"),
        (Kind.MONTH_DAY, "3/4/2025", "2025-03-04"),
        (Kind.NUMBER, "12345", "12345"),
        (Kind.NUMBER, "3.14159", "3.14"),
        (Kind.NUMBER, "1234567", "1.23e+06"),
        (Kind.NUMBER, "1,234", None),
        (Kind.NUMBER, "nan", None),
        (Kind.NAME, "x" * 100, "x" * 80),
    ],
)
def test_cells_become_keys(kind, cell, key):
    assert key_of(kind)(cell) == key


def gathered(kind, counts, *, blank=0, other=0):
    found = group(kind, list(counts), np.array([blank, other, *counts.values()]))
    rows: dict[str, int] = dict.fromkeys(found.names, 0)
    for code, n in enumerate([blank, other, *counts.values()]):
        if n:
            rows[found.names[found.of_code[code]]] += n
    return found.unit, rows


def test_the_commonest_names_and_the_others():
    counts = {f"name {n:02d}": 100 - n for n in range(30)}
    unit, rows = gathered(Kind.NAME, counts, blank=7, other=3)
    assert unit == "value"
    assert list(rows)[:MOST_NAMES] == [f"name {n:02d}" for n in range(MOST_NAMES)]
    assert list(rows)[MOST_NAMES:] == ["(over 10 others)", "(blank)"]
    assert (rows["(over 10 others)"], rows["(blank)"]) == (sum(100 - n for n in range(20, 30)) + 3, 7)


@pytest.mark.parametrize(
    ("days", "unit", "first"), [(20, "day", "2025-01-01"), (200, "month", "2025-01"), (3000, "year", "2025")]
)
def test_days_are_gathered_by_how_far_they_reach(days, unit, first):
    counts = {(date(2025, 1, 1) + timedelta(n)).isoformat(): 1 for n in range(days)}
    found, rows = gathered(Kind.DAY, counts, other=2)
    assert found == unit
    assert next(iter(rows)) == first
    assert list(rows) == [*sorted(list(rows)[:-1]), "(no date)"]
    assert sum(rows.values()) == days + 2


def test_few_numbers_stay_themselves_and_many_become_ranges():
    assert gathered(Kind.NUMBER, {"10": 3, "9": 4})[1] == {"9": 4, "10": 3}
    unit, rows = gathered(Kind.NUMBER, {str(n): 10 for n in range(100)}, other=1)
    assert unit == "range"
    assert rows == {
        "0 to 19": 200,
        "20 to 39": 200,
        "40 to 59": 200,
        "60 to 79": 200,
        "80 to 99": 200,
        "(no number)": 1,
    }
    _, rows = gathered(Kind.NUMBER, {"0": 1000, **{str(n): 1 for n in range(1, 20)}})
    assert sum(rows.values()) == 1019
    assert rows["0"] == 1000


def test_a_column_without_a_value_is_one_group():
    assert gathered(Kind.NAME, {}, blank=4)[1] == {"(blank)": 4}
    assert (FIRST, {BLANK, OTHER}) == (2, {0, 1})
