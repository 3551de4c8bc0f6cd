"""The synchronous lane's table: a few texts, and somebody who waits for what is said of them.

Web writes a request and listens; a worker looks here before every chunk, scores, writes the answer and notifies; web
takes the answer, which deletes the row. What is kept of an answer has the form of a chunk's result, so that labels come
of it by the same functions. The worker erases the texts as it answers, and whatever nobody comes back for expires.
As in the ledger, clocks are Postgres' and the caller owns the transaction. There is no token: two workers would say the
same, so whoever is first answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.arrays import SmallInts
from core.ledger import changed
from core.ledger.commits import to_json

CHANNEL = "emobatch_answered"
"""What web listens to; the payload is a request's id."""

ATTEMPTS = 2
"""Workers that may die or stall over one request: after so many it is left to expire."""


@dataclass(frozen=True)
class ClaimedRequest:
    """The time-limited right to answer a request."""

    id: uuid.UUID
    account_id: uuid.UUID
    texts: list[str]


@dataclass(frozen=True)
class Answer:
    """What the model says of a request's n texts.

    Attributes:
        logits: (n, labels) float16, little-endian, row-major; NaN where a text was not scored.
        status: `core.states.RowStatus` of each text.
        flags: `core.states.RowFlag` of each text.
        detail: sparse, by index.
        scored_s: seconds that the model took for all of them.
    """

    logits: bytes
    status: list[int]
    flags: list[int]
    detail: Mapping[str, Any]
    scored_s: float


def submit(
    session: Session,
    request_id: uuid.UUID,
    account_id: uuid.UUID,
    *,
    model_sha256: str,
    texts: Sequence[str],
    keep_s: float,
) -> None:
    """Puts texts into the lane; nobody may answer them later than `keep_s` seconds from now."""
    session.execute(
        text("""
        INSERT INTO classify_request (id, account_id, model_sha256, texts, expires_at)
        VALUES (:id, :account_id, :model, :texts, now() + make_interval(secs => :keep_s))
        """),
        {
            "id": request_id,
            "account_id": account_id,
            "model": model_sha256,
            "texts": orjson.dumps(list(texts)),
            "keep_s": keep_s,
        },
    )


def take(session: Session, request_id: uuid.UUID) -> Answer | None:
    """The answer, which is deleted by this; None while there is none."""
    row = session.execute(
        text("""
        DELETE FROM classify_request WHERE id = :id AND logits IS NOT NULL
        RETURNING logits, status, flags, detail, scored_s
        """),
        {"id": request_id},
    ).one_or_none()
    return Answer(bytes(row.logits), row.status, row.flags, row.detail, row.scored_s) if row else None


def withdraw(session: Session, request_id: uuid.UUID) -> None:
    """Nobody waits any more: texts and answer are deleted."""
    changed(session, "DELETE FROM classify_request WHERE id = :id", {"id": request_id})


_UNANSWERED = """texts IS NOT NULL AND model_sha256 = ANY(:models) AND expires_at > now() AND attempt < :attempts
    AND (lease_until IS NULL OR lease_until < now())"""
_CLAIM_ONE = """
UPDATE classify_request SET attempt = attempt + 1, worker_id = :worker_id,
    lease_until = now() + make_interval(secs => :lease_s)
WHERE id = (
    SELECT id FROM classify_request WHERE {unanswered} ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, account_id, texts
"""
_CLAIM = text(_CLAIM_ONE.format(unanswered=_UNANSWERED))
_COUNT = "SELECT count(*) FROM (SELECT FROM classify_request WHERE {unanswered} LIMIT :most) unanswered"
_WAITING = text(_COUNT.format(unanswered=_UNANSWERED))


def claim(session: Session, *, worker_id: str, models: Sequence[str], lease_s: float) -> ClaimedRequest | None:
    """Leases the request that has waited longest; None when nobody waits."""
    row = session.execute(
        _CLAIM, {"worker_id": worker_id, "models": list(models), "lease_s": lease_s, "attempts": ATTEMPTS}
    ).one_or_none()
    return ClaimedRequest(row.id, row.account_id, orjson.loads(row.texts)) if row else None


def answer(session: Session, claimed: ClaimedRequest, given: Answer) -> bool:
    """Writes an answer and erases the texts; whoever waits is told when the transaction commits.

    Returns:
        False if nobody waits any more, or another worker was faster: nothing is written then.
    """
    written = changed(
        session,
        """
        UPDATE classify_request SET texts = NULL, lease_until = NULL, logits = :logits, status = :status,
            flags = :flags, detail = CAST(:detail AS jsonb), scored_s = :scored_s
        WHERE id = :id AND texts IS NOT NULL
        """,
        {
            "id": claimed.id,
            "logits": given.logits,
            "status": SmallInts(given.status),
            "flags": SmallInts(given.flags),
            "detail": to_json(dict(given.detail)),
            "scored_s": given.scored_s,
        },
    )
    if written:
        session.execute(text("SELECT pg_notify(:channel, :id)"), {"channel": CHANNEL, "id": str(claimed.id)})
    return bool(written)


def waiting(session: Session, models: Sequence[str], most: int) -> int:
    """How many requests could be claimed now, counted up to `most`."""
    return session.execute(_WAITING, {"models": list(models), "attempts": ATTEMPTS, "most": most}).scalar_one()


def remove_expired(session: Session) -> int:
    """Deletes requests that nobody came back for; how many."""
    return changed(session, "DELETE FROM classify_request WHERE expires_at < now()", {})
