"""Every error in a form the asker can use, and headers that protect on every answer."""

from __future__ import annotations

import gzip

import pytest
from sqlalchemy.exc import OperationalError, TimeoutError

from core.errors import EmobatchError
from emobatch.errors import from_response
from tests.web.conftest import CSV, TOKEN
from web import problems
from web.state import EXTENSION


def test_every_error_has_a_status():
    def below(kind):
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    said = {
        kind.code: problems.status_of(kind("what")) for kind in below(EmobatchError) if "web" not in kind.__module__
    }
    assert said["not_text"] == said["bad_option"] == said["unclosed_quote"] == 422
    assert said["limit_exceeded"] == 413
    assert said["not_found"] == 404
    assert said["not_ready"] == said["idempotency_in_progress"] == 409
    assert said["idempotency_key_reused"] == 422
    assert said["not_signed_in"] == 401
    assert said["unavailable"] == 503
    assert said["storage_missing"] == said["upload_damaged"] == 500
    assert said["error"] == 500


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda packed: packed[:-9], "cut off"),
        (lambda packed: packed[:10] + b"\xff" * 40 + packed[50:], "damaged near"),
    ],
    ids=["cut off", "overwritten"],
)
def test_a_gzip_file_that_came_damaged_is_its_senders(ask, damage, words):
    rows = "".join(f"{n},this is sentence number {n}\n" for n in range(2000))
    refused = ask("POST", "/jobs", data=damage(gzip.compress(f"id,text\n{rows}".encode())), content_type="text/csv")
    assert (refused.status_code, refused.json["code"]) == (422, "bad_gzip")
    assert words in refused.json["detail"]
    assert ask("GET", "/jobs").json["jobs"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/jobs", 405),
        ("GET", "/jobs/1/cancel", 405),
        ("POST", "/health", 405),
    ],
)
def test_http_errors_are_problems_too(ask, method, path, status):
    answer = ask(method, path)
    assert answer.status_code == answer.json["status"] == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json["detail"]
    assert ("Allow" in answer.headers) is (status == 405)


def test_people_get_a_page(client):
    client.get(f"/sign-in?token={TOKEN}")
    answer = client.get("/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_fault_of_ours_is_a_reference_and_no_trace(ask, app, monkeypatch):
    def fail(*_):
        raise KeyError("secret detail")

    monkeypatch.setattr("core.jobs.list_statuses", fail)
    answer = ask("GET", "/jobs")
    assert answer.status_code == 500
    assert len(answer.json["reference"]) == 12
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


def test_a_database_that_is_away_is_503(ask, app, monkeypatch):
    def away(*_, **__):
        raise OperationalError("SELECT 1", {}, _psycopg_error())

    monkeypatch.setattr(app.extensions[EXTENSION].db, "_sessions", away)
    for answer in (ask("GET", "/jobs"), ask("POST", "/jobs", data=CSV)):
        assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"]


def _psycopg_error():
    import psycopg

    return psycopg.OperationalError("connection refused")


def test_a_pool_without_a_free_connection_is_503(ask, app, monkeypatch):
    def busy(*_, **__):
        raise TimeoutError("QueuePool limit")

    monkeypatch.setattr(app.extensions[EXTENSION].db, "_sessions", busy)
    assert ask("GET", "/jobs").status_code == 503


def test_readiness_says_which_part_is_away(client, app, monkeypatch):
    state = app.extensions[EXTENSION]
    assert client.get("/api/v1/ready").json == {
        "status": "ready",
        "parts": {"database": "ok", "storage": "ok", "redis": "ok"},
    }
    monkeypatch.setattr(state.ringer.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(state.ringer.conf, "broker_read_url", "redis://127.0.0.1:1/0")
    answer = client.get("/api/v1/ready")
    assert (answer.status_code, answer.json["status"]) == (503, "not ready")
    assert answer.json["parts"]["database"] == "ok"
    assert "broker" in answer.json["parts"]["redis"]


def test_an_empty_database_is_not_ready(make_app, empty_database_url):
    from pydantic import SecretStr

    client = make_app(database_url=SecretStr(empty_database_url)).test_client()
    answer = client.get("/api/v1/ready")
    assert answer.status_code == 503
    assert answer.json["parts"]["database"].startswith("Migrations are missing")
    assert client.get("/api/v1/health").status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/jobs", "/sign-in", "/nothing", "/static/site.css"])
def test_protection_is_on_every_answer(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"]


def test_what_is_private_is_not_kept_or_asked_for_again(client, ask):
    assert client.get("/sign-in").headers["Cache-Control"] == "no-store"
    assert ask("POST", "/preview", data=CSV).headers["Cache-Control"] == "no-store"
    assert ask("GET", "/jobs").headers["Cache-Control"] == "private, no-cache"  # has an ETag
    assert "max-age" in client.get("/static/site.css").headers["Cache-Control"]


def test_the_client_understands_every_refusal(ask):
    """The client turns the problem back into the very error that was raised here."""
    import httpx

    refused = ask("POST", "/jobs", data=CSV, query_string={"text_column": "nowhere"})
    error = from_response(httpx.Response(422, headers=dict(refused.headers), content=refused.data))
    assert error.code == "unknown_column"
    assert error.next_step
