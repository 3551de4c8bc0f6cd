"""core.taxonomy against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.taxonomy import Calibration, Taxonomy, calibrated, logit, noisy_or, plain, sigmoid


def three(**changes: object) -> Taxonomy:
    """Two groups and neutral over four logits, uncalibrated."""
    fields = {
        "name": "three",
        "labels": ("up", "down", "neutral"),
        "members": ((0, 1), (2,), (3,)),
        "calibration": (Calibration(), Calibration(), Calibration()),
        "thresholds": (0.5, 0.25, 0.5),
    }
    return Taxonomy(**fields | changes)  # type: ignore[arg-type]


def test_sigmoid_of_known_values() -> None:
    assert sigmoid(np.array([0.0, math.log(3), -math.log(3)])) == pytest.approx([0.5, 0.75, 0.25], abs=1e-15)


def test_sigmoid_takes_what_float16_can_hold() -> None:
    extremes = np.array([np.inf, -np.inf, 65504, -65504], dtype=np.float16)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert sigmoid(extremes).tolist() == [1.0, 0.0, 1.0, 0.0]


def test_sigmoid_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        sigmoid(np.array([0.0, np.nan]))


def test_logit_undoes_sigmoid_and_stays_finite() -> None:
    z = np.array([-9.0, -0.5, 0.0, 7.25])
    assert logit(sigmoid(z)) == pytest.approx(z, abs=1e-9)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_noisy_or_by_hand() -> None:
    p = np.array([[0.5, 0.2, 0.9], [0.0, 0.0, 1.0]])
    assert noisy_or(p, (0, 1)) == pytest.approx([1 - 0.5 * 0.8, 0.0])
    assert noisy_or(p, (0, 1, 2)) == pytest.approx([1 - 0.5 * 0.8 * 0.1, 1.0])


def test_noisy_or_of_one_member_is_that_member() -> None:
    p = np.random.default_rng(0).random((50, 4))
    assert (noisy_or(p, (2,)) == p[:, 2]).all()


def test_scores_by_hand() -> None:
    taxonomy = three(calibration=(Calibration(2.0, math.log(2)), Calibration(), Calibration(1.0, -1.0)))
    logits = np.array([[0.0, 0.0, math.log(3), 1.0]])
    # up: raw 0.75, odds 3, odds² = 9, times 2 = 18; down: 0.75; neutral: logit 1 - 1 = 0.
    assert taxonomy.scores(logits)[0] == pytest.approx([18 / 19, 0.75, 0.5], abs=1e-9)


def test_uncalibrated_single_labels_are_sigmoids() -> None:
    taxonomy = plain("goemotions", {str(i): [i] for i in range(28)})
    logits = np.random.default_rng(1).normal(-3, 3, (40, 28)).astype(np.float16)
    assert taxonomy.scores(logits) == pytest.approx(sigmoid(logits), abs=1e-12)


def test_a_row_scores_the_same_whatever_stands_around_it() -> None:
    rng = np.random.default_rng(2)
    taxonomy = plain("pairs", {str(i): [i, i + 14] for i in range(14)})
    logits = rng.normal(-2, 3, (257, 28)).astype(np.float16)
    together = taxonomy.scores(logits)
    alone = np.concatenate([taxonomy.scores(logits[i : i + 1]) for i in range(len(logits))])
    assert (together == alone).all()


def test_infinite_logits_give_finite_scores() -> None:
    logits = np.array([[np.inf, np.inf, -np.inf, np.inf], [-np.inf] * 4], dtype=np.float16)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        scores = three(calibration=(Calibration(3.0, 1.0), Calibration(0.5, -2.0), Calibration())).scores(logits)
    assert np.isfinite(scores).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[0, 0] > 0.999
    assert scores[1].max() < 1e-5


def test_no_rows_are_no_scores() -> None:
    scores = three().scores(np.zeros((0, 4), np.float16))
    assert scores.shape == (0, 3)
    assert [part.shape for part in three().top(scores)] == [(0,), (0,)]
    assert three().selected(scores).shape == (0, 3)


def test_rows_too_narrow_are_refused() -> None:
    with pytest.raises(ValueError, match="4 logits"):
        three().scores(np.zeros((2, 3)))


def test_top_takes_the_first_of_equals() -> None:
    index, score = three().top(np.array([[0.1, 0.7, 0.7], [0.2, 0.2, 0.2], [0.0, 0.1, 0.3]]))
    assert index.tolist() == [1, 0, 2]
    assert index.dtype == np.int64
    assert score.tolist() == [0.7, 0.2, 0.3]


def test_selected_is_at_or_over_the_fitted_thresholds() -> None:
    chosen = three().selected(np.array([[0.5, 0.24, 0.4], [0.49, 0.25, 0.5]]))
    assert chosen.tolist() == [[True, False, False], [False, True, True]]


def test_a_given_threshold_replaces_all() -> None:
    scores = np.array([[0.5, 0.24, 0.4]])
    assert three().selected(scores, 0.4).tolist() == [[True, False, True]]
    assert three().selected(scores, 0.9).tolist() == [[False, False, False]]
    assert three().selected(scores, 0.0).tolist() == [[True, True, True]]


def test_names_keep_output_order() -> None:
    assert three().names(np.array([True, False, True])) == ["up", "neutral"]


@pytest.mark.parametrize("calibration", [Calibration(0.3, 2.0), Calibration(1.0, 0.0), Calibration(2.5, -4.0)])
def test_calibration_never_reorders_rows(calibration: Calibration) -> None:
    raw = np.linspace(0.0005, 0.9995, 2001)
    assert (np.diff(calibrated(raw, calibration.slope, calibration.offset)) > 0).all()


@pytest.mark.parametrize(("slope", "offset"), [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf)])
def test_a_calibration_that_would_reorder_is_refused(slope: float, offset: float) -> None:
    with pytest.raises(ValueError, match="calibration"):
        Calibration(slope, offset)


def test_dict_round_trip_is_exact() -> None:
    taxonomy = three(calibration=(Calibration(0.1 + 0.2, -1 / 3), Calibration(), Calibration()))
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ("up", "up", "neutral")},
        {"labels": ("up", "neutral")},
        {"members": ((0, 0), (2,), (3,))},
        {"members": ((), (2,), (3,))},
        {"members": ((-1,), (2,), (3,))},
        {"thresholds": (0.5, 1.0, 0.5)},
    ],
)
def test_a_taxonomy_that_does_not_fit_together_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="three"):
        three(**changes)


def test_a_dict_that_is_no_taxonomy_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        Taxonomy.from_dict({"name": "x", "labels": [{"label": "a", "members": [0], "slope": 1, "offset": 0}]})
