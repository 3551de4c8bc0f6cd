"""The arithmetic that the engine's graph does, counted: products only, two operations for each multiply and add.

Counted as executed (padding, where there is any, included), so that a rate of it can be held against the speed of plain
matrix products. The graph is that of `worker.engine.graph`: all layers but the last on every token, the last for [CLS]
only.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.model_directory import ModelDirectory


def batch_flops(model: ModelDirectory, rows: int, length: int) -> int:
    """Floating-point operations of the products for one batch of `rows` sequences, `length` tokens each."""
    dim, hidden, tokens = model.dim, model.hidden_dim, rows * length
    projections = 4 * tokens * dim * dim  # queries, keys, values, output
    attention = 2 * tokens * length * dim  # every token's query with every key, and the mix of values
    feed_forward = 2 * tokens * dim * hidden
    full = projections + attention + feed_forward
    # One query a row: its projection, the same through the keys' matrix, the mix through the values', the output.
    cls_projections = 4 * rows * dim * dim
    # Each head's query has the model's whole width, since keys and values are the tokens themselves.
    cls_attention = 2 * model.n_heads * tokens * dim
    cls_feed_forward = 2 * rows * dim * hidden
    head = rows * dim * (dim + len(model.labels))
    return 2 * ((model.n_layers - 1) * full + cls_projections + cls_attention + cls_feed_forward + head)


def total_flops(model: ModelDirectory, batches: Iterable[tuple[int, int]]) -> int:
    """The same, summed over batches of (rows, length)."""
    return sum(batch_flops(model, rows, length) for rows, length in batches)
