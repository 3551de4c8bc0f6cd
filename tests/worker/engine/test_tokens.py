"""worker.engine.tokens: what the model is given to read, and that nothing of a text is lost on the way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import ODD, WriteModel
from tokenizers import Tokenizer

from core.model_directory import ModelDirectory, ModelDirectoryError
from worker.engine import tokens as tokens_module
from worker.engine.tokens import Tokens, window_starts


def windows_of(tokens: Tokens, texts: list[str]) -> list[list[list[int]]]:
    """For each text, the token ids of its windows."""
    found = tokens.windows(texts)
    ends = found.starts + found.lengths
    windows = iter([found.ids[start:end].tolist() for start, end in zip(found.starts, ends, strict=True)])
    return [list(itertools.islice(windows, int(count))) for count in found.per_text]


@given(n=st.integers(0, 5000), room=st.integers(1, 130))
def test_windows_cover_a_text_and_overlap(n: int, room: int) -> None:
    starts = window_starts(n, room).tolist()
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    if n <= room:
        assert starts == [0]
        return
    assert starts[-1] == n - room  # the last window ends where the text does, and is full
    strides = [b - a for a, b in itertools.pairwise(starts)]
    assert max(strides) <= room - room // 4  # the overlap
    assert max(strides) - min(strides) <= 1  # spread evenly
    assert (len(starts) - 2) * (room - room // 4) + room < n  # one window fewer would not do


@pytest.mark.parametrize(
    ("n", "room", "expected"),
    [(0, 8, [0]), (8, 8, [0]), (9, 8, [0, 1]), (14, 8, [0, 6]), (15, 8, [0, 3, 7]), (3, 1, [0, 1, 2])],
)
def test_window_starts(n: int, room: int, expected: list[int]) -> None:
    assert window_starts(n, room).tolist() == expected


def test_a_short_text_is_encoded_as_the_tokenizer_would(model: ModelDirectory) -> None:
    plain = Tokenizer.from_file(str(model.tokenizer_path))
    plain.no_truncation()
    plain.no_padding()
    texts = ["I love this!", "so bad, not good day.", *ODD]
    for text, windows in zip(texts, windows_of(Tokens(model), texts), strict=True):
        ids = plain.encode(text).ids
        assert len(ids) > model.max_length or windows == [ids]


def test_a_long_text_is_whole_in_its_windows(model: ModelDirectory) -> None:
    text = " ".join(f"{i % 10}" for i in range(103))
    (windows,) = windows_of(Tokens(model), [text])
    starts = window_starts(103, model.max_length - 2)
    assert len(windows) == len(starts) > 1
    assert {len(window) for window in windows} == {model.max_length}
    bare = Tokenizer.from_file(str(model.tokenizer_path))
    bare.no_truncation()
    cls, *ids, sep = bare.encode(text).ids
    found = np.zeros(103, dtype=int)
    for start, window in zip(starts, windows, strict=True):
        assert (window[0], window[-1]) == (cls, sep)
        found[start : start + len(window) - 2] = window[1:-1]
    assert found.tolist() == ids


def test_special_tokens_in_a_text_are_words(model: ModelDirectory) -> None:
    ((window,),) = windows_of(Tokens(model), ["a [SEP] b"])
    special = Tokenizer.from_file(str(model.tokenizer_path)).token_to_id("[SEP]")
    assert window.count(special) == 1
    assert window[-1] == special


def test_grouping_changes_nothing(model: ModelDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["i love this", "", "x" * 50, "bad", "very good day", "y"] * 3
    whole = windows_of(Tokens(model), texts)
    monkeypatch.setattr(tokens_module, "_GROUP_CHARS", 12)
    assert max(len(group) for group in tokens_module._groups(texts)) < len(texts)
    assert windows_of(Tokens(model), texts) == whole
    assert len(whole) == len(texts)


def test_a_rectangle_holds_windows_of_one_length(model: ModelDirectory) -> None:
    texts = ["i love", "bad", "i hate", "very good"]
    windows = Tokens(model).windows(texts)
    rectangle = windows.rectangle(np.array([0, 3]))
    assert rectangle.dtype == np.int64
    assert rectangle.tolist() == [windows_of(Tokens(model), texts)[i][0] for i in (0, 3)]


def test_a_tokenizer_of_another_model_is_refused(write_model: WriteModel) -> None:
    with pytest.raises(ModelDirectoryError, match="does not belong to the model"):
        Tokens(write_model(vocab_size=20))
    model = write_model()
    model.tokenizer_path.write_text("{")
    with pytest.raises(ModelDirectoryError, match=r"tokenizer\.json"):
        Tokens(model)


def test_some_of_the_texts_keep_their_windows(model: ModelDirectory) -> None:
    tokens = Tokens(model)
    texts = ["good", "good and bad " * 60, "bad", "so so " * 80]
    whole = tokens.windows(texts)
    assert max(whole.per_text) > 1
    chosen = [3, 0, 1]
    some, same = whole.of(np.array(chosen)), tokens.windows([texts[i] for i in chosen])
    for found, expected in zip(range(len(some.starts)), range(len(same.starts)), strict=True):
        assert whole.ids[some.starts[found] :][: some.lengths[found]].tolist() == (
            same.ids[same.starts[expected] :][: same.lengths[expected]].tolist()
        )
    assert some.per_text.tolist() == same.per_text.tolist()
    alone = whole.only(np.array([1]))
    assert (alone.starts.tolist(), alone.per_text.tolist()) == ([whole.starts[1]], [1])
