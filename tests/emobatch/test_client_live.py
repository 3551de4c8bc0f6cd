"""Every method of the client against a real stack: what the fake API of `test_client` takes on trust is true here."""

from __future__ import annotations

import csv
import inspect
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from standardwebhooks import Webhook as Verifier

from core import errors
from core.states import DeliveryState, JobState
from emobatch.client import Client
from emobatch.job import Job, View
from emobatch.rows import RowFilter

TEXTS = ["I love this!", "So sad that it broke.", "", "It is a table.", "What a surprise!", "I hate waiting for it."]
NOBODYS = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def client(local_stack) -> Iterator[Client]:
    with Client(local_stack.url, local_stack.token) as signed_in:
        yield signed_in


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("client") / "grüße.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["id", "body", "product"])
        writer.writerows([number, f"{text}", f"p{number % 2}"] for number, text in enumerate(TEXTS))
    return path


def labelled(client: Client, source: Path, **options) -> Job:
    return client.wait(client.create_job(source, text_column="body", **options).id, timeout_s=120).with_result()


@pytest.fixture(scope="module")
def job(client, source) -> Job:
    return labelled(client, source)


CALL = re.compile(r"\bclient\.(?:(\w+)\.)?(\w+)\(")


def methods(of: type, part: str = "") -> set[tuple[str, str]]:
    return {(part, name) for name, member in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")}


def test_no_method_is_left_out(client):
    parts = {name: part for name, part in vars(client).items() if not name.startswith("_")}
    assert {"reviews", "taxonomies", "webhooks"} <= set(parts)
    public = methods(Client).union(*(methods(type(part), name) for name, part in parts.items()))
    assert len(public) > 40
    assert public - set(CALL.findall(Path(__file__).read_text())) == set()


def test_a_file_comes_back_with_its_cells(client, source, job, tmp_path):
    assert (job.state, job.filename, job.rows_ok, job.rows_skipped) == (JobState.COMPLETED, "grüße.csv", 5, 1)
    assert client.status(job.id) == job
    assert job.id in [one.id for one in client.jobs(limit=200).jobs]
    before = list(csv.DictReader(source.open(encoding="utf-8", newline=""), delimiter=";"))
    target = tmp_path / "out.csv"
    assert client.download_to(job.id, target, View(taxonomy="goemotions", scores="all")) == target
    after = list(csv.DictReader(target.open(encoding="utf-8", newline=""), delimiter=";"))
    assert [{name: row[name] for name in before[0]} for row in after] == before
    assert sum(name.startswith("score_") for name in after[0]) == 28
    assert [row["row_status"] for row in after] == ["ok", "ok", "empty", "ok", "ok", "ok"]
    for form, begins in [("jsonl", b"{"), ("parquet", b"PAR1"), ("xlsx", b"PK"), ("spreadsheet", b'"id";')]:
        client.download_to(job.id, tmp_path / form, form=form)
        assert (tmp_path / form).read_bytes().removeprefix(b"\xef\xbb\xbf").startswith(begins), form


def test_a_handle_a_key_and_a_repetition(client, source):
    first = client.create_job(io.BytesIO(source.read_bytes()), filename="a.csv", text_column=2, idempotency_key="once")
    again = client.create_job(io.BytesIO(source.read_bytes()), filename="a.csv", text_column=2, idempotency_key="once")
    assert first.id == again.id
    with pytest.raises(errors.EmobatchError) as told:
        client.create_job(io.BytesIO(b"text\nother\n"), filename="a.csv", text_column=1, idempotency_key="once")
    assert "key" in str(told.value).lower()
    client.wait(first.id, timeout_s=120)
    client.delete(first.id)
    with pytest.raises(errors.NotFound):
        client.status(first.id)


def test_rows_are_found_and_read(client, job):
    page = client.rows(job.id, limit=2)
    assert [row["row"] for row in page.rows] == [1, 2]
    assert [row["row"] for row in client.rows(job.id, limit=2, cursor=page.next).rows] == [3, 4]
    empty = list(client.each_row(job.id, where=RowFilter(status="empty")))
    assert [row["row"] for row in empty] == [3]
    best = next(client.each_row(job.id, where=RowFilter(sort="score"), limit=1))
    assert best["emotion_score"] == max(row["emotion_score"] for row in client.each_row(job.id) if row["row"] != 3)
    one = client.row(job.id, 1)
    assert (one["text"], one["emotion"]) == (TEXTS[0], "joy")
    assert "love" in str(client.words(job.id, 1))
    with pytest.raises(errors.EmobatchError):
        client.row(job.id, 7)


def test_figures_of_a_job_and_of_two(client, job):
    assert client.summary(job.id, View(taxonomy="sentiment"), by="product")
    assert [model["version"] for model in client.models()]
    other = client.wait(client.again(job.id).id, timeout_s=120)
    compared = client.compare(job.id, other.id)
    assert other.rows_ok == job.rows_ok
    assert compared
    client.delete(other.id)


def test_texts_and_frames_without_a_file(client):
    said = client.classify(["I love this!", ""])
    assert [(text.emotion, text.row_status) for text in said] == [("joy", "ok"), (None, "empty")]
    frame = client.label(pd.DataFrame({"body": TEXTS[:3]}, index=list("abc")), "body")
    assert (frame.loc["a", "emotion"], frame.loc["c", "row_status"]) == ("joy", "empty")
    client.delete(frame.attrs["emobatch_job"])


def test_failed_rows_go_out_and_come_back(client, source, fail_rows, tmp_path):
    job = labelled(client, source)
    fail_rows(job.id, 2)
    target = client.failed_to(job.id, tmp_path / "failed.csv")
    assert TEXTS[1] in target.read_text(encoding="utf-8")
    sent = client.send_back(job.id, target)
    client.wait(sent.id, timeout_s=120)
    assert client.wait(job.id, timeout_s=120).rows_failed == 0
    client.delete(job.id)


def test_how_right_it_is(client, source, tmp_path):
    job = labelled(client, source)
    drawn = client.reviews.draw(job.id, size=10, seed=1)
    assert drawn == client.reviews.progress(job.id)
    rows = client.reviews.next_rows(job.id, limit=10)
    assert {row.text for row in rows} <= set(TEXTS)
    for row in rows:
        client.reviews.answer(job.id, row.row, ["joy"])
    client.reviews.take_back(job.id, rows[0].row)
    assert client.reviews.progress(job.id) != drawn
    client.reviews.answer(job.id, rows[0].row, "unsure")
    assert client.reviews.report(job.id)
    client.reviews.correct(job.id, 1, ["surprise"])
    assert {one.row: one.labels for one in client.reviews.corrections(job.id)}[1] == ("surprise",)
    assert client.reviews.download_to(job.id, tmp_path / "gold.tsv").read_text(encoding="utf-8")
    client.reviews.withdraw(job.id, 1)
    assert ("surprise",) not in [one.labels for one in client.reviews.corrections(job.id)]
    client.reviews.remove(job.id)
    client.delete(job.id)


def test_own_taxonomies(client, job):
    saved = client.taxonomies.save("tone", {"warm": ["joy", "love", "admiration"], "cold": ["anger", "annoyance"]})
    try:
        assert client.taxonomies.get("tone") == saved
        assert saved in client.taxonomies.list()
        rows = client.rows(job.id, View(taxonomy="tone")).rows
        assert {row["emotion"] for row in rows if row["emotion"]} & {"warm", "cold"}
    finally:
        client.taxonomies.delete("tone")
    with pytest.raises(errors.NotFound):
        client.taxonomies.get("tone")


def test_somebody_is_told(client, source, receiver):
    made = client.webhooks.create(receiver.url, ["job.completed"])
    try:
        assert made.secret is not None
        known = replace(made, secret=None)
        assert (client.webhooks.get(made.id), known in client.webhooks.list()) == (known, True)
        tried = client.webhooks.outcome(client.webhooks.test(made.id))
        assert (tried.state, tried.event, tried.attempts[-1].status) == (DeliveryState.DELIVERED, "webhook.test", 200)

        newer = client.webhooks.rotate(made.id)
        assert newer.secret not in (None, made.secret)
        done = labelled(client, source)
        told = next(one for one in client.webhooks.each_delivery(made.id) if one.job_id == done.id)
        if told.state is DeliveryState.PENDING:
            told = client.webhooks.outcome(told)
        assert told.payload["data"]["rows_ok"] == done.rows_ok
        page = client.webhooks.deliveries(made.id, limit=1)
        assert page.deliveries == (told,)
        [older] = client.webhooks.deliveries(made.id, cursor=page.next).deliveries
        assert older.id == tried.id

        receiver.answers.append(410)
        assert client.webhooks.outcome(client.webhooks.send_again(told.id)).attempts[-1].status == 410
        assert client.webhooks.get(made.id).disabled_because
        with pytest.raises(errors.NotReady):
            client.webhooks.test(made.id)
        assert client.webhooks.enable(made.id).disabled_at is None
        headers, body = receiver.got[1]
        assert Verifier(newer.secret).verify(body, headers)["data"]["job_id"] == done.id
        client.delete(done.id)
    finally:
        client.webhooks.delete(made.id)
    with pytest.raises(errors.NotFound):
        client.webhooks.get(made.id)
    with pytest.raises(errors.NotFound):
        client.webhooks.outcome(tried)
    with pytest.raises(errors.TargetRefused):
        client.webhooks.create("ftp://example.org/")


def test_a_job_is_stopped(client, source):
    accepted = client.create_job(source, text_column="body")
    assert not client.cancel(accepted.id).state.active
    client.delete(accepted.id)


def test_errors_are_of_their_classes(client, local_stack, job):
    with pytest.raises(errors.NotFound):
        client.status(NOBODYS)
    with pytest.raises(errors.BadOption):
        client.rows(job.id, View(taxonomy="no such"))
    stranger = Client(local_stack.url, "emo_wrong")
    with pytest.raises(errors.NotSignedIn):
        stranger.jobs()
    stranger.close()


def test_a_closed_client_is_closed(local_stack):
    client = Client(local_stack.url, local_stack.token)
    client.close()
    with pytest.raises(RuntimeError):
        client.jobs()
