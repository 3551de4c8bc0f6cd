"""Web's metrics: counted by route, shown to who has the token, and empty of what users wrote."""

from __future__ import annotations

import uuid

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from tests.web.conftest import TOKEN, Asker

METRICS_TOKEN = "read-the-metrics"


@pytest.fixture
def watched(make_app):
    return make_app(metrics_token=SecretStr(METRICS_TOKEN))


@pytest.fixture
def scrape(watched):
    def ask() -> dict[tuple, float]:
        answer = watched.test_client().get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/plain")
        families = text_string_to_metric_families(answer.text)
        return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}

    return ask


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer "}])
def test_without_its_token_there_is_no_page(watched, app, headers):
    nothing = watched.test_client().get("/nothing", headers=headers)
    for client in (watched.test_client(), app.test_client()):
        refused = client.get("/metrics", headers=headers)
        assert (refused.status_code, refused.data) == (404, nothing.data)


def test_a_token_that_is_not_set_opens_nothing(make_app):
    client = make_app(metrics_token=SecretStr("")).test_client()
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_requests_are_counted_by_route_and_never_by_path(watched, scrape):
    ask = Asker(watched.test_client(), TOKEN)
    route = "/api/v1/jobs/<job_id>"
    before = scrape()
    for _ in range(3):
        ask("GET", f"/jobs/{uuid.uuid4()}")
    watched.test_client().get("/no/such/secret-path")
    watched.test_client().open("/", method="SECRET-METHOD")
    after = scrape()

    def more(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    assert more("emobatch_http_requests_total", *sorted(["GET", route, "404"])) == 3
    assert more("emobatch_http_request_seconds_count", *sorted(["GET", route])) == 3
    assert more("emobatch_http_requests_total", *sorted(["GET", "(none)", "404"])) == 1
    assert not [key for key in after if any("secret" in part.lower() for part in key)]


def test_uploads_and_transactions_are_counted(watched, scrape):
    before = scrape()
    Asker(watched.test_client(), TOKEN).upload(b"text\nfine\n")
    after = scrape()
    assert after[("emobatch_uploads_total",)] - before[("emobatch_uploads_total",)] == 1
    assert after[("emobatch_upload_bytes_total",)] - before[("emobatch_upload_bytes_total",)] == len(b"text\nfine\n")
    assert after[("emobatch_db_transactions_open", "emobatch_web")] == 0
    assert after[("emobatch_db_connections_limit", "emobatch_web")] > 0
