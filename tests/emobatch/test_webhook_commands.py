"""The commands about webhooks, on a real stack with a receiver on this host."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from core import errors
from core.states import DeliveryState
from emobatch import cli
from emobatch.client import Client
from emobatch.progress import Display
from emobatch.retry import Patience
from emobatch.webhook_commands import _await
from emobatch.webhooks import Delivery, Webhooks
from tests.emobatch.fake_api import DROPPED, TOKEN, fake_api


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(local_stack, capfd, monkeypatch) -> Callable[..., Ran]:
    monkeypatch.setenv("EMOBATCH_SERVER", local_stack.url)
    monkeypatch.setenv("EMOBATCH_TOKEN", local_stack.token)

    def run(*words: str) -> Ran:
        code = cli.main(["webhooks", *words])
        return Ran(code, *capfd.readouterr())

    return run


def test_from_the_first_webhook_to_the_last(run, receiver):
    assert run("list") == (0, "", "There is no webhook. Add one with `emobatch webhooks add URL`.\n")
    added = run("add", receiver.url, "--event", "job.failed")
    assert added.code == 0
    assert added.out.startswith("whsec_")
    assert added.out not in added.err
    [listed] = json.loads(run("list", "--json").out)
    assert (listed["url"], listed["events"], "secret" in listed) == (receiver.url, ["job.failed"], False)
    hook = listed["id"]
    assert f"Added the webhook {hook}. Try it: emobatch webhooks test {hook} --server" in added.err
    try:
        tested = run("test", hook)
        assert tested.code == 0
        assert tested.out.startswith("delivered: answered 200, ")
        second = json.loads(run("test", hook, "--json").out)

        log = run("deliveries", hook, "--limit", "1")
        assert "There are older ones" in log.err
        heading, line = log.out.splitlines()
        assert heading.split()[:2] == ["ID", "CREATED"]
        assert line.split()[0] == second["id"]
        [_, first] = json.loads(run("deliveries", hook, "--json").out)
        receiver.answers[:] = [410]
        again = run("send-again", first["id"])
        assert (again.code, again.out.split(", ")[0]) == (1, "failed: The receiver answered 410.")
        assert "off: The receiver answered 410 Gone." in run("list").out
        assert run("test", hook).code == 2
        assert run("enable", hook) == (0, "", f"The webhook {hook} is on.\n")
        assert "off:" not in run("list").out
        receiver.answers[:] = [500]
        failed = run("test", hook, "--json")
        assert (failed.code, json.loads(failed.out)["attempts"][0]["error"]) == (1, "The receiver answered 500.")
        assert "It is sent again at " in failed.err
        newer = json.loads(run("rotate", hook, "--json").out)
        assert newer["secret"] not in ("", added.out.strip())
    finally:
        assert run("delete", hook) == (0, "", f"Deleted the webhook {hook}.\n")
    assert run("deliveries", hook).code == 2


@pytest.mark.parametrize(("url", "said"), [("ftp://example.org/", "Only http and https"), ("nonsense", "Only http")])
def test_an_address_that_cannot_be_called_is_a_mistake(run, url, said):
    refused = run("add", url)
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err


class Waiting(Webhooks):
    """Whose messages are tried by nobody."""

    def __init__(self) -> None: ...

    def outcome(self, delivery: Delivery, *, timeout_s: float = 60.0) -> Delivery:
        raise TimeoutError("Nobody tried.")


@pytest.mark.parametrize(("minutes", "said"), [(0, "Nobody tried."), (90, "It is sent again at ")])
def test_what_is_due_much_later_is_not_waited_for(capfd, minutes, said):
    from rich.console import Console

    due = datetime.now(UTC) + timedelta(minutes=minutes)
    sent = Delivery("d", "w", None, "job.failed", DeliveryState.PENDING, {}, (), due, due, None)
    assert _await(Display(Console(stderr=True)), Waiting(), sent, False) == 1
    err = capfd.readouterr().err
    assert said in err
    assert ("Nobody tried." in err) == (not minutes)


def test_what_would_be_done_twice_is_asked_for_once():
    """Without an answer nobody knows whether a webhook was made, or a job; the error is one of ours all the same."""
    with fake_api() as api, Client(api.url, TOKEN, patience=Patience(0, 0, 2), sleep=lambda _: None) as client:
        api.faults["again"] = [DROPPED] * 5
        with pytest.raises(errors.EmobatchError):
            client.again("any")
        assert api.count("POST", "/again") == 1
