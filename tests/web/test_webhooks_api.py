"""Webhooks through the API."""

from __future__ import annotations

import pytest


@pytest.fixture
def public(monkeypatch):
    """Every name is a public address's."""
    monkeypatch.setattr("core.outbound.look_up", lambda host, port, **_: "93.184.215.14")


def test_a_webhook_is_made_listed_and_deleted(ask, public):
    made = ask("POST", "/webhooks", json={"url": "https://example.org/hook", "events": ["job.failed"]})
    assert made.status_code == 201
    assert made.json["secret"].startswith("whsec_")
    assert made.json["events"] == ["job.failed"]
    address = f"/webhooks/{made.json['id']}"
    [listed] = ask("GET", "/webhooks").json["webhooks"]
    assert listed["id"] == made.json["id"]
    assert "secret" not in listed
    assert ask("GET", address).json == listed
    assert ask("DELETE", address).status_code == 204
    assert ask("GET", address).status_code == 404


def test_all_events_by_default(ask, public):
    made = ask("POST", "/webhooks", json={"url": "https://example.org/hook"}).json
    assert made["events"] == ["job.cancelled", "job.completed", "job.failed"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:6379/", "http://169.254.169.254/", "ftp://example.org/", "https://"])
def test_an_address_that_must_not_be_called_is_refused(ask, url):
    answer = ask("POST", "/webhooks", json={"url": url})
    assert answer.status_code == 422
    assert answer.json["code"] == "target_refused"
    assert ask("GET", "/webhooks").json["webhooks"] == []


@pytest.mark.parametrize(
    "body", [{}, {"url": "https://example.org/", "events": []}, {"url": "https://example.org/", "events": ["x"]}]
)
def test_what_makes_no_sense_is_told(ask, body):
    assert ask("POST", "/webhooks", json=body).status_code == 422


def test_the_secret_can_be_changed(ask, public):
    made = ask("POST", "/webhooks", json={"url": "https://example.org/hook"}).json
    again = ask("POST", f"/webhooks/{made['id']}/rotate").json
    assert again["id"] == made["id"]
    assert again["secret"] != made["secret"]


def test_a_test_message_stands_in_the_log_and_can_be_sent_again(ask, public):
    made = ask("POST", "/webhooks", json={"url": "https://example.org/hook"}).json
    sent = [ask("POST", f"/webhooks/{made['id']}/test") for _ in range(3)]
    assert [answer.status_code for answer in sent] == [202] * 3
    first = ask("GET", f"/webhooks/{made['id']}/deliveries?limit=2").json
    rest = ask("GET", f"/webhooks/{made['id']}/deliveries?limit=2&cursor={first['next']}").json
    ids = [one["id"] for one in first["deliveries"] + rest["deliveries"]]
    assert ids == [answer.json["id"] for answer in reversed(sent)]
    assert rest["next"] is None
    again = ask("POST", f"/deliveries/{ids[0]}/again")
    assert (again.status_code, again.json["state"], again.json["id"]) == (202, "pending", ids[0])
