"""worker.batching: which sequences run together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.batching import plan_batches

LENGTHS = st.lists(st.integers(1, 60), max_size=300)


@given(lengths=LENGTHS, budget=st.integers(1, 500))
def test_every_sequence_once_one_length_a_batch_and_none_over_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget)
    placed = [i for batch in batches for i in batch.tolist()]
    assert sorted(placed) == list(range(len(lengths)))
    costs = []
    for batch in batches:
        (length,) = {lengths[i] for i in batch}
        costs.append(length * len(batch))
        assert len(batch) == 1 or costs[-1] <= budget
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    ("lengths", "budget", "expected"),
    [
        ([], 10, []),
        ([3], 10, [[0]]),
        ([2, 5, 5, 2], 10, [[1, 2], [0, 3]]),  # most tokens first, equal lengths in their order
        ([5, 4, 5], 14, [[0, 2], [1]]),  # never two lengths in a batch, although there is room
        ([99, 1, 1], 10, [[0], [1, 2]]),  # a sequence over the budget is alone
        ([1] * 9, 8, [[0, 1, 2, 3, 4], [5, 6, 7, 8]]),  # evenly, not eight and one
    ],
)
def test_plan(lengths: list[int], budget: int, expected: list[list[int]]) -> None:
    assert [batch.tolist() for batch in plan_batches(lengths, budget)] == expected


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_that_holds_nothing_is_refused(budget: int) -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        plan_batches([1], budget)


def test_order_is_restored_by_scattering() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 300)
    restored = np.zeros_like(lengths)
    for batch in plan_batches(lengths, 128):
        restored[batch] = lengths[batch]
    np.testing.assert_array_equal(restored, lengths)
