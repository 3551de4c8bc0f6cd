"""The commands `emobatch webhooks …`: who is told when a job ends, and what became of the messages.

A secret is shown once, alone on stdout, so that a script can keep it; everything else about it goes to stderr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import click

from core.states import DeliveryState, WebhookEvent
from emobatch.connect import Where
from emobatch.failure import ExitCode
from emobatch.options import json_option, print_json, where_options
from emobatch.progress import Display
from emobatch.versions import columns
from emobatch.webhooks import Delivery, Webhook, Webhooks

SOON = timedelta(minutes=1)
EVENTS = [event.value for event in WebhookEvent if event is not WebhookEvent.TEST]


@click.group("webhooks")
def webhooks() -> None:
    """Have an address told when a job ends."""


@webhooks.command("list")
@where_options
@json_option
@click.pass_obj
def list_webhooks(display: Display, where: Where, as_json: bool) -> None:
    """List webhooks, oldest first."""
    with where.connect(display, first=True) as client:
        found = client.webhooks.list()
    if as_json:
        print_json([_shown(one) for one in found])
    elif found:
        click.echo("\n".join(webhook_lines(found)))
    else:
        display.say("There is no webhook. Add one with `emobatch webhooks add URL`.")


@webhooks.command("add")
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(EVENTS), help="What it is told; again for more. Default: all."
)
@where_options
@json_option
@click.pass_obj
def add(display: Display, url: str, events: tuple[str, ...], where: Where, as_json: bool) -> None:
    """Add a webhook and print its secret.

    Every message is signed with it. It is shown this once.
    """
    with where.connect(display, first=True) as client:
        made = client.webhooks.create(url, events or None)
    _tell_secret(display, made, as_json)
    display.say(f"Added the webhook {made.id}. Try it: {where.command('webhooks', 'test', made.id)}")


@webhooks.command("rotate")
@click.argument("webhook")
@where_options
@json_option
@click.pass_obj
def rotate(display: Display, webhook: str, where: Where, as_json: bool) -> None:
    """Give a webhook another secret and print it. What is sent from now on is signed with it."""
    with where.connect(display) as client:
        found = client.webhooks.rotate(webhook)
    _tell_secret(display, found, as_json)


@webhooks.command("delete")
@click.argument("webhook")
@where_options
@click.pass_obj
def delete(display: Display, webhook: str, where: Where) -> None:
    """Delete a webhook, its log, and what was still to be sent."""
    with where.connect(display) as client:
        client.webhooks.delete(webhook)
    display.say(f"Deleted the webhook {webhook}.")


@webhooks.command("enable")
@click.argument("webhook")
@where_options
@click.pass_obj
def enable(display: Display, webhook: str, where: Where) -> None:
    """Turn a webhook on again.

    One is turned off when its receiver does not answer for three days. What it missed meanwhile is not sent by itself:
    see `deliveries`, and `send-again`.
    """
    with where.connect(display) as client:
        client.webhooks.enable(webhook)
    display.say(f"The webhook {webhook} is on.")


@webhooks.command("test")
@click.argument("webhook")
@where_options
@json_option
@click.pass_obj
def test(display: Display, webhook: str, where: Where, as_json: bool) -> ExitCode:
    """Send a test message, and show what its receiver answers. Exit code 1: it did not get it."""
    with where.connect(display) as client:
        return _await(display, client.webhooks, client.webhooks.test(webhook), as_json)


@webhooks.command("deliveries")
@click.argument("webhook")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@where_options
@json_option
@click.pass_obj
def deliveries(display: Display, webhook: str, limit: int, where: Where, as_json: bool) -> None:
    """List a webhook's messages, newest first.

    Those of the last 30 days, with what became of each.
    """
    with where.connect(display) as client:
        found = list(islice(client.webhooks.each_delivery(webhook), limit + 1))
    more, found = len(found) > limit, found[:limit]
    if as_json:
        print_json([_shown(one) for one in found])
    elif found:
        click.echo("\n".join(delivery_lines(found)))
    else:
        display.say("Nothing was sent yet.")
    if more:
        display.say("There are older ones: raise --limit.")


@webhooks.command("send-again")
@click.argument("delivery")
@where_options
@json_option
@click.pass_obj
def send_again(display: Display, delivery: str, where: Where, as_json: bool) -> ExitCode:
    """Send a message again, and show what its receiver answers. Exit code 1: it did not get it."""
    with where.connect(display) as client:
        return _await(display, client.webhooks, client.webhooks.send_again(delivery), as_json)


def webhook_lines(found: Sequence[Webhook]) -> list[str]:
    """One webhook a line under a heading; one that is turned off says why."""
    rows = [("ID", "ADDRESS", "EVENTS", "")]
    for one in found:
        off = f"off: {one.disabled_because}" if one.disabled_at else ""
        rows.append((one.id, one.url, ",".join(one.events), off))
    return columns(rows)


def delivery_lines(found: Sequence[Delivery]) -> list[str]:
    """One message a line under a heading, with its last attempt."""
    rows = [("ID", "CREATED (UTC)", "EVENT", "JOB", "STATE", "TRIES", "LAST ANSWER")]
    for one in found:
        last = str(one.attempts[-1]) if one.attempts else ""
        rows.append(
            (one.id, _moment(one.created_at), one.event, one.job_id or "", one.state, str(len(one.attempts)), last)
        )
    return columns(rows)


def _await(display: Display, service: Webhooks, sent: Delivery, as_json: bool) -> ExitCode:
    """Shows what comes of a message; one that failed and waits for its next attempt is not waited for."""
    found = sent
    if sent.next_attempt_at is None or sent.next_attempt_at - datetime.now(UTC) < SOON:
        try:
            with display.busy("Waiting for the receiver ..."):
                found = service.outcome(sent)
        except TimeoutError as error:
            display.say(str(error))
    if as_json:
        print_json(_shown(found))
    elif found.attempts:
        click.echo(f"{found.state}: {found.attempts[-1]}")
    if found.state is DeliveryState.DELIVERED:
        return ExitCode.DONE
    if found.next_attempt_at:
        display.say(f"It is sent again at {_moment(found.next_attempt_at)} UTC.")
    return ExitCode.FAILED


def _tell_secret(display: Display, webhook: Webhook, as_json: bool) -> None:
    if as_json:
        print_json(_shown(webhook) | {"secret": webhook.secret})
    else:
        click.echo(webhook.secret)


def _shown(one: Webhook | Delivery) -> dict[str, Any]:
    """As JSON has it; a secret is for `_tell_secret` alone."""
    return {name: _plain(value) for name, value in asdict(one).items() if name != "secret"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
