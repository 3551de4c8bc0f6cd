"""The figures of a sample, by hand where it is small, and against the truth where every row was asked."""

from __future__ import annotations

import numpy as np
import pytest

from core.model_directory import ModelDirectory, shipped_model_path
from core.review.figures import Answers, coarser, figures, gathered, trade
from core.taxonomy import plain

LABELS = ("joy", "sadness", "neutral")
AB = plain("ab", {"a": [0], "b": [1]}, threshold=0.5)


def answers(rows, said_and_true) -> Answers:
    """A sample in which (said, true) pairs of indices were answered; a stratum is what was said."""
    strata = np.array([said for said, _ in said_and_true], np.int64)
    truth = np.zeros((len(strata), len(rows)), bool)
    for at, (_, true) in enumerate(said_and_true):
        truth[at, list(true)] = True
    return Answers(np.array(rows), np.arange(len(rows)), strata, truth)


def test_figures_by_hand():
    found = figures(
        LABELS,
        answers([200, 100, 700], [(0, [0])] * 3 + [(0, [2])] + [(1, [1])] * 2 + [(2, [2])] * 4 + [(2, [0])]),
    )
    assert found.accuracy.value == pytest.approx(0.2 * 3 / 4 + 0.1 + 0.7 * 4 / 5)
    joy, sadness, neutral = found.labels
    assert joy.prevalence.value == pytest.approx(0.2 * 3 / 4 + 0.7 / 5)
    assert joy.precision.value == pytest.approx(3 / 4)
    assert joy.recall.value == pytest.approx(0.15 / 0.29)
    assert sum(label.prevalence.value for label in found.labels) == pytest.approx(1)
    assert (sadness.said, sadness.said_share, sadness.asked, sadness.named) == (100, 0.1, 2, 2)
    assert sadness.precision.value == sadness.recall.value == 1
    assert sadness.recall.low < 0.5
    assert neutral.recall.value == pytest.approx(0.56 / (0.56 + 0.05))
    assert found.matrix == ((3, 0, 1), (0, 2, 0), (1, 0, 4))
    for label in found.labels:
        for estimate in (label.precision, label.recall, label.prevalence):
            assert estimate.low <= estimate.value <= estimate.high


def test_every_row_asked_gives_the_truth_and_no_doubt():
    rng = np.random.default_rng(4)
    said, true = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    rows = np.bincount(said, minlength=3)
    found = figures(LABELS, answers(rows.tolist(), [(s, [t]) for s, t in zip(said, true, strict=True)]))
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((found.accuracy.value,) * 2)
    assert found.accuracy.value == pytest.approx((said == true).mean())
    for at, label in enumerate(found.labels):
        hit = ((said == at) & (true == at)).sum()
        assert label.precision.value == pytest.approx(hit / (said == at).sum())
        assert label.recall.value == pytest.approx(hit / (true == at).sum())
        assert label.recall.high - label.recall.low < 2e-3
        assert (label.prevalence.low, label.prevalence.high) == pytest.approx(((true == at).mean(),) * 2)


def test_several_labels_and_none_of_them():
    found = figures(LABELS, answers([10, 10, 10], [(0, [0, 1]), (1, []), (2, [0, 2])]))
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert [label.named for label in found.labels] == [2, 1, 1]
    assert found.labels[1].precision.value == 0


def test_no_answer_and_no_row():
    found = figures(LABELS, answers([10, 0, 5], []))
    assert (found.rows, found.asked, found.accuracy.value) == (15, 0, None)
    assert found.labels[0].prevalence.value is None
    assert figures(LABELS, answers([0, 0, 0], [])).labels[2].said == 0
    (only,) = (label for label in figures(LABELS, answers([10, 0, 5], [(2, [2])])).labels if label.label == "sadness")
    assert (only.precision.value, only.precision.low, only.precision.high) == (None, 0, 1)


def test_the_trade_of_a_threshold_weighs_rows_by_what_they_stand_for():
    one = Answers(np.array([90, 10]), np.array([0, 1]), np.array([0, 1]), np.array([[True, False], [True, True]]))
    scores = np.array([[0.9, 0.6], [0.3, 0.8]])
    found = trade(AB, one, scores, 0.5)
    assert found.precision.value == pytest.approx((90 * 1 + 10 * 1) / (90 * 2 + 10 * 1))
    assert found.recall.value == pytest.approx((90 * 1 + 10 * 1) / (90 * 1 + 10 * 2))
    assert found.listed == pytest.approx(1.9)
    strict = trade(AB, one, scores, 0.95)
    assert (strict.precision.value, strict.recall.value, strict.bare) == (None, 0, 1)
    assert trade(AB, one, scores, None) == trade(AB, one, scores, 0.5).__class__(
        None, found.precision, found.recall, found.listed, found.bare
    )


def test_answers_in_fine_labels_answer_for_coarse_ones():
    model = ModelDirectory.load(shipped_model_path())
    fine, ekman, sentiment = (model.taxonomies[name] for name in ("goemotions", "ekman", "sentiment"))
    to_sentiment = coarser(ekman, sentiment)
    assert [sentiment.labels[at] for at in to_sentiment] == [
        "negative",
        "negative",
        "negative",
        "positive",
        "negative",
        "ambiguous",
        "neutral",
    ]
    assert coarser(fine, ekman) is not None
    assert coarser(sentiment, ekman) is None
    assert coarser(ekman, fine) is None
    few = plain("own", {"thanks": [15], "rest": [17, 1]})
    assert coarser(fine, few)[0] == -1
    truth = np.zeros((2, 7), bool)
    truth[0, [0, 1]] = truth[1, 3] = True
    assert gathered(truth, to_sentiment, 4).tolist() == [[False, True, False, False], [True, False, False, False]]
