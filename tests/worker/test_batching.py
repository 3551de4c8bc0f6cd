"""worker.batching: which sequences run together, and how they are padded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.batching import pad, plan_batches

LENGTHS = st.lists(st.integers(1, 600), max_size=200)


@given(lengths=LENGTHS, budget=st.integers(1, 2000), lanes=st.integers(1, 8))
def test_every_sequence_once_and_no_batch_over_budget(lengths: list[int], budget: int, lanes: int) -> None:
    batches = list(plan_batches(lengths, budget, lanes=lanes))
    placed = [i for batch in batches for i in batch.tolist()]
    assert sorted(placed) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget


@pytest.mark.parametrize(
    ("lengths", "budget", "lanes", "expected"),
    [
        ([], 10, 1, []),
        ([3], 10, 1, [[0]]),
        ([2, 5, 5, 2], 10, 1, [[1, 2], [0, 3]]),  # longest first, equal lengths in their order
        ([5, 5, 4], 14, 1, [[0, 1], [2]]),  # 5 x 3 would be over 14, although 5 + 5 + 4 is not
        ([99, 1, 1], 10, 1, [[0], [1, 2]]),  # a sequence over the budget is alone
        ([1] * 7, 3, 1, [[0, 1, 2], [3, 4, 5], [6]]),
        ([1] * 20, 8, 1, [[*range(8)], [*range(8, 16)], [*range(16, 20)]]),
        ([1] * 20, 8, 2, [[0, 1, 2, 3, 4], [5, 6, 7], [8, 9, 10], [11, 12], [13, 14], [15, 16], [17, 18], [19]]),
        ([1] * 20, 8, 99, [[i, i + 1] for i in range(0, 20, 2)]),  # never under a quarter of the budget
    ],
)
def test_plan(lengths: list[int], budget: int, lanes: int, expected: list[list[int]]) -> None:
    assert [batch.tolist() for batch in plan_batches(lengths, budget, lanes=lanes)] == expected


@pytest.mark.parametrize(("budget", "lanes"), [(0, 1), (-1, 1), (1, 0)])
def test_a_budget_that_holds_nothing_is_refused(budget: int, lanes: int) -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        list(plan_batches([1], budget, lanes=lanes))


def test_order_is_restored_by_scattering() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 300)
    restored = np.zeros_like(lengths)
    for batch in plan_batches(lengths, 128, lanes=3):
        restored[batch] = lengths[batch]
    np.testing.assert_array_equal(restored, lengths)


def test_pad() -> None:
    ids, mask = pad([np.array(row, dtype=np.int32) for row in ([1, 2, 3], [4], [5, 6])], pad_id=9)
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9], [5, 6, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert ids.dtype == mask.dtype == np.int64
