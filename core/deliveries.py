"""Messages to webhooks: written down when a job ends, sent until they are understood, kept for their owner to look at.

A message is written in the transaction that ends the job (a transactional outbox), so none is lost and none is made up;
`worker.postman` sends it, at least once.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import case, delete, func, select, text, update
from sqlalchemy.orm import Session

from core.errors import NotFound, NotReady
from core.mark import Mark
from core.models import Delivery, Webhook
from core.states import DeliveryState, WebhookEvent
from core.webhooks import get

RETRY_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses after each attempt that failed, as Standard Webhooks recommends: three days in all, then it is given up."""

ATTEMPT_S = 60.0
"""So long an attempt under way is nobody else's: longer than it can take."""

KEPT_DAYS = 30
"""Of the log."""

GONE = "The receiver answered 410 Gone."
GIVEN_UP = "A message could not be delivered for three days."


@dataclass(frozen=True)
class Due:
    """A message to be sent now."""

    id: uuid.UUID
    webhook_id: uuid.UUID
    account_id: uuid.UUID
    job_id: uuid.UUID | None
    url: str
    generation: int
    payload: dict[str, Any]
    tries: int
    """This attempt included."""


@dataclass(frozen=True)
class Attempt:
    """What came of sending a message once. `status` is the answer's, None where there was none: `error` says why."""

    at: datetime
    status: int | None
    ms: int
    error: str | None

    @property
    def good(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


_ANNOUNCE = text("""
INSERT INTO delivery (account_id, webhook_id, job_id, event, payload)
SELECT w.account_id, w.id, j.id, j.event, jsonb_build_object(
    'type', j.event, 'timestamp', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'data', jsonb_build_object(
        'job_id', j.id, 'filename', j.filename, 'state', j.state, 'created_at', j.created_at,
        'finished_at', j.finished_at, 'model_version', j.model_version, 'rows_total', j.rows_total,
        'rows_ok', j.rows_ok, 'rows_skipped', j.rows_skipped, 'rows_failed', j.rows_failed,
        'error', j.error))
FROM (
    SELECT *, CASE state WHEN 'failed' THEN 'job.failed' WHEN 'cancelled' THEN 'job.cancelled'
        ELSE 'job.completed' END AS event
    FROM job WHERE id = :job_id AND state IN ('completed', 'completed_with_errors', 'failed', 'cancelled')
) j JOIN webhook w ON w.account_id = j.account_id AND w.disabled_at IS NULL AND j.event = ANY(w.events)
""")


def announce(session: Session, job_id: uuid.UUID) -> None:
    """Writes down who is to be told that a job has ended. Call it once, in the transaction that ends it."""
    session.execute(_ANNOUNCE, {"job_id": job_id})


def send_test(session: Session, account_id: uuid.UUID, webhook_id: uuid.UUID) -> Delivery:
    """A message that says nothing, for a receiver to be tried with.

    Raises:
        NotFound: as `get`.
        NotReady: the webhook is turned off.
    """
    webhook = get(session, account_id, webhook_id)
    _must_be_on(webhook)
    made = Delivery(
        account_id=account_id,
        webhook_id=webhook.id,
        event=WebhookEvent.TEST,
        payload={"type": WebhookEvent.TEST, "data": {"webhook_id": str(webhook.id)}},
    )
    session.add(made)
    session.flush()
    session.refresh(made)
    return made


def list_deliveries(
    session: Session, account_id: uuid.UUID, webhook_id: uuid.UUID, *, limit: int, before: Mark | None
) -> list[Delivery]:
    """A webhook's messages, newest first.

    Args:
        before: the place of the last one already seen: older ones follow.

    Raises:
        NotFound: the webhook is unknown or another account's.
    """
    get(session, account_id, webhook_id)
    query = select(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.account_id == account_id)
    if before is not None:
        query = query.where(before.comes_after(Delivery))
    return list(session.scalars(query.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(limit)))


def send_again(session: Session, account_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Has a message sent anew, whatever became of it before; one that waits for its next attempt, within `ATTEMPT_S`.

    No sooner, since an attempt at it may be under way: what a receiver has understood is not sent to it twice.

    Raises:
        NotFound: unknown, or another account's.
        NotReady: its webhook is turned off.
    """
    found = _delivery(session, account_id, delivery_id)
    _must_be_on(get(session, account_id, found.webhook_id))
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id)
        .values(
            state=DeliveryState.PENDING,
            tries=0,
            not_before=case(
                (Delivery.state != DeliveryState.PENDING, func.now()),
                else_=func.least(Delivery.not_before, func.now() + timedelta(seconds=ATTEMPT_S)),
            ),
        )
    )
    session.refresh(found)
    return found


def _delivery(session: Session, account_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    found = session.scalars(
        select(Delivery).where(Delivery.id == delivery_id, Delivery.account_id == account_id)
    ).one_or_none()
    if found is None:
        raise no_such_delivery()
    return found


def no_such_delivery() -> NotFound:
    """What an unknown message and another account's are answered with."""
    return NotFound("There is no such message.", next_step="List them: GET /api/v1/webhooks/<id>/deliveries.")


def _must_be_on(webhook: Webhook) -> None:
    if webhook.disabled_at is not None:
        raise NotReady(
            f"The webhook is turned off: {webhook.disabled_because}", next_step="Mend the receiver, then enable it."
        )


# --- sending, for the worker ----------------------------------------------------------------------------------------

# Two of each webhook at a time: a receiver that never answers holds up no other.
_CLAIM = text("""
WITH due AS MATERIALIZED (
    SELECT d.id FROM webhook w CROSS JOIN LATERAL (
        SELECT id FROM delivery
        WHERE webhook_id = w.id AND state = 'pending' AND not_before <= now()
        ORDER BY not_before LIMIT 2 FOR UPDATE SKIP LOCKED
    ) d WHERE w.disabled_at IS NULL LIMIT :most
)
UPDATE delivery d SET tries = tries + 1, not_before = now() + make_interval(secs => :attempt_s)
FROM due, webhook w WHERE d.id = due.id AND w.id = d.webhook_id
RETURNING d.id, d.webhook_id, d.account_id, d.job_id, w.url, w.generation, d.payload, d.tries
""")


_RECORD = text("""
UPDATE delivery SET state = :state, attempts = attempts || CAST(:noted AS jsonb),
    not_before = now() + make_interval(secs => :pause), delivered_at = CASE WHEN :good THEN now() END
WHERE id = :id AND state = 'pending'
""")


def claim(session: Session, most: int) -> list[Due]:
    """Messages to be sent now, each nobody else's for `ATTEMPT_S`; the worker's session."""
    rows = session.execute(_CLAIM, {"most": most, "attempt_s": ATTEMPT_S}).all()
    return [Due(*row) for row in rows]


def record(session: Session, due: Due, attempt: Attempt) -> DeliveryState:
    """Writes down what came of an attempt, and when the next one is due; the worker's session.

    A receiver that answers 410, or that nothing reached for three days, is not called again.

    Returns:
        The message's state now.
    """
    noted = {"at": attempt.at.isoformat(), "status": attempt.status, "ms": attempt.ms, "error": attempt.error}
    state, pause = DeliveryState.PENDING, 0
    if attempt.good:
        state = DeliveryState.DELIVERED
    elif attempt.status == 410 or due.tries > len(RETRY_S):
        state = DeliveryState.FAILED
    else:
        pause = RETRY_S[due.tries - 1]
    session.execute(
        _RECORD,
        {
            "id": due.id,
            "state": state,
            "noted": orjson.dumps([noted]).decode(),
            "pause": pause,
            "good": attempt.good,
        },
    )
    if state is DeliveryState.FAILED:
        session.execute(
            update(Webhook)
            .where(Webhook.id == due.webhook_id, Webhook.disabled_at.is_(None))
            .values(disabled_at=func.now(), disabled_because=GONE if attempt.status == 410 else GIVEN_UP)
        )
    return state


def remove_old(session: Session) -> int:
    """Takes what is over and older than `KEPT_DAYS` from the log; how many. The worker's session."""
    gone = session.execute(
        delete(Delivery).where(
            Delivery.state != DeliveryState.PENDING,
            Delivery.created_at < func.now() - func.make_interval(0, 0, 0, KEPT_DAYS),
        )
    )
    return gone.rowcount  # type: ignore[attr-defined]
