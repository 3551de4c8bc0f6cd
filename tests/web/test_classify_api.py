"""Texts labelled while the asker waits: the labels of a job, nothing kept, plain words where nobody answers."""

from __future__ import annotations

import json
import uuid

import pytest
from sqlalchemy import text

from core import classify_requests
from core.models import DEFAULT_ACCOUNT_ID
from web.state import EXTENSION

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
TEXTS = ["I love this", "so sad, really", "what a surprise", "a long story"]


def kept(db) -> int:
    with db.transaction() as session:
        return session.execute(text("SELECT count(*) FROM classify_request")).scalar_one()


def classify(ask, texts=TEXTS, **options):
    return ask("POST", "/classify", json={"texts": texts, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"taxonomy": "goemotions", "scores": "all"},
        {"taxonomy": "sentiment"},
        {"threshold": 0.9, "scores": "none"},
        {"threshold": "auto"},
        {"threshold": 0},
    ],
)
def test_it_says_what_a_job_says(ask, answering, installation, db, options):
    job_id = ask.upload("".join(["text\n", *(f'"{line}"\n' for line in TEXTS)]).encode())
    installation.run(answering)
    rows = ask("GET", f"/jobs/{job_id}/rows", query_string=options).json["rows"]
    answer = classify(ask, **options)
    assert answer.status_code == 200, answer.text
    own = {"row", "line", "text", "cells"}
    assert answer.json["results"] == [{name: row[name] for name in row if name not in own} for row in rows]
    assert answer.json["model_sha256"] == installation.model.sha256
    assert answer.json["taxonomy"] == options.get("taxonomy", "ekman")
    assert kept(db) == 0


def test_order_repeats_and_empty_texts(ask, answering):
    texts = ["b", "", "a", "b", "   ", "z\x00y", "😀" * 40]
    results = classify(ask, texts).json["results"]
    assert [result["row_status"] for result in results] == ["ok", "empty", "ok", "ok", "empty", "ok", "ok"]
    assert results[0] == results[3] != results[2]
    assert results[1]["emotion"] is None
    assert answering.calls[-1] == ["b", "a", "b", "z\x00y", "😀" * 40]


def test_a_text_that_the_model_cannot_read_fails_alone(ask, answering):
    def on_text(given: str) -> None:
        if given == "bad":
            raise RuntimeError(given)

    answering._on_text = on_text
    results = classify(ask, ["good", "bad"]).json["results"]
    assert results[0]["row_status"] == "ok"
    assert results[1]["row_status"].startswith("failed: ")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"texts": []}, "at least 1"),
        ({"texts": ["x"] * 65}, "at most 64"),
        ({"texts": ["x" * 40_000]}, "32,768"),
        ({"texts": ["x"], "taxonomy": "colours"}, "taxonomy='colours'"),
        ({"texts": ["x"], "threshold": 2}, "threshold='2.0'"),
        ({"texts": ["x"], "scores": "some"}, "scores='some'"),
        ({"texts": ["x"], "colour": "blue"}, "no such option"),
        ({"text": "x"}, "texts"),
        ({"texts": "x"}, "list"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(ask, worker_alive, db, body, says):
    answer = ask("POST", "/classify", json=body)
    assert answer.status_code == 422
    assert says in answer.json["detail"]
    assert kept(db) == 0


def test_half_a_surrogate_pair_is_no_text(ask, worker_alive):
    answer = ask("POST", "/classify", data=b'{"texts": ["\\ud83d"]}', content_type="application/json")
    assert answer.status_code == 422


def test_the_longest_request_is_taken_however_it_is_written(ask, answering):
    texts = ["\U0001f600" * 512] * 64
    escaped = json.dumps({"texts": texts})
    assert len(escaped) > 390_000
    answer = ask("POST", "/classify", data=escaped, content_type="application/json")
    assert answer.status_code == 200
    assert len(answer.json["results"]) == 64


def test_a_body_that_cannot_be_one_is_refused(ask, worker_alive):
    assert ask("POST", "/classify", data=b" " * 600_000, content_type="application/json").status_code == 413
    assert ask("POST", "/classify", data=b"{", content_type="application/json").status_code in (400, 422)


def test_without_a_worker_the_asker_hears_at_once(ask, db):
    answer = classify(ask)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "No worker is alive" in answer.json["detail"]
    assert kept(db) == 0


def test_a_worker_with_another_model_cannot_answer(ask, db, worker_alive):
    with db.transaction() as session:
        session.execute(text("UPDATE worker SET models = '{other}'"))
    assert classify(ask).status_code == 503


def test_nobody_waits_for_ever_and_nothing_is_left(make_app, ask, worker_alive, db):
    ask.client = make_app(classify_wait_s=0.05).test_client()
    answer = classify(ask)
    assert answer.status_code == 503
    assert "No worker had time" in answer.json["detail"]
    assert kept(db) == 0


def test_some_threads_are_left_for_everything_else(make_app, ask, answering):
    app = make_app(web_threads=3)
    ask.client = app.test_client()
    places = app.extensions[EXTENSION].lane._places
    assert classify(ask).status_code == 200  # and gives its place back
    assert places.acquire(timeout=5)
    assert "Too many" in classify(ask).json["detail"]
    places.release()
    assert classify(ask).status_code == 200


def test_texts_reach_no_log(ask, answering, capsys):
    classify(ask, ["swordfish"])
    said = capsys.readouterr()
    assert "request answered" in said.out + said.err
    assert "swordfish" not in said.out + said.err


def test_nobody_gets_in_without_a_key(client):
    assert client.post("/api/v1/classify", json={"texts": ["x"]}, headers=OWN_PAGE).status_code == 401


def test_another_account_sees_no_request(web_db, make_account, worker_alive):
    stranger, _ = make_account()
    with web_db.transaction(DEFAULT_ACCOUNT_ID) as session:
        classify_requests.submit(
            session, uuid.uuid4(), DEFAULT_ACCOUNT_ID, model_sha256="m", texts=["secret"], keep_s=60
        )
    count = text("SELECT count(*) FROM classify_request")
    with web_db.transaction(stranger) as session:
        assert session.execute(count).scalar_one() == 0
        session.execute(text("DELETE FROM classify_request"))
    with web_db.transaction(DEFAULT_ACCOUNT_ID) as session:
        assert session.execute(count).scalar_one() == 1
