"""How a user wants to read results: which taxonomy, which threshold, how many scores. Chosen after the job, at will."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from core.errors import BadOption


class Scores(StrEnum):
    """How many scores stand in the output."""

    NONE = "none"  # labels only
    TOP = "top"  # the score of the emotion and of the sentiment
    ALL = "all"  # these, and one column for each of the model's labels


@dataclass(frozen=True)
class ResultOptions:
    """Options of one reading."""

    taxonomy: str | None = None
    """None: the model's default."""
    threshold: float | None = None
    """None: the fitted threshold of each label ("auto"); a number replaces all of them."""
    scores: Scores = Scores.TOP
    corrections: bool = False
    """Whether a download has what people say of rows beside what the model says."""

    @classmethod
    def parse(
        cls,
        taxonomy: str | None = None,
        threshold: str | None = None,
        scores: str | None = None,
        *,
        corrections: bool = False,
    ) -> Self:
        """Options from strings, as they stand in a URL; empty ones and None are the defaults.

        Raises:
            BadOption: not a number from 0 to 1, or an unknown word. The taxonomy is checked against the job's model.
        """
        try:
            chosen = Scores(scores or Scores.TOP)
        except ValueError:
            raise BadOption(f"scores={scores!r} is unknown.", next_step="Use none, top or all.") from None
        limit = None
        if threshold and threshold != "auto":
            try:
                limit = float(threshold)
            except ValueError:
                limit = -1.0
            if not 0.0 <= limit <= 1.0:
                raise BadOption(
                    f"threshold={threshold!r} is not a number from 0 to 1.",
                    next_step="Use a number such as 0.4, or auto.",
                )
        return cls(taxonomy or None, limit, chosen, corrections)
