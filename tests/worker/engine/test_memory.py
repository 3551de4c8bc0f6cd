"""worker.engine.memory: bounded, least recently used out first, one model's answers never another's."""

from __future__ import annotations

import numpy as np
import pytest

from worker.engine.memory import TextMemory


def row(value: float) -> np.ndarray:
    return np.full((1, 28), value, dtype="<f2")


def put(memory: TextMemory, text: str, value: float) -> None:
    memory.put_many(memory.keys([text]), row(value), np.array([int(value)], dtype=np.int32))


def known(memory: TextMemory, *texts: str) -> list[bool]:
    return memory.get_many(memory.keys(texts))[0].tolist()


def test_gives_back_what_was_put() -> None:
    memory = TextMemory(10, "ab" * 32, 28)
    put(memory, "one", 1)
    put(memory, "three", 3)
    found, logits, windows = memory.get_many(memory.keys(["three", "two", "one", "three"]))
    assert found.tolist() == [True, False, True, True]
    assert logits[:, 0].tolist() == windows.tolist() == [3, 1, 3]
    assert logits.dtype == np.dtype("<f2")
    assert logits.shape == (3, 28)


def test_is_bounded_and_forgets_the_least_recently_used() -> None:
    memory = TextMemory(3, "ab" * 32, 28)
    for value, text in enumerate("abc"):
        put(memory, text, value)
    assert known(memory, "a") == [True]  # used: now "b" is the oldest
    put(memory, "d", 4)
    assert known(memory, "a", "b", "c", "d") == [True, False, True, True]
    put(memory, "a", 9)  # put again, known by its new value, and the newest
    put(memory, "e", 5)
    put(memory, "f", 6)
    assert known(memory, "a", "c", "d", "e", "f") == [True, False, False, True, True]
    assert memory.get_many(memory.keys(["a"]))[1][0, 0] == 9
    assert len(memory) == 3


def test_more_at_once_than_it_holds() -> None:
    memory = TextMemory(4, "ab" * 32, 28)
    texts = [str(i) for i in range(11)]
    values = np.arange(11)
    memory.put_many(memory.keys(texts), np.repeat(values[:, None], 28, axis=1).astype("<f2"), values.astype(np.int32))
    found, logits, windows = memory.get_many(memory.keys(texts))
    assert found.tolist() == [False] * 7 + [True] * 4
    assert logits[:, 27].tolist() == windows.tolist() == [7, 8, 9, 10]


def test_nothing() -> None:
    memory = TextMemory(4, "ab" * 32, 28)
    found, logits, windows = memory.get_many([])
    assert (len(found), logits.shape, len(windows)) == (0, (0, 28), 0)
    memory.put_many([], logits, windows)
    assert len(memory) == 0


def test_keys_depend_on_text_and_model_only() -> None:
    one, same, other = (TextMemory(1, sha * 32, 28) for sha in ("ab", "ab", "cd"))
    texts = ["", "a", "a\0", "a ", "😀"]
    assert one.keys(texts) == same.keys(texts)
    assert len({*one.keys(texts), *other.keys(texts)}) == 2 * len(texts)
    assert {len(key) for key in one.keys(texts)} == {16}
    assert not set(one.keys(texts)) & set(one.keys(texts, b"a job"))


def test_a_memory_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="remembers nothing"):
        TextMemory(0, "ab" * 32, 28)
