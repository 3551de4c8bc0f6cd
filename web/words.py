"""Which words of a row mattered: `core.occlusion` asked through the synchronous lane, while somebody waits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core import occlusion
from core.errors import BadOption, NotReady
from core.results import JobResults
from core.results.labels import UNITS, units_of
from core.states import RowStatus
from web.auth import require_account
from web.state import state


@dataclass(frozen=True)
class Word:
    """A piece of the text, from character `start` to `end`: the label's `score` without it, and what it adds."""

    text: str
    start: int
    end: int
    score: float
    change: float


@dataclass(frozen=True)
class Words:
    """A text's words, with what each does to the score of a label."""

    text: str
    taxonomy: str
    label: str
    score: float
    words: tuple[Word, ...]


def words_of(results: JobResults, row: int, label: str | None = None) -> Words:
    """Asks for the words of one row.

    Args:
        label: by default the row's top label in the taxonomy that `results` are read in.

    Raises:
        NotFound: no such row.
        NotReady: it has no result yet, was not scored, or by a model that is not in use any more.
        BadOption: the taxonomy has no such label.
        LimitExceeded: the text is too long.
        Unavailable: no worker is alive, or none had time.
    """
    detail = results.row(row)
    taxonomy = results.taxonomy
    if not detail.readings:
        raise NotReady("The row has no label, so no word spoke for it.", row=row, line=detail.row["line"])
    if results.model.sha256 != state().model.sha256:
        raise NotReady(
            f"The job was labelled with model {results.model.version}, and another one is in use now.",
            next_step="Label the file again to ask which words mattered.",
        )
    reading = detail.readings[taxonomy.name]
    label = label or reading.label
    if label not in taxonomy.labels:
        raise BadOption(f"label={label!r} is unknown.", next_step=f"Use one of: {', '.join(taxonomy.labels)}.")
    settings = state().settings
    text = detail.row["text"].strip()[: settings.max_text_chars]
    pieces, requests = occlusion.plan(
        text, most_texts=settings.classify_texts, most_characters=settings.chunk_text_bytes
    )
    scores: list[float] = []
    at = taxonomy.labels.index(label)
    for texts in requests:
        answer = state().lane.classify(require_account(), texts)
        if answer.status != [RowStatus.OK] * len(texts):
            raise NotReady("The model could not score this text without some of its words.", row=row)
        logits = np.frombuffer(answer.logits, dtype="<f2").reshape(len(texts), -1)
        scores += (units_of(taxonomy.scores(logits)[:, at]) / UNITS).tolist()
    offset = len(detail.row["text"]) - len(detail.row["text"].lstrip())
    words = tuple(
        Word(piece.of(text), piece.start + offset, piece.end + offset, score, round(change, 4))
        for piece, score, change in zip(pieces, scores[1:], occlusion.changes(scores), strict=True)
    )
    return Words(detail.row["text"], taxonomy.name, label, scores[0], words)
