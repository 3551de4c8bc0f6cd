"""Variants of a text that keep its label: words exchanged for near ones, as the base model itself knows them.

Two words are near where their rows in the model's word embeddings are (cosine), so no thesaurus is needed and none is
shipped. Such neighbours hold antonyms too (good: bad), so the second way looks at the whole text: of several variants
it keeps the one that the encoder reads most like the original, by the mean of its last hidden states, which for the
packaged MiniLM is the sentence embedding it was trained to give. A base with a masked-language head is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DistilBertModel, PreTrainedTokenizerFast

from training.batches import collate, tokenize

NEAREST = 8  # neighbours a word may be exchanged for
LEAST_COSINE = 0.5  # of a neighbour; rarer and stranger words have none
EXCHANGED = 0.2  # share of the words with neighbours that are exchanged, at least one
CANDIDATES = 4  # variants that the encoder chooses among
# A whole word: not the "couldn" of "couldn't", nor the NAME of GoEmotions' placeholder [NAME].
_WORD = re.compile(r"(?<![\w\['’])[A-Za-z]{3,}(?![\w\]'’])")


class Synonyms:
    """Near words of a model's vocabulary, found for the words of a corpus."""

    def __init__(self, encoder: DistilBertModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> None:
        """Finds the neighbours of every whole-token word of `texts`."""
        known = {token: i for token, i in tokenizer.get_vocab().items() if _WORD.fullmatch(token)}
        words = sorted(known, key=lambda token: known[token])
        table = encoder.embeddings.word_embeddings.weight.detach()[[known[word] for word in words]].float()
        table = torch.nn.functional.normalize(table - table.mean(dim=0), dim=1)  # centred: what all share says nothing
        used = {word.lower() for text in texts for word in _WORD.findall(text)}
        rows = [at for at, word in enumerate(words) if word in used]
        self.near: dict[str, list[str]] = {}
        for part in torch.tensor(rows, dtype=torch.long).split(512):
            cosine = table[part] @ table.T
            cosine[torch.arange(len(part)), part] = -1.0
            best, index = cosine.topk(min(NEAREST, len(words)), dim=1)
            for at, scores, found in zip(part.tolist(), best.tolist(), index.tolist(), strict=True):
                if close := [words[j] for j, c in zip(found, scores, strict=True) if c >= LEAST_COSINE]:
                    self.near[words[at]] = close

    def variant(self, text: str, random: np.random.Generator) -> str:
        """`text` with some words exchanged; `text` itself where none of its words has a neighbour."""
        places = [m for m in _WORD.finditer(text) if m.group().lower() in self.near]
        if not places:
            return text
        count = max(1, round(EXCHANGED * len(places)))
        chosen = sorted(random.choice(len(places), count, replace=False))
        out, end = [], 0
        for place in (places[i] for i in chosen):
            near = self.near[place.group().lower()]
            out += [text[end : place.start()], near[int(random.integers(len(near)))]]
            end = place.end()
        return "".join(out) + text[end:]


def sentence_vectors(
    encoder: DistilBertModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_length: int, batch: int = 64
) -> NDArray[np.float32]:
    """Unit vectors (n, dim): the mean of each text's last hidden states; computed sorted by length."""
    ids = tokenize(tokenizer, texts, max_length)
    order = np.argsort([len(row) for row in ids], kind="stable")
    out = np.zeros((len(ids), encoder.config.dim), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            index = order[start : start + batch]
            inputs = collate([{"input_ids": ids[i]} for i in index])
            hidden = encoder(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"][:, :, None]
            out[index] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    return out


def synonym_variants(synonyms: Synonyms, texts: Sequence[str], seed: int) -> list[str]:
    """One variant of each text, in order. The same seed gives the same."""
    random = np.random.default_rng(seed)
    return [synonyms.variant(text, random) for text in texts]


def contextual_variants(
    synonyms: Synonyms,
    encoder: DistilBertModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    seed: int,
    max_length: int = 128,
) -> list[str]:
    """Of CANDIDATES variants of each text, the one that the encoder reads most like it."""
    original = sentence_vectors(encoder, tokenizer, texts, max_length)
    best = np.full(len(texts), -2.0)
    chosen = list(texts)
    for candidate in range(CANDIDATES):
        variants = synonym_variants(synonyms, texts, seed * CANDIDATES + candidate)
        alike = (sentence_vectors(encoder, tokenizer, variants, max_length) * original).sum(axis=1)
        for i in np.flatnonzero(alike > best):
            chosen[i], best[i] = variants[i], alike[i]
    return chosen
