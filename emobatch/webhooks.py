"""Webhooks, through the API: addresses that are told when a job ends, and what became of the messages to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from core.errors import NotFound
from core.states import DeliveryState
from emobatch.connection import Connection, read
from emobatch.query import given

PAUSE_S = 0.5


@dataclass(frozen=True)
class Webhook:
    """An address that is told.

    Attributes:
        events: what it is told: ``job.completed``, ``job.failed``, ``job.cancelled``.
        disabled_at: since when nothing is sent there, because its receiver did not answer, or said 410 Gone.
        disabled_because: a sentence, if so.
        secret: what messages are signed with (``whsec_…``); known only from `Webhooks.create` and `Webhooks.rotate`.
    """

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None
    disabled_because: str | None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Attempt:
    """One attempt to deliver a message. `status` is of the receiver's answer; `error` says why it was no good."""

    at: datetime
    status: int | None
    ms: int
    error: str | None

    def __str__(self) -> str:
        said = self.error or (f"answered {self.status}" if self.status else "no answer")
        return f"{said}, {self.ms:,} ms"


@dataclass(frozen=True)
class Delivery:
    """One message to one webhook, and what became of it.

    Attributes:
        job_id: of the job that it tells of; None for a test message.
        event: ``job.completed`` …, or ``webhook.test``.
        payload: what is sent, as JSON.
        attempts: the oldest first.
        next_attempt_at: when it is sent next, if it is still to be sent.
    """

    id: str
    webhook_id: str
    job_id: str | None
    event: str
    state: DeliveryState
    payload: Mapping[str, Any]
    attempts: tuple[Attempt, ...]
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True)
class DeliveryPage:
    """Some messages, newest first; `next` asks for older ones, None: there are none."""

    deliveries: tuple[Delivery, ...]
    next: str | None


class Webhooks:
    """Those of one account, at most 20. Methods raise what the methods of `emobatch.Client` raise."""

    def __init__(self, connection: Connection, sleep: Callable[[float], None]) -> None:
        self._connection = connection
        self._sleep = sleep

    def list(self) -> tuple[Webhook, ...]:
        """All of them, oldest first."""
        answer = self._connection.repeat("GET", "/webhooks")
        return read(answer, lambda found: tuple(_webhook(one) for one in found["webhooks"]))

    def get(self, webhook_id: str) -> Webhook:
        """One webhook. Raises NotFound."""
        return read(self._connection.repeat("GET", _path(webhook_id)), _webhook)

    def create(self, url: str, events: Sequence[str] | None = None) -> Webhook:
        """Adds a webhook; the answer alone holds its secret.

        It is asked for once: where no answer came, `list` says whether it was made.

        Args:
            url: http or https, reachable from the public internet.
            events: what it is told; by default the end of every job, however it ends.

        Raises:
            TargetRefused: the address must not be called.
            BadOption: its host has no address, or there is no such event.
            LimitExceeded: there are as many as are allowed.
        """
        wanted = {"url": url} if events is None else {"url": url, "events": [*events]}
        return read(self._connection.once("POST", "/webhooks", json=wanted), _webhook)

    def delete(self, webhook_id: str) -> None:
        """Deletes a webhook, its log, and what was still to be sent. Raises NotFound."""
        self._connection.remove(_path(webhook_id))

    def rotate(self, webhook_id: str) -> Webhook:
        """Gives a webhook another secret, which the answer alone holds; what is sent from now on is signed with it."""
        return read(self._connection.repeat("POST", _path(webhook_id, "rotate")), _webhook)

    def enable(self, webhook_id: str) -> Webhook:
        """Turns a webhook on again. What its receiver missed meanwhile is not sent by itself: see `send_again`."""
        return read(self._connection.repeat("POST", _path(webhook_id, "enable")), _webhook)

    def test(self, webhook_id: str) -> Delivery:
        """Sends a test message; `outcome` waits for what comes of it.

        Raises:
            NotReady: the webhook is turned off.
        """
        return read(self._connection.repeat("POST", _path(webhook_id, "test")), _delivery)

    def deliveries(self, webhook_id: str, *, limit: int = 50, cursor: str | None = None) -> DeliveryPage:
        """A webhook's messages, newest first, kept for 30 days; `cursor` is an earlier page's `next`."""
        params = given({"limit": limit, "cursor": cursor})
        answer = self._connection.repeat("GET", _path(webhook_id, "deliveries"), params=params)
        return read(answer, lambda page: DeliveryPage(tuple(map(_delivery, page["deliveries"])), page["next"]))

    def each_delivery(self, webhook_id: str) -> Iterator[Delivery]:
        """All messages of a webhook, newest first, asked for as they are read."""
        page = self.deliveries(webhook_id)
        yield from page.deliveries
        while page.next:
            page = self.deliveries(webhook_id, cursor=page.next)
            yield from page.deliveries

    def send_again(self, delivery_id: str) -> Delivery:
        """Has a message sent anew, whatever became of it; `outcome` waits for what comes of it.

        Raises:
            NotReady: its webhook is turned off.
        """
        path = f"/deliveries/{quote(delivery_id, safe='')}/again"
        return read(self._connection.repeat("POST", path), _delivery)

    def outcome(self, delivery: Delivery, *, timeout_s: float = 60.0) -> Delivery:
        """Returns when a message was tried to be delivered since it was looked at: its last attempt says how it went.

        Raises:
            TimeoutError: there was no attempt in time; it will be made as soon as a worker is alive.
            NotFound: its webhook was deleted meanwhile.
        """
        began = time.monotonic()
        while True:
            found = next((one for one in self.each_delivery(delivery.webhook_id) if one.id == delivery.id), None)
            if found is None:
                raise NotFound("There is no such message any more.", next_step="See the webhook's other messages.")
            if len(found.attempts) > len(delivery.attempts):
                return found
            if time.monotonic() - began > timeout_s:
                raise TimeoutError(f"The message {delivery.id} was not tried to be sent for {timeout_s:g} seconds.")
            self._sleep(PAUSE_S)


def _path(webhook_id: str, part: str = "") -> str:
    return f"/webhooks/{quote(webhook_id, safe='')}" + (f"/{part}" if part else "")


def _webhook(fields: Mapping[str, Any]) -> Webhook:
    return Webhook(
        id=fields["id"],
        url=fields["url"],
        events=tuple(fields["events"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        disabled_at=_time(fields["disabled_at"]),
        disabled_because=fields["disabled_because"],
        secret=fields.get("secret"),
    )


def _delivery(fields: Mapping[str, Any]) -> Delivery:
    attempts = (
        Attempt(datetime.fromisoformat(one["at"]), one["status"], one["ms"], one["error"]) for one in fields["attempts"]
    )
    return Delivery(
        id=fields["id"],
        webhook_id=fields["webhook_id"],
        job_id=fields["job_id"],
        event=fields["event"],
        state=DeliveryState(fields["state"]),
        payload=fields["payload"],
        attempts=tuple(attempts),
        next_attempt_at=_time(fields["next_attempt_at"]),
        created_at=datetime.fromisoformat(fields["created_at"]),
        delivered_at=_time(fields["delivered_at"]),
    )


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
