"""The null engine answers as an engine does, by the text alone, and a worker takes it when the settings say so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from core.model_directory import ModelDirectory, shipped_model_path
from core.settings import Settings
from tests.worker.engine.tiny_model import ODD
from worker import trace
from worker.engine.null import NullEngine
from worker.shift import open_shift


@pytest.fixture(scope="module")
def engine() -> NullEngine:
    return NullEngine(ModelDirectory.load(shipped_model_path()))


def test_logits_depend_on_the_text_alone(engine: NullEngine):
    texts = [*ODD, "good", "bad", "good"]
    together = engine.score(texts)
    assert together.logits.shape == (len(texts), 28)
    assert together.logits.dtype == np.dtype("<f2")
    assert np.isfinite(together.logits).all()
    assert together.windows.tolist() == [1] * len(texts)
    assert together.identical.sum() == 1
    alone = np.concatenate([engine.score([text]).logits for text in reversed(texts)])[::-1]
    assert (together.logits == alone).all()
    assert engine.score([]).logits.shape == (0, 28)


def test_labels_differ(engine: NullEngine):
    logits = engine.score([f"text {number}" for number in range(10_000)]).logits
    assert len(np.unique(logits, axis=0)) > 1_000
    tops = np.bincount(logits.argmax(axis=1), minlength=28)
    assert tops.min() > 100


def test_a_worker_takes_it_when_told(make_settings: Callable[..., Settings], db: object):
    trace.prepare()
    shift = open_shift(make_settings(engine="null"), trace.worker_id(1), lambda tickets: None)
    assert isinstance(shift.scorer, NullEngine)
