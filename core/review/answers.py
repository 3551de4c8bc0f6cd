"""The rows of a sample asked one after the other, answered, and taken back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import BadOption, NotFound
from core.ledger import changed
from core.review.corrections import correct
from core.review.reviews import review_of
from core.review.tables import Review, Verdict
from core.taxonomy import Taxonomy


@dataclass(frozen=True)
class Answer:
    """One row of a sample, answered: what the person said, and what had been said of it."""

    row: int
    verdict: Verdict
    labels: tuple[str, ...]
    said: str
    said_score: float


def next_rows(
    session: Session, account_id: uuid.UUID, job_id: uuid.UUID, *, taxonomy: str | None = None, limit: int = 1
) -> list[int]:
    """The data rows to ask about next, in order: those not looked at, then those skipped, the longest ago first.

    Raises:
        NotFound, BadOption: as `progress`.
    """
    _, review = review_of(session, account_id, job_id, taxonomy)
    found = session.scalars(
        text("""
        SELECT row_no FROM review_row
        WHERE job_id = :job_id AND taxonomy = :taxonomy AND (verdict IS NULL OR verdict = 'skipped')
        ORDER BY verdict IS NOT NULL, answered_at, place LIMIT :limit
        """),
        {"job_id": job_id, "taxonomy": review.taxonomy, "limit": limit},
    )
    return list(found)


def answer(
    session: Session,
    account_id: uuid.UUID,
    job_id: uuid.UUID,
    row: int,
    labels: Sequence[str] | None,
    *,
    verdict: Verdict = Verdict.LABELLED,
    taxonomy: str | None = None,
) -> Answer:
    """Takes the answer about a row of a sample. Answering again replaces the first answer.

    Args:
        labels: what is true of it, for the verdict ``labelled``; empty: none of them.

    Raises:
        NotFound: no such job, sample, or row in it.
        BadOption: an unknown label; labels where there should be none, or none where there should be some.
    """
    _, review = review_of(session, account_id, job_id, taxonomy)
    if (labels is None) is (verdict is Verdict.LABELLED):
        raise BadOption("Give either labels, or the verdict unsure or skipped.")
    values = {"job_id": job_id, "taxonomy": review.taxonomy, "row": row}
    found = session.execute(
        text("""
        UPDATE review_row SET verdict = :verdict, answered_at = clock_timestamp()
        WHERE job_id = :job_id AND taxonomy = :taxonomy AND row_no = :row RETURNING stratum, logits
        """),
        values | {"verdict": verdict},
    ).one_or_none()
    if found is None:
        raise _not_in_sample(row)
    kept: Sequence[str] = ()
    if labels is None:
        _forget(session, values)
    else:
        kept = correct(session, account_id, job_id, row, labels, taxonomy=review.taxonomy, given_in="review").labels
    return _answer(review, row, verdict, tuple(kept), found)


def _answer(review: Review, row: int, verdict: Verdict, labels: tuple[str, ...], found: Any) -> Answer:
    chosen = Taxonomy.from_dict(review.definition)
    score = chosen.scores(np.frombuffer(found.logits, "<f2").reshape(1, -1))[0, found.stratum]
    return Answer(row, verdict, labels, chosen.labels[found.stratum], round(float(score), 4))


def last_answer(
    session: Session, account_id: uuid.UUID, job_id: uuid.UUID, *, taxonomy: str | None = None
) -> Answer | None:
    """The row of a sample that was answered last: what `take_back` takes back.

    Raises:
        NotFound, BadOption: as `progress`.
    """
    _, review = review_of(session, account_id, job_id, taxonomy)
    found = session.execute(
        text("""
        SELECT r.row_no, r.verdict, r.stratum, r.logits, c.labels FROM review_row r
        LEFT JOIN correction c ON c.job_id = r.job_id AND c.taxonomy = r.taxonomy AND c.row_no = r.row_no
        WHERE r.job_id = :job_id AND r.taxonomy = :taxonomy AND r.verdict IS NOT NULL
        ORDER BY r.answered_at DESC LIMIT 1
        """),
        {"job_id": job_id, "taxonomy": review.taxonomy},
    ).one_or_none()
    if found is None:
        return None
    verdict = Verdict(found.verdict)
    labels = tuple(found.labels or ()) if verdict is Verdict.LABELLED else ()
    return _answer(review, found.row_no, verdict, labels, found)


def take_back(
    session: Session, account_id: uuid.UUID, job_id: uuid.UUID, row: int | None = None, *, taxonomy: str | None = None
) -> int | None:
    """Makes a row of a sample unanswered again, by default the one that was answered last.

    Returns:
        The data row; None if nothing has been answered.

    Raises:
        NotFound: no such job, sample, or row in it.
        BadOption: an unknown taxonomy.
    """
    _, review = review_of(session, account_id, job_id, taxonomy)
    values: dict[str, Any] = {"job_id": job_id, "taxonomy": review.taxonomy}
    if row is None:
        row = session.scalars(
            text("""
            SELECT row_no FROM review_row WHERE job_id = :job_id AND taxonomy = :taxonomy AND verdict IS NOT NULL
            ORDER BY answered_at DESC LIMIT 1
            """),
            values,
        ).one_or_none()
        if row is None:
            return None
    values["row"] = row
    there = changed(
        session,
        """
        UPDATE review_row SET verdict = NULL, answered_at = NULL
        WHERE job_id = :job_id AND taxonomy = :taxonomy AND row_no = :row
        """,
        values,
    )
    if not there:
        raise _not_in_sample(row)
    _forget(session, values)
    return row


def _forget(session: Session, values: dict[str, Any]) -> None:
    """Withdraws what was answered in the sample; what somebody said elsewhere stays."""
    changed(
        session,
        """
        DELETE FROM correction
        WHERE job_id = :job_id AND taxonomy = :taxonomy AND row_no = :row AND given_in = 'review'
        """,
        values,
    )


def _not_in_sample(row: int) -> NotFound:
    return NotFound(f"Data row {row} is not in the sample.", next_step="Ask for the next rows of it.")
