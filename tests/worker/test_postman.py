"""Webhooks end to end: a job ends, a receiver on this host is told, signed, and again until it has understood."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook as Verifier

from core import accounts, deliveries, jobs, ledger, webhooks
from core.errors import LimitExceeded, NotFound, NotReady, NotText
from core.states import DeliveryState, JobState, WebhookEvent
from tests.fixtures import Installation
from worker.postman import Postman

CSV = b"id,text\n1,I love this\n2,so sad\n"


@pytest.fixture
def postman(installation: Installation) -> Postman:
    return Postman(installation.db, installation.settings.model_copy(update={"webhook_private": True}))


def subscribe(installation: Installation, url: str, *events: WebhookEvent) -> uuid.UUID:
    with installation.web_db.transaction(installation.account_id) as session:
        return webhooks.create(session, installation.account_id, url, events or webhooks.CHOOSABLE).id


def log_of(installation: Installation, webhook_id: uuid.UUID) -> list[Any]:
    with installation.web_db.transaction(installation.account_id) as session:
        return deliveries.list_deliveries(session, installation.account_id, webhook_id, limit=50, before=None)


def make_due(installation: Installation) -> None:
    with installation.db.transaction() as session:
        session.execute(text("UPDATE delivery SET not_before = now() WHERE state = 'pending'"))


def test_a_finished_job_is_told_and_the_signature_is_right(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    job_id = installation.accept(CSV)
    installation.run()
    assert postman.round() == 1
    [(headers, body)] = receiver.got
    said = Verifier(webhooks.secret_of(installation.settings, webhook_id, 1)).verify(body, headers)
    assert said["type"] == "job.completed"
    assert said["data"]["job_id"] == str(job_id)
    assert (said["data"]["state"], said["data"]["rows_total"], said["data"]["rows_ok"]) == ("completed", 2, 2)
    [delivery] = log_of(installation, webhook_id)
    assert delivery.state == DeliveryState.DELIVERED
    assert [attempt["status"] for attempt in delivery.attempts] == [200]
    assert headers["webhook-id"] == f"msg_{delivery.id.hex}"
    assert postman.round() == 0


def test_no_text_of_a_row_is_sent(installation, receiver, postman):
    subscribe(installation, receiver.url)
    installation.accept(CSV)
    installation.run()
    postman.round()
    assert b"love" not in receiver.got[0][1]


def test_every_end_is_told_once_to_those_who_asked_for_it(installation, receiver, postman):
    everything = subscribe(installation, receiver.url)
    only_failed = subscribe(installation, receiver.url, WebhookEvent.FAILED)
    with installation.db.transaction() as session:
        stranger = accounts.create_account(session, "stranger")
        strangers = webhooks.create(session, stranger, receiver.url, webhooks.CHOOSABLE).id
    cancelled, failed = installation.accept(CSV), installation.accept(CSV)
    with installation.web_db.transaction(installation.account_id) as session:
        jobs.cancel(session, installation.account_id, cancelled)
        jobs.cancel(session, installation.account_id, cancelled)
    for _ in range(2):
        with installation.db.transaction() as session:
            ledger.fail_job(session, failed, NotText("This is a picture."))
    told = {(one.event, one.job_id) for one in log_of(installation, everything)}
    assert told == {("job.cancelled", cancelled), ("job.failed", failed)}
    assert [one.event for one in log_of(installation, only_failed)] == ["job.failed"]
    with installation.db.transaction() as session:
        assert deliveries.list_deliveries(session, stranger, strangers, limit=9, before=None) == []
    assert installation.status(failed).state is JobState.FAILED


def test_what_was_not_understood_is_sent_again_with_the_same_id(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    receiver.answers = [500, 302]
    with installation.web_db.transaction(installation.account_id) as session:
        deliveries.send_test(session, installation.account_id, webhook_id)
    for _ in range(3):
        assert postman.round() == 1
        assert postman.round() == 0, "it waits before the next attempt"
        make_due(installation)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    [delivery] = log_of(installation, webhook_id)
    assert [attempt["status"] for attempt in delivery.attempts] == [500, 302, 200]
    assert delivery.state == DeliveryState.DELIVERED


def test_one_that_waits_for_hours_is_brought_forward_and_none_is_sent_twice(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    receiver.answers = [500] * 4
    with installation.web_db.transaction(installation.account_id) as session:
        delivery = deliveries.send_test(session, installation.account_id, webhook_id)
    for _ in range(4):
        postman.round()
        make_due(installation)
    waits = "SELECT extract(epoch FROM not_before - now())::float8 FROM delivery"
    with installation.db.transaction() as session:
        session.execute(text("UPDATE delivery SET not_before = now() + interval '2 hours'"))
    for _ in range(2):
        with installation.web_db.transaction(installation.account_id) as session:
            deliveries.send_again(session, installation.account_id, delivery.id)
            assert 0 < session.execute(text(waits)).scalar_one() <= deliveries.ATTEMPT_S
    with installation.db.transaction() as session:  # an attempt that is under way, or a retry that is nearly due
        session.execute(text("UPDATE delivery SET not_before = now() + interval '3 s'"))
    with installation.web_db.transaction(installation.account_id) as session:
        deliveries.send_again(session, installation.account_id, delivery.id)
        assert 0 < session.execute(text(waits)).scalar_one() <= 3
    make_due(installation)
    assert postman.round() == 1
    assert log_of(installation, webhook_id)[0].state == DeliveryState.DELIVERED


def test_a_receiver_that_is_gone_is_not_called_again(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    receiver.answers = [410]
    with installation.web_db.transaction(installation.account_id) as session:
        delivery = deliveries.send_test(session, installation.account_id, webhook_id)
    postman.round()
    with installation.web_db.transaction(installation.account_id) as session:
        found = webhooks.get(session, installation.account_id, webhook_id)
        assert found.disabled_because == deliveries.GONE
        with pytest.raises(NotReady):
            deliveries.send_again(session, installation.account_id, delivery.id)
    installation.accept(CSV)
    installation.run()
    assert postman.round() == 0
    with installation.web_db.transaction(installation.account_id) as session:
        webhooks.enable(session, installation.account_id, webhook_id)
        deliveries.send_again(session, installation.account_id, delivery.id)
    assert postman.round() == 1
    assert log_of(installation, webhook_id)[0].state == DeliveryState.DELIVERED


def test_after_the_last_attempt_it_is_given_up(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    receiver.answers = [500] * 99
    with installation.web_db.transaction(installation.account_id) as session:
        deliveries.send_test(session, installation.account_id, webhook_id)
    rounds = 0
    while postman.round():
        rounds += 1
        make_due(installation)
    assert rounds == len(deliveries.RETRY_S) + 1
    [delivery] = log_of(installation, webhook_id)
    assert delivery.state == DeliveryState.FAILED
    with installation.web_db.transaction(installation.account_id) as session:
        assert webhooks.get(session, installation.account_id, webhook_id).disabled_because == deliveries.GIVEN_UP


def test_an_inner_address_is_never_called(installation, receiver):
    """Also if it was none when the webhook was made."""
    webhook_id = subscribe(installation, receiver.url)
    with installation.web_db.transaction(installation.account_id) as session:
        deliveries.send_test(session, installation.account_id, webhook_id)
    assert Postman(installation.db, installation.settings).round() == 1
    assert receiver.got == []
    [delivery] = log_of(installation, webhook_id)
    assert "private network" in delivery.attempts[0]["error"]


def test_one_that_died_with_a_message_in_hand_is_followed_by_another(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    with installation.web_db.transaction(installation.account_id) as session:
        deliveries.send_test(session, installation.account_id, webhook_id)
    with installation.db.transaction() as session:
        assert len(deliveries.claim(session, 8)) == 1
    assert postman.round() == 0
    make_due(installation)
    assert postman.round() == 1


def test_another_secret_signs_what_is_sent_from_now_on(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    with installation.web_db.transaction(installation.account_id) as session:
        generation = webhooks.rotate(session, installation.account_id, webhook_id).generation
        deliveries.send_test(session, installation.account_id, webhook_id)
    postman.round()
    headers, body = receiver.got[0]
    assert webhooks.secret_of(installation.settings, webhook_id, 1) != webhooks.secret_of(
        installation.settings, webhook_id, generation
    )
    Verifier(webhooks.secret_of(installation.settings, webhook_id, generation)).verify(body, headers)


def test_another_account_sees_nothing_and_can_do_nothing(installation, receiver):
    webhook_id = subscribe(installation, receiver.url)
    with installation.db.transaction() as session:
        stranger = accounts.create_account(session, "stranger")
    with installation.web_db.transaction(stranger) as session:
        assert webhooks.list_webhooks(session, stranger) == []
        for forbidden in (webhooks.get, webhooks.rotate, webhooks.enable, deliveries.send_test, webhooks.remove):
            with pytest.raises(NotFound):
                forbidden(session, stranger, webhook_id)
        assert session.execute(text("SELECT count(*) FROM webhook")).scalar_one() == 0


def test_an_account_has_so_many_at_most(installation):
    for number in range(webhooks.MAX_WEBHOOKS):
        subscribe(installation, f"https://example.org/{number}")
    with pytest.raises(LimitExceeded):
        subscribe(installation, "https://example.org/one-more")


def test_the_log_is_cleared_of_what_is_old_and_over(installation, receiver, postman):
    webhook_id = subscribe(installation, receiver.url)
    for _ in range(2):
        with installation.web_db.transaction(installation.account_id) as session:
            deliveries.send_test(session, installation.account_id, webhook_id)
    postman.round()
    with installation.db.transaction() as session:
        session.execute(
            text("UPDATE delivery SET created_at = now() - interval '31 days' WHERE id = (:id)"),
            {"id": log_of(installation, webhook_id)[0].id},
        )
        assert deliveries.remove_old(session) == 1
    assert len(log_of(installation, webhook_id)) == 1
