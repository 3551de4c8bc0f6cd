"""Texts that are labelled at once: what is said of each, and how many of them fit into one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_TEXTS = 64
MOST_CHARACTERS = 32 * 1024
"""Of one request's texts together, as the server takes them."""


@dataclass(frozen=True)
class TextLabels:
    """What is said of one text, in the words of a job's rows; `fields` keeps the whole answer, `scores` among it."""

    emotion: str | None
    """None with the taxonomy ``sentiment``, and where the text was not scored."""
    emotion_score: float | None
    emotions: tuple[str, ...]
    """All that reach their threshold."""
    sentiment: str | None
    sentiment_score: float | None
    row_status: str
    """``ok``, ``ok: windowed 3``, ``empty``, ``failed: <reason>``."""
    flags: tuple[str, ...]
    """What speaks against the label: ``no_words``, ``not_english``, ``unfamiliar``, ``close``."""
    fields: Mapping[str, Any]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TextLabels:
        """Reads one result of ``POST /classify``."""
        return cls(
            emotion=fields.get("emotion"),
            emotion_score=fields.get("emotion_score"),
            emotions=tuple(fields.get("emotions") or ()),
            sentiment=fields["sentiment"],
            sentiment_score=fields.get("sentiment_score"),
            row_status=fields["row_status"],
            flags=tuple(fields.get("flags") or ()),
            fields=fields,
        )


def results_from(answer: Mapping[str, Any], texts: Sequence[str]) -> list[TextLabels]:
    """Reads the answer about some texts. Raises ValueError if it is about more or fewer."""
    found = [TextLabels.from_dict(result) for result in answer["results"]]
    if len(found) != len(texts):
        raise ValueError(f"{len(found)} results for {len(texts)} texts")
    return found


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in as few requests as their order allows; one that is too long for any stands alone."""
    start = room = 0
    for at, text in enumerate(texts):
        if at > start and (at - start == MOST_TEXTS or len(text) > room):
            yield texts[start:at]
            start = at
        room = (MOST_CHARACTERS if at == start else room) - len(text)
    if start < len(texts):
        yield texts[start:]
