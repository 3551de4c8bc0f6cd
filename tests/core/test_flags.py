"""core.flags: what is read off stored logits against their labels, and the words for it."""

from __future__ import annotations

import numpy as np
import pytest

from core import flags
from core.flags import Trust
from core.states import RowFlag

LABELS = ("joy", "fear", "neutral")
UNFAMILIAR, CLOSE = int(RowFlag.UNFAMILIAR), int(RowFlag.CLOSE)


def read_off(logits, scores, trust) -> list[int]:
    found = flags.read_off(np.array(logits, "<f2"), np.array(scores), trust, flags.neutral_of(LABELS))
    return found.tolist()


def test_a_row_without_a_trace_of_emotion_is_unfamiliar_however_sure_neutral_is():
    logits = [[-8, -8, 9], [-8, 0.5, 9], [-8, -8, -8]]
    scores = [[0.0, 0.0, 1.0], [0.0, 0.6, 1.0], [0.0, 0.2, 0.4]]
    assert read_off(logits, scores, Trust(trace=-3.0)) == [UNFAMILIAR, 0, UNFAMILIAR]
    assert read_off(logits, scores, Trust(trace=None)) == [0, 0, 0]


def test_two_labels_nearly_as_likely_are_close():
    logits = [[0, 0, 0]] * 3
    scores = [[0.5, 0.41, 0.1], [0.5, 0.39, 0.1], [0.1, 0.2, 0.25]]
    assert read_off(logits, scores, Trust(margin=0.1)) == [CLOSE, 0, CLOSE]


def test_a_taxonomy_of_one_label_is_never_close():
    assert read_off([[0, 0, 0]], [[0.5]], Trust()) == [0]


def test_infinite_logits_and_no_rows_at_all_are_no_trouble():
    inf = np.inf
    assert read_off([[-inf, -inf, inf], [inf, -inf, 0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.5]], Trust(-3.0)) == [
        UNFAMILIAR,
        0,
    ]
    assert flags.read_off(np.empty((0, 3)), np.empty((0, 3)), Trust(-3.0), 2).shape == (0,)


def test_words_stand_for_every_combination_and_only_for_trust():
    stored = flags.stored([RowFlag.RAGGED | RowFlag.NOT_ENGLISH, RowFlag.WINDOWED, RowFlag.NO_WORDS])
    assert flags.words(stored) == [("not_english",), (), ("no_words",)]
    every = np.array([RowFlag.NO_WORDS | RowFlag.NOT_ENGLISH | RowFlag.UNFAMILIAR | RowFlag.CLOSE, 0])
    assert flags.cells(every) == ["no_words|not_english|unfamiliar|close", ""]
    assert flags.count(np.array([CLOSE, CLOSE | UNFAMILIAR, 0])) == {"unfamiliar": 1, "close": 2}
    assert set(flags.MEANINGS) == set(flags.WORDS.values())


@pytest.mark.parametrize("trust", [Trust(), Trust(-3.5, 0.05)])
def test_trust_survives_the_manifest(trust):
    assert Trust.from_dict(trust.to_dict()) == trust
    assert Trust.from_dict(None) == Trust()
