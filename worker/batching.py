"""Which token sequences run together: batches of similar length under a budget of padded tokens.

A batch is padded to its longest member, so its cost is longest × count, not the sum of the lengths. Sorting by length
first keeps the padding to a few percent, and a budget on that product gives every batch about the same cost and the
same memory, whether it holds three long texts or a hundred short ones. So do text-embeddings-inference and
sentence-transformers.

Pure: numpy in, numpy out. The engine scatters each batch's results back to `batch`'s positions, which restores order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]

_TAPER = 4  # with several lanes the last batches shrink to a quarter of the budget


def plan_batches(lengths: ArrayLike, token_budget: int, *, lanes: int = 1) -> Iterator[Indices]:
    """Divides sequences into batches, longest first.

    Longest first because memory then peaks in the first batch, and because what is left at the end is cheap. With
    several lanes a batch also takes at most its share of what is left, down to a quarter of the budget, so that the
    lanes finish together instead of all waiting for one.

    Args:
        lengths: (n,) tokens of each sequence, all over 0.
        token_budget: longest × count of one batch stays at or under this, except that a sequence longer than the
            budget is a batch by itself.
        lanes: how many batches run at once.

    Yields:
        Positions into `lengths`, each exactly once over all batches; equal lengths keep their order.

    Raises:
        ValueError: a budget or number of lanes under 1.
    """
    if token_budget < 1 or lanes < 1:
        raise ValueError(f"A budget of {token_budget} tokens on {lanes} lanes holds nothing.")
    lengths = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    left = int(lengths.sum())
    floor = max(1, token_budget // _TAPER)
    start = 0
    while start < len(order):
        share = token_budget if lanes == 1 else min(token_budget, max(floor, left // (2 * lanes)))
        count = max(1, share // int(lengths[order[start]]))
        batch = order[start : start + count]
        left -= int(lengths[batch].sum())
        start += count
        yield batch


def pad(sequences: Sequence[NDArray[np.int32]], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One rectangle of token ids out of `sequences`, padded at the right to the longest.

    Returns:
        input_ids and attention_mask (1 = token, 0 = padding), both (count, longest) int64.
    """
    lengths = np.array([len(sequence) for sequence in sequences])
    real = np.arange(lengths.max()) < lengths[:, None]
    input_ids = np.full(real.shape, pad_id, dtype=np.int64)
    input_ids[real] = np.concatenate(sequences)
    return input_ids, real.astype(np.int64)
