"""What all routes of the API have in common: lists are paged alike, reading gives an ETag, waiting a Retry-After."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.web.conftest import CSV

GROUPS = [{"label": "cross", "members": ["anger"]}]

A_QUEUE = "/api/v1/jobs/{job_id}/review/rows"
"""The next rows to answer: answering them is what goes on."""


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json


def members(document, operation) -> dict:
    """The members of what an operation answers with."""
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    return document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})


def test_every_list_takes_a_limit_and_a_cursor_and_says_what_is_next(document):
    lists = []
    for path, operations in document["paths"].items():
        if "get" not in operations or path == A_QUEUE:
            continue
        asked = {one["name"] for one in operations["get"]["parameters"]}
        answered = members(document, operations["get"])
        assert ("limit" in asked) == ("cursor" in asked) == ("next" in answered), path
        if "next" in answered:
            lists.append(path)
            assert answered["next"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert len(lists) == 9


@pytest.fixture
def filled(ask, installation, monkeypatch) -> str:
    """Three of everything that is listed; a job's id."""
    monkeypatch.setattr("core.outbound.look_up", lambda host, port, **_: "93.184.215.14")
    job_id = next(iter([ask.upload() for _ in range(3)]))
    installation.run()
    for n in range(3):
        made = ask("POST", "/webhooks", json={"url": f"https://example.org/{n}"}).json
        ask("POST", "/keys", json={"name": f"key {n}"})
        ask("POST", "/taxonomies", json={"name": f"mine-{n}", "groups": GROUPS})
        ask("PUT", f"/jobs/{job_id}/corrections/{n + 1}", json={"labels": ["joy"]})
    for _ in range(3):
        ask("POST", f"/webhooks/{made['id']}/test")
    return job_id


@pytest.mark.parametrize(
    ("path", "name", "least"),
    [
        ("/jobs", "jobs", 3),
        ("/webhooks", "webhooks", 3),
        ("/webhooks/{webhook}/deliveries", "deliveries", 3),
        ("/keys", "keys", 3),
        ("/taxonomies", "taxonomies", 3),
        ("/models", "models", 1),
        ("/jobs/{job}/rows", "rows", 4),
        ("/jobs/{job}/corrections", "corrections", 3),
    ],
)
def test_pages_are_the_whole_in_its_order(ask, filled, path, name, least):
    webhook = ask("GET", "/webhooks").json["webhooks"][-1]["id"]
    path = path.format(job=filled, webhook=webhook)
    whole = ask("GET", path).json
    assert len(whole[name]) >= least
    assert whole["next"] is None
    seen, cursor = [], ""
    while cursor is not None:
        page = ask("GET", path, query_string={"limit": 1, "cursor": cursor}).json
        assert len(page[name]) == 1
        seen, cursor = seen + page[name], page["next"]
    assert seen == whole[name]
    for wrong in ("x", "eA", "!", "ZmZm"):
        refused = ask("GET", path, query_string={"cursor": wrong})
        assert (refused.status_code, refused.json["code"]) == (422, "bad_option")
        assert refused.json["detail"].startswith("cursor ")
    for wrong in ("0", "5000", "x"):
        assert ask("GET", path, query_string={"limit": wrong}).status_code == 422


def test_whatever_is_read_has_an_etag_and_is_not_sent_twice(ask, filled):
    webhook = ask("GET", "/webhooks").json["webhooks"][0]["id"]
    assert ask("POST", f"/jobs/{filled}/review", json={"size": 10}).status_code == 200
    for path in (
        "/jobs",
        f"/jobs/{filled}",
        f"/jobs/{filled}/rows",
        f"/jobs/{filled}/rows/1",
        f"/jobs/{filled}/summary",
        f"/jobs/{filled}/corrections",
        f"/jobs/{filled}/review",
        f"/jobs/{filled}/results.csv",
        "/webhooks",
        f"/webhooks/{webhook}",
        f"/webhooks/{webhook}/deliveries",
        "/keys",
        "/taxonomies",
        "/models",
    ):
        first = ask("GET", path)
        assert (first.status_code, bool(first.headers.get("ETag"))) == (200, True), path
        again = ask("GET", path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b""), path
        assert "no-store" not in again.headers["Cache-Control"]
    before = ask("GET", "/webhooks").headers["ETag"]
    ask("DELETE", f"/webhooks/{webhook}")
    assert ask("GET", "/webhooks", headers={"If-None-Match": before}).status_code == 200


def test_every_answer_that_means_wait_says_how_long(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status in {"202", "429", "503"} & operation["responses"].keys():
                said = operation["responses"][status]
                said = document["components"]["responses"].get(said.get("$ref", "").rpartition("/")[2], said)
                assert "Retry-After" in said["headers"], (method, path, status)


def test_and_so_do_the_answers_themselves(ask, filled, make_app, monkeypatch):
    webhook = ask("GET", "/webhooks").json["webhooks"][0]["id"]
    delivery = ask("POST", f"/webhooks/{webhook}/test")
    for answer in (
        ask("POST", "/jobs", data=CSV, content_type="text/csv"),
        delivery,
        ask("POST", f"/deliveries/{delivery.json['id']}/again"),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    monkeypatch.setattr(ask, "client", make_app(requests_a_minute=1).test_client())
    answers = [ask("GET", "/jobs") for _ in range(3)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) == answers[-1].json["retry_after_s"] > 0
    away = make_app(redis_url=SecretStr("redis://127.0.0.1:1/0")).test_client()
    answer = away.get("/api/v1/ready")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
