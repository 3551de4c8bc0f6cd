"""Numbers, times and labels as pages show them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.model_directory import ModelDirectory, shipped_model_path
from core.registry import ModelVersion
from core.states import JobState
from web import present

CSS = (Path(present.__file__).parent / "static" / "site.css").read_text()


@pytest.fixture(scope="module")
def model():
    found = ModelDirectory.load(shipped_model_path())
    return ModelVersion(found.sha256, found.version, found.labels, found.taxonomies, found.default_taxonomy)


@pytest.mark.parametrize(
    ("show", "value", "words"),
    [
        (present.percent, 0, "0 %"),
        (present.percent, 0.00001, "< 0.1 %"),
        (present.percent, 0.1234, "12.3 %"),
        (present.percent, 0.99999, "99.9 %"),
        (present.percent, 1, "100 %"),
        (present.size, 0, "0 B"),
        (present.size, 999, "999 B"),
        (present.size, 1500, "1.5 kB"),
        (present.size, 123_456_789, "123 MB"),
        (present.size, None, "0 B"),
        (present.duration, 0.2, "< 1 s"),
        (present.duration, 59.2, "1 min"),
        (present.duration, 61, "1 min 1 s"),
        (present.duration, 3600, "1 h"),
        (present.duration, 3661, "1 h 1 min"),
        (present.duration, 100_000, "1 d 3 h"),
        (present.duration, None, ""),
        (present.rate, 0, ""),
        (present.rate, None, ""),
        (present.rate, 2.34, "2.3 rows/s"),
        (present.rate, 1234.5, "1,234 rows/s"),
        (present.score, None, ""),
        (present.score, 0.456, "0.46"),
        (present.number, 1234567, "1,234,567"),
        (present.when, datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "02 Jan 2026, 03:04 UTC"),
        (present.code, "run `a <b>` now", "run <code>a &lt;b&gt;</code> now"),
    ],
)
def test_values_in_words(show, value, words):
    assert show(value) == words


@pytest.mark.parametrize("state", JobState)
def test_every_state_has_words_and_a_tone_with_a_colour(state):
    words, tone = present.state_words(state)
    assert words
    assert f".badge-state.{tone}" in CSS


@pytest.mark.parametrize("taxonomy", ["ekman", "goemotions", "sentiment"])
def test_every_label_has_a_colour(model, taxonomy):
    colours = present.colours(model, taxonomy)
    assert set(colours) == set(model.taxonomies[taxonomy].labels)
    for name in colours.values():
        assert re.search(rf"\.c-{name}\b", CSS), name


def test_bars_of_a_short_taxonomy_keep_its_order_and_of_a_long_one_go_by_count(model):
    few = present.bars({"joy": 30, "anger": 10}, model, "ekman")
    assert [bar.label for bar in few] == list(model.taxonomies["ekman"].labels)
    assert {bar.label: (bar.share, round(bar.width, 2)) for bar in few if bar.count} == {
        "joy": (0.75, 1.0),
        "anger": (0.25, 0.33),
    }
    many = present.bars({"love": 1, "pride": 5, "fear": 3}, model, "goemotions")
    assert [(bar.label, bar.colour) for bar in many] == [("pride", "joy"), ("fear", "fear"), ("love", "joy")]
    assert present.bars({}, model, "ekman") == []


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 1.5, "under 2 s"),
        (0.4, 3, "under 3 s"),
        (4, 9, "4 to 9 s"),
        (40, 90, "40 to 90 s"),
        (100, 110, "100 to 110 s"),
        (118, 122, "about 2 min"),
        (130, 250, "2 to 4 min"),
        (3_000, 5_000, "50 to 85 min"),
        (8_000, 20_000, "2 to 6 h"),
        (200_000, 400_000, "2 to 5 days"),
    ],
)
def test_a_range_of_seconds_is_said_in_one_unit(low, high, words):
    assert present.between(low, high) == words


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (7, "7"), (99, "99"), (123, "120"), (12_345, "12,000")])
def test_an_estimated_number_has_two_digits(value, words):
    assert present.roughly(value) == words
