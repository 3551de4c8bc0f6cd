"""Tokenized rows and the batches made of them: like lengths together, padded to the longest, with noise where asked.

The noise (tokens left out, tokens masked) is drawn anew each time a row is read, so that no epoch sees the same text
twice; a fixed set of variants is `training.augment`'s. It draws from torch's global generator, which checkpoints
restore: a resumed run sees the same noise as one that was never stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Noise:
    """Shares of a row's tokens that are left out, and that become [MASK] (`mask_id`); [CLS] and [SEP] stay."""

    dropped: float = 0.0
    masked: float = 0.0
    mask_id: int = 0

    def __call__(self, ids: list[int]) -> list[int]:
        """A noisy copy of a row's token ids; at least one token stays between [CLS] and [SEP]."""
        inner = ids[1:-1]
        draws = torch.rand(len(inner)).tolist()
        kept = [
            self.mask_id if draw < self.dropped + self.masked else token
            for token, draw in zip(inner, draws, strict=True)
            if draw >= self.dropped
        ]
        return [ids[0], *(kept or inner[:1]), ids[-1]] if len(ids) > 2 else ids


@dataclass
class Tokens(torch.utils.data.Dataset):
    """Tokenized rows for the Trainer: `ids` (n lists, truncated to the window) and float32 `targets` (n, labels)."""

    ids: list[list[int]]
    targets: NDArray[np.float32]
    noise: Noise | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self.ids[index]
        return {"input_ids": self.noise(ids) if self.noise else ids, "labels": self.targets[index]}


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text, [CLS] and [SEP] included, cut at the window; nothing is padded."""
    backend = copy.deepcopy(tokenizer.backend_tokenizer)
    backend.no_padding()
    backend.enable_truncation(max_length)
    return [encoding.ids for encoding in backend.encode_batch(list(texts))]


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of unequal length to one batch, padded with 0 ([PAD]) to the longest."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[i, :length] = torch.tensor(row["input_ids"])
        mask[i, :length] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if "labels" in rows[0]:
        batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]))
    return batch


class LikeLengths(torch.utils.data.Sampler[int]):
    """Row indices so that each batch holds rows of like length, batches and rows in random order.

    Transformers' own strategy of that purpose hands out the batches of fifty in falling length, so that the gradient
    drifts with length; here they are shuffled. The order follows from seed and epoch alone, so that a run which was
    stopped within an epoch goes on with the rows that are left of it.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, pool: int = 50, seed: int = 0) -> None:
        self.lengths = torch.tensor(lengths)
        self.batch_size, self.pool, self.seed = batch_size, pool, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        batches: list[torch.Tensor] = []
        generator = torch.Generator().manual_seed(1_000 * self.seed + self.epoch)
        for part in torch.randperm(len(self), generator=generator).split(self.batch_size * self.pool):
            batches += part[self.lengths[part].argsort(descending=True, stable=True)].split(self.batch_size)
        full = [i for i, batch in enumerate(batches) if len(batch) == self.batch_size]
        short = [i for i, batch in enumerate(batches) if len(batch) < self.batch_size]  # last, or it shifts the others
        for i in [full[j] for j in torch.randperm(len(full), generator=generator)] + short:
            yield from batches[i].tolist()
