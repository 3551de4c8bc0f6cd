"""Texts to token ids, in windows that the model can hold: nothing is cut off, whatever the length.

A text longer than the model's window is scored in several overlapping windows, and their logits are averaged.

- **The overlap is at least a quarter of a window**: a sentence or two that one window cuts, its neighbour sees whole.
- **Windows are spread evenly and all but full**: the last one is not a leftover of five words without context. So all
  hold the same number of tokens, and weighting by tokens is the plain mean.
- **The mean of logits**, not the maximum: thresholds are fitted on texts of one window, and a maximum would say more
  emotions the longer a text is. A mean of logits stays on the scale the thresholds were fitted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.model_directory import ModelDirectory, ModelDirectoryError

_SPECIAL = 2  # [CLS] before, [SEP] after
_GROUP_CHARS = 1 << 18  # tokenized at once: an Encoding holds some 150 bytes a token, so this bounds it at 40 MB


@dataclass(frozen=True)
class Windows:
    """The windows of n texts, end to end in one array.

    Attributes:
        ids: (tokens,) int32: the token ids of window after window, each with its [CLS] and [SEP].
        starts, lengths: (windows,) int64: where in `ids` a window begins, and its tokens.
        per_text: (n,) int32: how many windows each text has, at least 1; they follow one another.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    per_text: NDArray[np.int32]

    @property
    def first(self) -> NDArray[np.int64]:
        """(n,) int64: the number of each text's first window."""
        return np.cumsum(self.per_text, dtype=np.int64) - self.per_text

    def of(self, texts: NDArray[np.int64]) -> Windows:
        """The windows of some of the texts, given by their positions, in that order."""
        per_text = self.per_text[texts]
        within = np.arange(per_text.sum()) - np.repeat(np.cumsum(per_text) - per_text, per_text)
        chosen = np.repeat(self.first[texts], per_text) + within
        return Windows(self.ids, self.starts[chosen], self.lengths[chosen], per_text)

    def only(self, windows: NDArray[np.int64]) -> Windows:
        """Some of the windows, given by their numbers, as if each were a text of its own."""
        each = np.ones(len(windows), dtype=np.int32)
        return Windows(self.ids, self.starts[windows], self.lengths[windows], each)

    def rectangle(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(batch), length) int64: the ids of windows that are all of one length."""
        return self.ids[self.starts[batch][:, None] + np.arange(self.lengths[batch[0]])].astype(np.int64)


def window_starts(n_tokens: int, room: int) -> NDArray[np.int64]:
    """Where the windows of a text begin.

    Args:
        n_tokens: tokens of the text, without [CLS] and [SEP].
        room: tokens that one window takes of them.

    Returns:
        (k,) int64, first 0, k as small as the overlap allows; window i covers `room` tokens from `starts[i]`, and the
        last one ends at the text's end. Neighbours share at least a quarter of `room`.
    """
    if n_tokens <= room:
        return np.zeros(1, dtype=np.int64)
    stride = room - room // 4
    count = 1 + -(-(n_tokens - room) // stride)
    return np.arange(count, dtype=np.int64) * (n_tokens - room) // (count - 1)


class Tokens:
    """The model's tokenizer, with the model's window.

    `[SEP]` and its like in a user's text are words of that text, not commands to the model. Several threads may use
    it at once.

    Raises ModelDirectoryError where the tokenizer is unreadable or does not belong to the model.
    """

    def __init__(self, model: ModelDirectory) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(model.tokenizer_path))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelDirectoryError(f"{model.tokenizer_path} cannot be read: {error}.") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        cls, sep = (self._tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        if cls is None or sep is None or self._tokenizer.get_vocab_size() > model.vocab_size:
            raise ModelDirectoryError(
                f"{model.tokenizer_path} does not belong to the model: it lacks [CLS] or [SEP], or has more than the "
                f"model's {model.vocab_size} tokens."
            )
        self._cls, self._sep = cls, sep
        self._room = model.max_length - _SPECIAL

    def windows(self, texts: Sequence[str]) -> Windows:
        """The windows of `texts`, in order, each at most the model's window. Releases the interpreter lock at times."""
        ids: list[int] = []
        lengths: list[int] = []
        per_text = np.ones(len(texts), dtype=np.int32)
        room, at = self._room, 0
        for group in _groups(texts):
            for encoding in self._tokenizer.encode_batch_fast(group, add_special_tokens=False):
                found = encoding.ids
                starts = (0,) if len(found) <= room else window_starts(len(found), room).tolist()
                for start in starts:
                    window = found[start : start + room]
                    ids.append(self._cls)
                    ids += window
                    ids.append(self._sep)
                    lengths.append(len(window) + _SPECIAL)
                per_text[at] = len(starts)
                at += 1
        sizes = np.array(lengths, dtype=np.int64)
        return Windows(np.array(ids, dtype=np.int32), np.cumsum(sizes) - sizes, sizes, per_text)


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """`texts` in runs of bounded size; a text over the bound is a run by itself."""
    group: list[str] = []
    chars = 0
    for text in texts:
        if group and chars + len(text) > _GROUP_CHARS:
            yield group
            group, chars = [], 0
        group.append(text)
        chars += len(text)
    if group:
        yield group
