"""Which token sequences run together: batches of one length, under a budget of tokens.

A batch of one length has no padding, so nothing is computed in vain and nothing needs masking; and what else is in the
batch hardly touches a text's logits, because every sum runs over the text's own tokens only. A chunk of a thousand
texts holds some fifty lengths, so most batches fill their budget; the few short ones, of rare lengths, cost next to
nothing. The budget gives every full batch about the same cost and memory, whether it holds three long texts or a
hundred short ones.

Pure: numpy in, numpy out. The engine scatters each batch's results back to `batch`'s positions, which restores order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]


def plan_batches(lengths: ArrayLike, token_budget: int) -> list[Indices]:
    """Divides sequences into batches of one length each, the one with the most tokens first.

    In this order memory peaks in the first batch, and where several run at once all finish at about the same time: the
    last ones are small (Graham 1969, longest processing time first).

    Args:
        lengths: (n,) tokens of each sequence, all over 0.
        token_budget: tokens of one batch, at most, except that a sequence longer than that is a batch by itself. What
            is over it is divided evenly: 33 where 32 fit makes 17 and 16, not 32 and 1.

    Returns:
        Positions into `lengths`, each exactly once over all batches, ascending in each.

    Raises:
        ValueError: a budget under 1.
    """
    if token_budget < 1:
        raise ValueError(f"A budget of {token_budget} tokens holds nothing.")
    lengths = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    batches: list[Indices] = []
    for same in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        if len(same):
            room = max(1, token_budget // int(lengths[same[0]]))
            batches += np.array_split(same, -(-len(same) // room))
    return sorted(batches, key=lambda batch: -len(batch) * int(lengths[batch[0]]))
