"""What goes in and out of the API about webhooks."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from core.models import Delivery, Webhook
from core.states import DeliveryState, WebhookEvent
from core.webhooks import CHOOSABLE, MAX_URL, Choosable
from web.schemas import NEXT, Word


class WebhookIn(BaseModel):
    """An address that wants to hear of jobs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.org/hook", "events": ["job.completed"]}]},
    )

    url: Word = Field(max_length=MAX_URL, description="http or https, reachable from the public internet.")
    events: list[Choosable] = Field(
        default=list(CHOOSABLE), min_length=1, max_length=10, description="What it is told; all by default."
    )


class WebhookOut(BaseModel):
    """A webhook. `disabled_at` is set once its receiver did not answer for three days, or said 410 Gone."""

    id: uuid.UUID
    url: str
    events: list[WebhookEvent]
    created_at: datetime
    disabled_at: datetime | None
    disabled_because: str | None

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """A row of the table, without its secret."""
        return cls.model_validate(webhook, from_attributes=True)


class WebhookSecretOut(WebhookOut):
    """A webhook with its secret, which is shown here and nowhere else: verify `webhook-signature` with it."""

    secret: str = Field(description="As Standard Webhooks writes it.", examples=["whsec_…"])


class WebhooksOut(BaseModel):
    """An account's webhooks, oldest first."""

    webhooks: list[WebhookOut]
    next: str | None = Field(description=NEXT)


class AttemptOut(BaseModel):
    """One attempt to deliver a message."""

    at: datetime
    status: int | None = Field(description="Of the receiver's answer; null if there was none.")
    ms: int
    error: str | None


class DeliveryOut(BaseModel):
    """One message and what became of it."""

    id: uuid.UUID = Field(description="Sent as `webhook-id`: `msg_` and its 32 digits.")
    webhook_id: uuid.UUID
    job_id: uuid.UUID | None
    event: WebhookEvent
    state: DeliveryState
    payload: dict[str, Any]
    attempts: list[AttemptOut]
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """A row of the table."""
        pending = delivery.state == DeliveryState.PENDING
        fields = {name: getattr(delivery, name) for name in cls.model_fields if name != "next_attempt_at"}
        return cls.model_validate(fields | {"next_attempt_at": delivery.not_before if pending else None})


class DeliveriesOut(BaseModel):
    """A webhook's messages, newest first."""

    deliveries: list[DeliveryOut]
    next: str | None = Field(description=NEXT)
