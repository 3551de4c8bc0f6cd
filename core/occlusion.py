"""Which words of a text mattered: each is left out in turn, and what that does to a label's score is looked at.

Occlusion (Zeiler and Fergus, 2014, "Visualizing and Understanding Convolutional Networks", section 4.2), for words:
erasure (Li, Monroe and Jurafsky, 2016, "Understanding Neural Networks through Representation Erasure"). It needs
nothing of the model but its answers. A word's change is score(text) - score(text without it): what is above 0 spoke for
the label. Changes do not add up to the score: two words that say the same can each be left out for nothing.

Pure: texts in, texts out, scores in, changes out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import LimitExceeded

MOST_REQUESTS = 4
"""Requests that one explanation may make of the synchronous lane."""

LEAST_PIECES = 7
"""With fewer, an answer would say too little of so long a text."""

_WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]+")
"""A word with its apostrophes and hyphens, or signs in a row: ``!!!`` and ``:)`` matter too."""


@dataclass(frozen=True)
class Piece:
    """A word, or some words in a row, of a text: its characters from `start` to `end`."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The piece itself."""
        return text[self.start : self.end]

    def left_out(self, text: str) -> str:
        """The text without it; what stands on both sides keeps one space between them, if there was one."""
        before, after = text[: self.start], text[self.end :]
        if before[-1:].isspace() and after[:1].isspace():
            after = after.lstrip()
        return before + after


def pieces_of(text: str, most: int) -> list[Piece]:
    """A text's words, in order; where there are more than `most`, so many in a row together that they are not."""
    words = [match.span() for match in _WORD.finditer(text)]
    each = -(-len(words) // most)
    return [Piece(words[at][0], words[min(at + each, len(words)) - 1][1]) for at in range(0, len(words), max(each, 1))]


def plan(text: str, *, most_texts: int, most_characters: int) -> tuple[list[Piece], list[list[str]]]:
    """What is to be asked to explain a text.

    Args:
        most_texts, most_characters: of one request.

    Returns:
        Its pieces; and the texts to be scored, in requests: the first is the whole text, then the text without each
        piece in turn. Pieces that are all there is of a text are left out of both.

    Raises:
        LimitExceeded: the text is so long that its pieces would be too coarse.
    """
    in_one = min(most_texts, most_characters // max(1, len(text)))
    most = min(most_texts, MOST_REQUESTS * in_one) - 1
    if most < LEAST_PIECES:
        longest = most_characters // -(-(LEAST_PIECES + 1) // MOST_REQUESTS)
        raise LimitExceeded(
            f"The text has {len(text):,} characters: too many to leave out its words one by one.",
            next_step=f"Texts of up to {longest:,} characters can be looked at this way.",
        )
    pieces = [piece for piece in pieces_of(text, most) if piece.left_out(text).strip()]
    texts = [text, *(piece.left_out(text) for piece in pieces)]
    return pieces, [texts[at : at + in_one] for at in range(0, len(texts), in_one)]


def changes(scores: Sequence[float]) -> list[float]:
    """What each piece does to a score: (1 + n) scores in the order of `plan` to n changes."""
    return [scores[0] - without for without in scores[1:]]
