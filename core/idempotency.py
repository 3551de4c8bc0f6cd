"""`Idempotency-Key`: a program that got no answer asks again, and gets the first answer, not a second job.

A key in progress answers 409 until its holder answers or its lease runs out; a finished key gives the first answer
again to the same request (options and body alike), and refuses another one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import BadOption, KeyInProgress, KeyReused
from core.ledger.commits import to_json

KEEP_HOURS = 48
"""How long a finished key is remembered. Clients retry for minutes; a day of outage is survived twice over."""

MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class FirstAnswer:
    """What the first request with this key was told."""

    fingerprint: str
    response: Mapping[str, Any]

    def repeat(self, fingerprint: str) -> Mapping[str, Any]:
        """The first answer, for the same request.

        Raises:
            KeyReused: this request is another one.
        """
        if fingerprint != self.fingerprint:
            raise KeyReused(
                "This Idempotency-Key was used with another file or other options.",
                next_step="Use a new key for a new request.",
            )
        return self.response


def begin(session: Session, account_id: uuid.UUID, key: str, lease_s: float) -> FirstAnswer | None:
    """Takes a key for the request at hand.

    Returns:
        None: the key is ours, answer and `finish`. Otherwise what the first request was answered.

    Raises:
        KeyInProgress: another request holds it; ask again in a second.
        BadOption: the key is empty or too long.
    """
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise BadOption(f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} characters.", next_step="A UUID is a good key.")
    ours = session.execute(
        text("""
        INSERT INTO idempotency (account_id, key, state, lease_until)
        VALUES (:account_id, :key, 'in_progress', now() + make_interval(secs => :lease_s))
        ON CONFLICT (account_id, key) DO UPDATE SET state = 'in_progress', fingerprint = NULL, response = NULL,
            job_id = NULL, lease_until = excluded.lease_until, created_at = now()
        WHERE idempotency.lease_until < now()
        RETURNING key
        """),
        {"account_id": account_id, "key": key, "lease_s": lease_s},
    ).one_or_none()
    if ours:
        return None
    row = session.execute(
        text("SELECT state, fingerprint, response FROM idempotency WHERE account_id = :account_id AND key = :key"),
        {"account_id": account_id, "key": key},
    ).one_or_none()
    if row is None or row.state == "in_progress":
        raise KeyInProgress(
            "A request with this Idempotency-Key is being answered.", next_step="Ask again in a second."
        )
    return FirstAnswer(row.fingerprint, row.response)


def extend(session: Session, account_id: uuid.UUID, key: str, lease_s: float) -> None:
    """Keeps a key in progress while a long body arrives."""
    session.execute(
        text("""
        UPDATE idempotency SET lease_until = now() + make_interval(secs => :lease_s)
        WHERE account_id = :account_id AND key = :key AND state = 'in_progress'
        """),
        {"account_id": account_id, "key": key, "lease_s": lease_s},
    )


def finish(
    session: Session,
    account_id: uuid.UUID,
    key: str,
    *,
    fingerprint: str,
    job_id: uuid.UUID,
    response: Mapping[str, Any],
) -> None:
    """Remembers the answer. Belongs into the transaction that makes the job, so that both happen or neither."""
    session.execute(
        text("""
        UPDATE idempotency SET state = 'done', fingerprint = :fingerprint, job_id = :job_id,
            response = CAST(:response AS jsonb), lease_until = now() + make_interval(hours => :hours)
        WHERE account_id = :account_id AND key = :key AND state = 'in_progress'
        """),
        {
            "account_id": account_id,
            "key": key,
            "fingerprint": fingerprint,
            "job_id": job_id,
            "response": to_json(dict(response)),
            "hours": KEEP_HOURS,
        },
    )


def forget(session: Session, account_id: uuid.UUID, key: str) -> None:
    """Frees a key whose request was refused: the corrected request may use it."""
    session.execute(
        text("DELETE FROM idempotency WHERE account_id = :account_id AND key = :key AND state = 'in_progress'"),
        {"account_id": account_id, "key": key},
    )
