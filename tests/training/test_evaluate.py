"""Figures against a row-by-row hand count, and the shipped model on sentences nobody would argue about."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from core.model_directory import ModelDirectory, shipped_model_path  # noqa: E402
from core.taxonomy import plain  # noqa: E402
from training.data import DataError, data_dir  # noqa: E402
from training.evaluate import cross_fitted, evaluate, logits_of, main  # noqa: E402
from training.figures import FIGURES, Judged, expected_calibration_error, figures  # noqa: E402

GROUPS = {
    "goemotions": {"anger": [0], "joy": [1], "love": [2], "neutral": [3]},
    "ekman": {"anger": [0], "joy": [1, 2], "neutral": [3]},
    "sentiment": {"positive": [1, 2], "negative": [0], "neutral": [3]},
}
TAXONOMIES = {name: plain(name, groups) for name, groups in GROUPS.items()}  # type: ignore[arg-type]

GOLD = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 1]], np.int8)
LOGITS = np.array(
    [
        [2, -2, -2, -1],  # anger: right
        [-2, 1, -1, -2],  # joy without love: the group is right
        [0.5, -2, -2, 1],  # love missed: neutral on top, anger best of six
        [-2, -2, -2, 2],  # neutral: right
        [3, -3, -3, -2],  # two gold groups: in no single-label figure
    ],
    np.float16,
)


def test_figures_by_hand() -> None:
    found = figures(TAXONOMIES, LOGITS, GOLD)
    assert tuple(found) == FIGURES
    assert found["n"] == 5
    # said: anger in rows 0, 2, 4; joy in 1; love never; neutral in 2, 3
    assert found["macro_f1_28"] == pytest.approx((2 * 2 / 5 + 1 + 0 + 2 * 1 / 4) / 4)
    assert found["macro_f1_ekman7"] == pytest.approx((2 * 2 / 5 + 2 * 1 / 3 + 2 * 1 / 4) / 3)
    assert found["macro_f1_sentiment"] == pytest.approx((2 * 1 / 3 + 2 * 2 / 5 + 2 * 1 / 4) / 3)
    assert found["accuracy_ekman7_single"] == pytest.approx(3 / 4)
    assert found["accuracy_six"] == pytest.approx(2 / 3)
    assert found["macro_f1_six"] == pytest.approx((2 * 1 / 3 + 2 * 1 / 3) / 2)


def test_rows_of_no_single_label_give_no_single_label_figures() -> None:
    found = figures(TAXONOMIES, LOGITS[4:], GOLD[4:])
    assert [found[key] for key in ("accuracy_ekman7_single", "accuracy_six", "macro_f1_six", "ece")] == [None] * 4


def test_calibration_error_by_hand() -> None:
    score = np.array([0.6, 0.6, 0.9, 0.9])
    right = np.array([True, False, True, True])
    assert expected_calibration_error(score, right, bins=2) == pytest.approx((0.1 + 0.1) / 2)
    assert expected_calibration_error(np.full(1000, 0.7), np.arange(1000) % 10 < 7, bins=1) == pytest.approx(0.0)


def test_cross_fitting_never_reports_what_it_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[set[int]] = []
    reported: list[set[int]] = []
    rows = np.arange(40, dtype=np.float16)[:, None].repeat(4, axis=1)

    def fit(groups: object, logits: np.ndarray, gold: np.ndarray, method: object) -> dict[str, object]:
        fitted.append(set(logits[:, 0].astype(int)))
        return {}

    def report(taxonomies: object, logits: np.ndarray, gold: np.ndarray) -> Judged:
        reported.append(set(logits[:, 0].astype(int)))
        return Judged(len(gold), {})

    monkeypatch.setattr("training.evaluate.fit_all", fit)
    monkeypatch.setattr("training.evaluate.judge", report)
    found = cross_fitted(GROUPS, rows, np.zeros((40, 4), np.int8), splits=3)
    assert found["n"] == 40
    assert len(fitted) == 6
    for one, other in zip(fitted, reported, strict=True):
        assert not one & other
        assert one | other == set(range(40))


OBVIOUS = [
    ("Thank you so much, this made my day!", "joy", "gratitude", "positive"),
    ("I love this, it is wonderful.", "joy", "love", "positive"),
    ("This makes me so angry, I hate it.", "anger", "anger", "negative"),
    ("I am so sad, I cried all night.", "sadness", "sadness", "negative"),
    ("I'm terrified of what happens next.", "fear", "fear", "negative"),
    ("That is disgusting.", "disgust", "disgust", "negative"),
    ("Wow, I did not expect that at all!", "surprise", "surprise", "ambiguous"),
    ("The store opens at nine.", "neutral", "neutral", "neutral"),
]


def test_the_shipped_model_on_obvious_sentences() -> None:
    model = ModelDirectory.load(shipped_model_path(), verify=True)
    logits = logits_of(model, [text for text, *_ in OBVIOUS])
    assert logits.shape == (len(OBVIOUS), 28)
    assert logits.dtype == np.float16
    for column, name in enumerate(("ekman", "goemotions", "sentiment"), start=1):
        taxonomy = model.taxonomies[name]
        scores = taxonomy.scores(logits)
        best = [taxonomy.labels[i] for i in taxonomy.top(scores)[0]]
        assert best == [row[column] for row in OBVIOUS]
        assert taxonomy.selected(scores)[np.arange(len(best)), taxonomy.top(scores)[0]].all()


def test_a_row_scores_alike_alone_and_in_a_batch() -> None:
    model = ModelDirectory.load(shipped_model_path())
    texts = [text for text, *_ in OBVIOUS]
    together = model.taxonomy.scores(logits_of(model, texts))
    alone = np.concatenate([model.taxonomy.scores(logits_of(model, [text])) for text in texts])
    assert np.abs(together - alone).max() < 2e-3  # float16 steps near a logit of 4 are 0.004


def test_the_command_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.tsv"
    labels = ModelDirectory.load(shipped_model_path()).labels
    path.write_text("".join(f"{text}\t{labels.index(fine)}\tid\n" for text, _, fine, _ in OBVIOUS))
    assert main(["--data", str(path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert tuple(printed) == FIGURES
    assert printed["accuracy_ekman7_single"] == 1.0
    assert printed["n"] == len(OBVIOUS)


def test_a_missing_file_is_a_plain_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none.tsv")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "none.tsv" in captured.err


@pytest.mark.slow
def test_the_shipped_model_reaches_its_marks_on_dev() -> None:
    from training.data import read_tsv

    try:
        rows = read_tsv(data_dir() / "dev.tsv")
    except DataError:
        pytest.skip("GoEmotions is not beside this checkout")
    found = evaluate(ModelDirectory.load(shipped_model_path()), rows, cross_fit=True)
    assert found["macro_f1_28"] >= 0.48
    assert found["macro_f1_ekman7"] >= 0.62
    assert found["accuracy_six"] >= 0.83
