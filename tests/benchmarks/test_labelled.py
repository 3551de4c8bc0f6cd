"""Labelled files of contestants: one arithmetic for all, and how far two files agree."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.labelled import agreement, as_logits, labels
from core.model_directory import ModelDirectory, find_model


@pytest.fixture
def model() -> ModelDirectory:
    return ModelDirectory.load(find_model("emobatch-distilbert-6x384"))


def test_a_pipelines_answer_becomes_logits_in_the_models_order(model):
    logits = np.random.default_rng(1).normal(size=(3, len(model.labels))).astype(np.float32)
    answers = [
        sorted(
            ({"label": label, "score": float(score)} for label, score in zip(model.labels, row, strict=True)),
            key=lambda one: -one["score"],
        )
        for row in logits
    ]
    assert np.array_equal(as_logits(model, answers), logits)


def test_labels_are_those_of_the_taxonomy(model):
    logits = np.full((2, len(model.labels)), -6.0)
    logits[0, model.labels.index("fear")] = 3
    logits[1, model.labels.index("joy")] = 3
    found = labels(model, logits)
    assert found["emotion"] == ["fear", "joy"]
    assert found["sentiment"] == ["negative", "positive"]
    assert all(0 < score <= 1 for score in found["emotion_score"])


def test_agreement_is_by_row_whatever_the_order_or_the_parts(tmp_path):
    one = tmp_path / "one.csv"
    one.write_text("id,emotion\n1,joy\n2,fear\n3,anger\n4,joy\n")
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "b.csv").write_text("id,emotion\n1,joy\n3,anger\n")
    (parts / "a.csv").write_text("emotion,id\njoy,4\nsadness,2\n")
    assert agreement(one, parts) == 0.75
    (parts / "a.csv").write_text("emotion,id\njoy,4\n")
    with pytest.raises(ValueError, match="the same rows"):
        agreement(one, parts)
