"""Who is told when a job ends, and what became of each message: the part of the schema that looks outwards."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.states import DeliveryState, WebhookEvent
from core.tables import NEW_ID, NOW, Base, one_of


class Webhook(Base):
    """An address that is told of an account's jobs. Its secret is derived from its id, and stands nowhere."""

    __tablename__ = "webhook"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), index=True)
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    generation: Mapped[int] = mapped_column(server_default=text("1"))
    """Of the secret: another one makes another secret."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]
    disabled_because: Mapped[str | None]


class Delivery(Base):
    """One message to one webhook. No foreign key to the job: the log outlives it."""

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint(one_of("state", DeliveryState), name="state"),
        CheckConstraint(one_of("event", WebhookEvent), name="event"),
        Index("ix__delivery_due", "webhook_id", "not_before", postgresql_where=text("state = 'pending'")),
        Index("ix__delivery_webhook_id", "webhook_id", "created_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    """Also the message's ``webhook-id``: the same in every attempt, so that a receiver can tell a repeated one."""
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), index=True)
    webhook_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    job_id: Mapped[uuid.UUID | None]
    event: Mapped[str]
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default=DeliveryState.PENDING)
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    """When, with what answer and in how many milliseconds; the answer's body is not kept."""
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    """Attempts of this round, begun ones included: sending again by hand begins a new round."""
    not_before: Mapped[datetime] = mapped_column(server_default=NOW)
    """When it is due; while an attempt is under way, when somebody else may take it over."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    delivered_at: Mapped[datetime | None]
