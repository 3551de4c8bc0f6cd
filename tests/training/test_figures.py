"""Weighted figures against plain counts, and what an interval must do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from core.taxonomy import plain
from training.data import gather
from training.figures import (
    FIGURES,
    ece_of_chance,
    expected_calibration_error,
    figures,
    interval,
    judge,
    resamples,
    weighted_figures,
    with_intervals,
)

GROUPS = {
    "goemotions": {"anger": [0], "joy": [1], "love": [2], "neutral": [3]},
    "ekman": {"anger": [0], "joy": [1, 2], "neutral": [3]},
    "sentiment": {"positive": [1, 2], "negative": [0], "neutral": [3]},
}
TAXONOMIES = {name: plain(name, groups) for name, groups in GROUPS.items()}  # type: ignore[arg-type]


def rows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logits = random.normal(-0.5, 2, (n, 4)).astype(np.float16)
    return logits, (random.random((n, 4)) < 1 / (1 + np.exp(-logits.astype(float)))).astype(np.int8)


def test_macro_f1_is_sklearn_s() -> None:
    logits, gold = rows(400)
    for key, name in (("28", "goemotions"), ("ekman7", "ekman"), ("sentiment", "sentiment")):
        taxonomy = TAXONOMIES[name]
        said, truth = taxonomy.selected(taxonomy.scores(logits)), gather(gold, taxonomy.members)
        expected = f1_score(truth, said, average="macro", zero_division=0)
        assert figures(TAXONOMIES, logits, gold)[f"macro_f1_{key}"] == pytest.approx(expected)


def test_a_weight_is_a_row_repeated() -> None:
    logits, gold = rows(60)
    often = np.random.default_rng(1).integers(0, 4, 60)
    weighted = weighted_figures(judge(TAXONOMIES, logits, gold), often[None, :].astype(float))
    index = np.repeat(np.arange(60), often)
    plainly = figures(TAXONOMIES, logits[index], gold[index])
    for key in FIGURES[:-1]:
        assert weighted[key][0] == pytest.approx(plainly[key]), key


def test_taxonomies_that_are_not_there_give_no_figures() -> None:
    logits, gold = rows(50)
    found = figures({"sentiment": TAXONOMIES["sentiment"]}, logits, gold)
    assert found["macro_f1_sentiment"] is not None
    assert [key for key in FIGURES if found[key] is None] == [
        key for key in FIGURES if key not in ("macro_f1_sentiment", "n")
    ]


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        right = random.random(300) < 0.7
        drawn = resamples(300, 200, int(random.integers(1 << 30))) @ right / 300
        low, high = interval(float(right.mean()), drawn) or (0, 0)
        hits += low <= 0.7 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_more_rows_make_a_narrower_interval_and_a_mask_is_a_part() -> None:
    logits, gold = rows(900)
    judged = judge(TAXONOMIES, logits, gold)

    def at(weights: np.ndarray) -> dict[str, np.ndarray]:
        return weighted_figures(judged, weights)

    mask = np.arange(900) < 100
    whole = with_intervals(at, 900, FIGURES[:-1])
    part = with_intervals(at, 900, FIGURES[:-1], mask)
    assert (whole["n"], part["n"]) == (900, 100)
    few = figures(TAXONOMIES, logits[:100], gold[:100])
    for key in ("macro_f1_28", "accuracy_six"):
        assert part[key][0] == pytest.approx(few[key], abs=1e-4)
        assert part[key][1] < part[key][0] < part[key][2]
        assert whole[key][2] - whole[key][1] < part[key][2] - part[key][1]


def test_no_rows_give_no_interval() -> None:
    logits, gold = rows(20)
    judged = judge(TAXONOMIES, logits, gold)
    found = with_intervals(lambda w: weighted_figures(judged, w), 20, ["ece"], np.zeros(20, bool))
    assert found == {"n": 0, "ece": None}


def test_true_scores_show_a_calibration_error_all_the_same() -> None:
    random = np.random.default_rng(3)
    score = random.uniform(0.3, 1, 2000)
    seen = expected_calibration_error(score, random.random(2000) < score)
    assert ece_of_chance(score) == pytest.approx(seen, abs=0.015)
    assert ece_of_chance(score[:200]) > 2 * ece_of_chance(score)
