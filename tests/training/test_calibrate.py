"""Calibration and thresholds on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from core.taxonomy import sigmoid
from training.calibrate import Method, f1_curves, fit_platt, fit_taxonomy, fit_threshold


def test_platt_finds_the_map_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(-1, 2, 40_000)
    gold = (rng.random(len(z)) < sigmoid(1.6 * z + 0.7)).astype(np.int8)
    slope, offset = fit_platt(sigmoid(z), gold)
    assert np.exp(slope) == pytest.approx(1.6, abs=0.06)
    assert offset == pytest.approx(0.7, abs=0.06)


def test_a_rare_label_stays_near_the_shared_map() -> None:
    rng = np.random.default_rng(1)
    raw = sigmoid(rng.normal(-6, 1, 2_000))
    gold = np.zeros(2_000, np.int8)
    gold[rng.integers(0, 2_000, 3)] = 1  # three rows, at random: they say nothing of the slope
    centre = (np.log(1.3), -0.4)
    free = fit_platt(raw, gold, centre, (50.0, 50.0))
    held = fit_platt(raw, gold, centre, (0.2, 0.3))
    assert abs(held[0] - centre[0]) < 0.2 < abs(free[0] - centre[0])


def test_f1_curves_by_hand() -> None:
    thresholds, counted, expected = f1_curves(np.array([0.2, 0.9, 0.5, 0.5]), np.array([0, 1, 1, 0], np.int8))
    assert thresholds.tolist() == [0.9, 0.5, 0.2]
    assert counted == pytest.approx([2 * 1 / (1 + 2), 2 * 2 / (3 + 2), 2 * 2 / (4 + 2)])
    assert expected == pytest.approx([2 * 0.9 / 3.1, 2 * 1.9 / 5.1, 2 * 2.1 / 6.1])


def test_threshold_of_separable_scores_separates() -> None:
    score = np.array([0.05] * 500 + [0.95] * 500)
    assert 0.05 < fit_threshold(score, np.array([0] * 500 + [1] * 500, np.int8)) <= 0.95


def test_threshold_of_a_label_without_rows_is_what_its_scores_expect() -> None:
    score = np.random.default_rng(2).beta(0.3, 8, 3_000)
    threshold = fit_threshold(score, np.zeros(3_000, np.int8))
    expected = f1_curves(score, np.zeros(3_000, np.int8))[2].max()
    assert threshold == pytest.approx(expected / 2, abs=0.03)  # Lipton et al. 2014: half the best F1


def test_a_fitted_taxonomy_is_calibrated_and_monotone() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(-2, 2, (6_000, 28)).astype(np.float16)
    gold = (rng.random(logits.shape) < sigmoid(0.7 * logits.astype(float) - 0.5)).astype(np.int8)
    taxonomy = fit_taxonomy("t", {"a": [0, 1], "b": [2], "neutral": [27]}, logits, gold)
    scores = taxonomy.scores(logits)
    truth = np.stack([gold[:, :2].max(1), gold[:, 2], gold[:, 27]], axis=1)
    assert scores.mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.01)
    for j in range(3):
        assert (np.diff(scores[np.argsort(taxonomy.raw(logits)[:, j], kind="stable"), j]) >= 0).all()


GROUPS = {"a": [0], "b": [1], "neutral": [2]}


def labelled(n: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Rows of exactly one label, neutral the most frequent and the least sure."""
    rng = np.random.default_rng(4)
    gold = np.eye(3, dtype=np.int8)[rng.choice(3, n, p=[0.25, 0.25, 0.5])]
    return (rng.normal(-2, 1.5, (n, 3)) + 3.0 * gold).astype(np.float16), gold


def test_neutral_gives_way_no_further_than_it_may() -> None:
    logits, gold = labelled()
    said, accuracy = {}, {}
    for give in (0.0, 0.005, 0.02):
        taxonomy = fit_taxonomy("ekman", GROUPS, logits, gold, Method(neutral_give=give))
        best = taxonomy.scores(logits).argmax(axis=1)
        said[give], accuracy[give] = (best == 2).mean(), (best == gold.argmax(axis=1)).mean()
    assert said[0.0] > said[0.005] > said[0.02]
    assert accuracy[0.0] - accuracy[0.005] <= 0.005 + 1e-9
    assert accuracy[0.0] - accuracy[0.02] <= 0.02 + 1e-9


def test_giving_way_changes_no_list_and_no_other_label() -> None:
    logits, gold = labelled()
    before = fit_taxonomy("ekman", GROUPS, logits, gold)
    after = fit_taxonomy("ekman", GROUPS, logits, gold, Method(neutral_give=0.02))
    assert after.calibration[:2] == before.calibration[:2]
    assert after.calibration[2].offset < before.calibration[2].offset
    assert np.array_equal(after.selected(after.scores(logits)), before.selected(before.scores(logits)))


def test_a_taxonomy_without_neutral_has_nothing_to_give() -> None:
    logits, gold = labelled()
    groups = {"a": [0], "b": [1, 2]}
    method = Method(neutral_give=0.02)
    assert fit_taxonomy("t", groups, logits, gold, method) == fit_taxonomy("t", groups, logits, gold)


def test_other_methods_fit_otherwise() -> None:
    logits, gold = labelled(300)
    usual = fit_taxonomy("t", GROUPS, logits, gold)
    bare = fit_taxonomy("t", GROUPS, logits, gold, Method(platt="none"))
    half = fit_taxonomy("t", GROUPS, logits, gold, Method(thresholds="half"))
    free = fit_taxonomy("t", GROUPS, logits, gold, Method(platt="free", thresholds="free"))
    assert all((c.slope, c.offset) == (1.0, 0.0) for c in bare.calibration)
    assert half.thresholds == (0.5, 0.5, 0.5)
    assert half.calibration == usual.calibration
    spread = [np.std([c.slope for c in taxonomy.calibration]) for taxonomy in (usual, free)]
    assert spread[0] < spread[1]
    with pytest.raises(ValueError, match="platt"):
        Method(platt="some")
