"""Webhooks: who wants to hear of an account's jobs.

What each is told is `core.deliveries`'. Format and signature are those of Standard Webhooks (standardwebhooks.com).

A webhook's secret is an HMAC of its id under the installation's key. It stands in no table, so nobody can steal it
there, and changing it is adding one to a number.
"""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Sequence
from typing import Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import BadOption, LimitExceeded, NotFound
from core.models import Webhook
from core.settings import Settings
from core.states import WebhookEvent

MAX_WEBHOOKS = 20
"""Of one account."""

MAX_URL = 2_000

Choosable = Literal[WebhookEvent.COMPLETED, WebhookEvent.FAILED, WebhookEvent.CANCELLED]
CHOOSABLE: tuple[Choosable, ...] = get_args(Choosable)


def secret_of(settings: Settings, webhook_id: uuid.UUID, generation: int) -> str:
    """A webhook's secret, as Standard Webhooks writes it: ``whsec_`` and 32 bytes in base64."""
    key = settings.secret_key.get_secret_value().encode()
    if not key:
        raise RuntimeError("EMOBATCH_SECRET_KEY is not set: messages to webhooks cannot be signed without it.")
    secret = hmac.digest(key, b"webhook %s %d" % (webhook_id.hex.encode(), generation), "sha256")
    return "whsec_" + base64.b64encode(secret).decode()


def create(session: Session, account_id: uuid.UUID, url: str, events: Sequence[WebhookEvent]) -> Webhook:
    """Adds a webhook; whether its address may be called is for the caller to ask beforehand.

    Raises:
        LimitExceeded: the account has `MAX_WEBHOOKS`.
        BadOption: no event is chosen.
    """
    if not events:
        raise BadOption("No event is chosen.", next_step=f"Choose some of: {', '.join(CHOOSABLE)}.")
    count = session.execute(
        select(func.count()).select_from(Webhook).where(Webhook.account_id == account_id)
    ).scalar_one()
    if count >= MAX_WEBHOOKS:
        raise LimitExceeded(f"There are {count} webhooks, as many as are allowed.", next_step="Delete one first.")
    made = Webhook(account_id=account_id, url=url, events=sorted(set(events)))
    session.add(made)
    session.flush()
    session.refresh(made)
    return made


def list_webhooks(session: Session, account_id: uuid.UUID) -> list[Webhook]:
    """An account's webhooks, oldest first."""
    query = select(Webhook).where(Webhook.account_id == account_id).order_by(Webhook.created_at, Webhook.id)
    return list(session.scalars(query))


def get(session: Session, account_id: uuid.UUID, webhook_id: uuid.UUID) -> Webhook:
    """One webhook.

    Raises:
        NotFound: unknown, or another account's.
    """
    found = session.scalars(
        select(Webhook).where(Webhook.id == webhook_id, Webhook.account_id == account_id)
    ).one_or_none()
    if found is None:
        raise no_such_webhook()
    return found


def no_such_webhook() -> NotFound:
    """What an unknown id and another account's id are answered with."""
    return NotFound("There is no such webhook.", next_step="List yours: GET /api/v1/webhooks.")


def remove(session: Session, account_id: uuid.UUID, webhook_id: uuid.UUID) -> None:
    """Deletes a webhook, its log and what was still to be sent. Raises NotFound as `get`."""
    session.delete(get(session, account_id, webhook_id))


def rotate(session: Session, account_id: uuid.UUID, webhook_id: uuid.UUID) -> Webhook:
    """Gives a webhook another secret; whatever is sent from now on is signed with it. Raises NotFound as `get`."""
    found = get(session, account_id, webhook_id)
    found.generation += 1
    session.flush()
    return found


def enable(session: Session, account_id: uuid.UUID, webhook_id: uuid.UUID) -> Webhook:
    """Turns a webhook on again that was turned off because its receiver did not answer. Raises NotFound as `get`."""
    found = get(session, account_id, webhook_id)
    found.disabled_at = found.disabled_because = None
    session.flush()
    return found
