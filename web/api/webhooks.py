"""Webhooks: addresses that are told when a job ends, and the log of what they were told."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

from apiflask import APIBlueprint

from core import deliveries, outbound
from core import webhooks as service
from core.errors import BadOption
from core.models import Webhook
from web.auth import require_account
from web.paging import PageOptions, ShortListOptions, newest_first, part
from web.state import state
from web.webhook_schemas import (
    DeliveriesOut,
    DeliveryOut,
    WebhookIn,
    WebhookOut,
    WebhookSecretOut,
    WebhooksOut,
)

TAG = {
    "name": "Webhooks",
    "description": "Be told when a job ends, in the format of Standard Webhooks (standardwebhooks.com).",
}

webhooks = APIBlueprint("webhooks", __name__, tag=TAG)


@webhooks.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_account()


@webhooks.post("/webhooks")
@webhooks.input(WebhookIn, arg_name="asked")
@webhooks.output(WebhookSecretOut, status_code=201)
def post_webhook(asked: WebhookIn) -> Any:
    """Add a webhook.

    The answer holds its secret, with which every message is signed. An address inside a private network is refused,
    now and again before each message.
    """
    _must_be_callable(asked.url)
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return _with_secret(service.create(session, account_id, asked.url, asked.events))


@webhooks.get("/webhooks")
@webhooks.input(ShortListOptions, location="query", arg_name="options")
@webhooks.output(WebhooksOut)
def list_webhooks(options: ShortListOptions) -> Any:
    """List webhooks, oldest first."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        page, following = part(service.list_webhooks(session, account_id), options, lambda one: one.id.hex)
        return WebhooksOut(webhooks=[WebhookOut.of(found) for found in page], next=following)


@webhooks.get("/webhooks/<webhook_id>")
@webhooks.output(WebhookOut)
def get_webhook(webhook_id: str) -> Any:
    """Look at one webhook."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return WebhookOut.of(service.get(session, account_id, _as_id(webhook_id)))


@webhooks.delete("/webhooks/<webhook_id>")
@webhooks.output({}, status_code=204)
def delete_webhook(webhook_id: str) -> Any:
    """Delete a webhook, its log, and what was still to be sent."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        service.remove(session, account_id, _as_id(webhook_id))
    return ""


@webhooks.post("/webhooks/<webhook_id>/rotate")
@webhooks.output(WebhookSecretOut)
def rotate_secret(webhook_id: str) -> Any:
    """Give a webhook another secret.

    Every message sent from now on is signed with the new one.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return _with_secret(service.rotate(session, account_id, _as_id(webhook_id)))


@webhooks.post("/webhooks/<webhook_id>/enable")
@webhooks.output(WebhookOut)
def enable_webhook(webhook_id: str) -> Any:
    """Turn a webhook on again.

    What its receiver missed meanwhile is not sent by itself: see its deliveries.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return WebhookOut.of(service.enable(session, account_id, _as_id(webhook_id)))


@webhooks.post("/webhooks/<webhook_id>/test")
@webhooks.output(DeliveryOut, status_code=202)
def test_webhook(webhook_id: str) -> Any:
    """Send a test message. Its delivery says what came of it, some seconds later."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return DeliveryOut.of(deliveries.send_test(session, account_id, _as_id(webhook_id)))


@webhooks.get("/webhooks/<webhook_id>/deliveries")
@webhooks.input(PageOptions, location="query", arg_name="options")
@webhooks.output(DeliveriesOut)
def list_deliveries(webhook_id: str, options: PageOptions) -> Any:
    """List a webhook's messages, newest first, with every attempt to deliver them. They are kept for 30 days."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        found = deliveries.list_deliveries(
            session, account_id, _as_id(webhook_id), limit=options.limit + 1, before=options.before
        )
        page, following = newest_first(found, options.limit)
        return DeliveriesOut(deliveries=[DeliveryOut.of(one) for one in page], next=following)


@webhooks.post("/deliveries/<delivery_id>/again")
@webhooks.output(DeliveryOut, status_code=202)
def send_again(delivery_id: str) -> Any:
    """Send a message again, whatever became of it; one that waits for its next attempt, within a minute.

    Its id stays the same.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return DeliveryOut.of(
            deliveries.send_again(session, account_id, _as_id(delivery_id, deliveries.no_such_delivery))
        )


def _with_secret(webhook: Webhook) -> WebhookSecretOut:
    secret = service.secret_of(state().settings, webhook.id, webhook.generation)
    return WebhookSecretOut(**WebhookOut.of(webhook).model_dump(), secret=secret)


def _must_be_callable(url: str) -> None:
    """Tells at once what sending would only find out later.

    Raises:
        TargetRefused: the address must not be called.
        BadOption: its host has no address.
    """
    outbound.check_url(url)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        outbound.look_up(parts.hostname or "", port, private=state().settings.webhook_private)
    except outbound.Unreached as error:
        raise BadOption(f"url: {error}", next_step="Check its spelling.") from error


def _as_id(given: str, missing: Any = service.no_such_webhook) -> uuid.UUID:
    try:
        return uuid.UUID(given)
    except ValueError:
        raise missing() from None
