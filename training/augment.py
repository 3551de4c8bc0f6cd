"""More texts for a student to hear its teacher on, made of the ones there are.

A teacher knows its own training rows too well: what it says of them is half memory. Of texts it never saw it says what
it has understood, and needs no gold label to say it (Jiao et al. 2020). Such texts need not be good English, only near
enough: words are dropped, exchanged for others of the corpus, or the end of one text follows the beginning of another.

Variants by `training.synonyms` are milder: they keep the row's gold label, so a run without a teacher can learn them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from training.base import load_base
from training.data import Rows
from training.synonyms import Synonyms, contextual_variants, synonym_variants

DROPPED = 0.1  # share of words left out
EXCHANGED = 0.15  # share of words exchanged for one drawn from the corpus, frequent words oftener
SPLICED = 0.3  # share of texts that end as another does


def variant(words: Sequence[str], other: Sequence[str], corpus: Sequence[str], random: np.random.Generator) -> str:
    """One new text from the words of one, of another to splice with, and of the corpus to draw from; never empty."""
    if len(words) > 1 and len(other) > 1 and random.random() < SPLICED:
        words = [*words[: int(random.integers(1, len(words)))], *other[int(random.integers(1, len(other))) :]]
    draws = random.random(len(words))
    kept = [
        corpus[int(random.integers(len(corpus)))] if draw < DROPPED + EXCHANGED else word
        for word, draw in zip(words, draws, strict=True)
        if draw >= DROPPED
    ]
    return " ".join(kept or words)


def augmented(rows: Rows, copies: int, seed: int) -> Rows:
    """`copies` variants of each row, without gold (all 0), under a hash of their own. The same seed gives the same."""
    random = np.random.default_rng(seed)
    split = [text.split() for text in rows.texts]
    corpus = [word for words in split for word in words]
    texts = []
    for _ in range(copies):
        others = random.permutation(len(split))
        texts += [variant(split[i], split[others[i]], corpus, random) for i in range(len(split))]
    gold = np.zeros((len(texts), rows.gold.shape[1]), np.int8)
    return Rows(texts, gold, hashlib.sha256("\n".join(texts).encode()).hexdigest())


def kept_labels(rows: Rows, copies: int, seed: int, how: str, base: str) -> Rows:
    """`copies` variants of each row under the row's own gold label, made with the base model's idea of near words.

    Args:
        rows: the rows to vary.
        copies, seed: how many variants a row, and what they are drawn by.
        how: `synonyms` or `contextual`.
        base: whose word embeddings (and, for `contextual`, encoder) say what is near, as a recipe names it.
    """
    encoder, tokenizer = load_base(base)
    synonyms = Synonyms(encoder, tokenizer, rows.texts)
    texts: list[str] = []
    for copy in range(copies):
        drawn = seed + 1000 * copy
        if how == "contextual":
            texts += contextual_variants(synonyms, encoder, tokenizer, rows.texts, drawn)
        else:
            texts += synonym_variants(synonyms, rows.texts, drawn)
    gold = np.concatenate([rows.gold] * copies)
    return Rows(texts, gold, hashlib.sha256("\n".join(texts).encode()).hexdigest())
