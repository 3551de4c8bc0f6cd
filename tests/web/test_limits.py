"""Limits as a client meets them: before the body is read, saying which one and when to come back, Redis or no Redis."""

from __future__ import annotations

import uuid

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core import quotas
from core.models import DEFAULT_ACCOUNT_ID
from tests.web.conftest import CSV, TOKEN, Asker
from tests.web.test_jobs_api import streamed
from web import ratelimit
from web.state import EXTENSION

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
NO_REDIS = {"redis_url": SecretStr("redis://127.0.0.1:1/0")}


def untouched():
    raise AssertionError("the body was read")


def set_limit(db, **limits) -> None:
    with db.transaction() as session:
        quotas.set_quota(session, DEFAULT_ACCOUNT_ID, **limits)


@pytest.fixture(params=[{}, NO_REDIS], ids=["Redis", "no Redis"])
def limited(request, make_app, monkeypatch):
    """Makes an app that counts, each in a corner of Redis of its own; and one that has no Redis."""
    real = ratelimit.RedisStorage
    mark = uuid.uuid4().hex

    def storage(url, **options):
        return real(url, **(options | {"key_prefix": mark}))

    monkeypatch.setattr(ratelimit, "RedisStorage", storage)
    return lambda **changes: make_app(**(request.param | changes))


def test_an_account_sends_so_many_requests_a_minute(limited, make_account):
    app = limited(requests_a_minute=5)
    ask = Asker(app.test_client(), TOKEN)
    for _ in range(5):
        assert ask("GET", "/jobs").status_code == 200
    refused = ask("POST", "/jobs", **streamed(untouched))
    assert (refused.status_code, refused.json["limit"]) == (429, "requests_a_minute")
    assert refused.mimetype == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) == refused.json["retry_after_s"] <= 60
    assert refused.json["next_step"]
    another = Asker(app.test_client(), make_account()[1])
    assert another("GET", "/jobs").status_code == 200


def test_an_account_may_have_a_limit_of_its_own(limited, db):
    set_limit(db, requests_a_minute=2)
    ask = Asker(limited().test_client(), TOKEN)
    assert [ask("GET", "/jobs").status_code for _ in range(3)] == [200, 200, 429]


def test_sign_ins_that_fail_are_counted_by_address(limited):
    app = limited(failures_a_minute=4)
    wrong = Asker(app.test_client(), "wrong")
    assert [wrong("GET", "/jobs").status_code for _ in range(5)] == [401] * 4 + [429]
    refused = wrong("POST", "/jobs", **streamed(untouched))
    assert (refused.status_code, refused.json["limit"]) == (429, "failures_a_minute")
    browser = app.test_client()
    answer = browser.post("/sign-in", data={"token": TOKEN}, headers=OWN_PAGE)
    assert (answer.status_code, bool(answer.headers["Retry-After"])) == (429, True)
    elsewhere = app.test_client().get(
        "/api/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}"}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert elsewhere.status_code == 200


def test_failures_in_another_process_count_a_moment_later(limited, monkeypatch):
    here, there = limited(failures_a_minute=2), limited(failures_a_minute=2)
    good, wrong = Asker(here.test_client(), TOKEN), Asker(there.test_client(), "wrong")
    assert good("GET", "/jobs").status_code == 200
    assert [wrong("GET", "/jobs").status_code for _ in range(3)] == [401, 401, 429]
    assert good("GET", "/jobs").status_code == 200
    rates = here.extensions[EXTENSION].rates
    monkeypatch.setattr(rates, "_clean", {})  # the moment is over
    alone = rates._away_until > 0
    assert good("GET", "/jobs").status_code == (200 if alone else 429)


def test_who_is_signed_in_is_not_shut_out_by_failures(limited):
    app = limited(failures_a_minute=2)
    browser, wrong = app.test_client(), Asker(app.test_client(), "wrong")
    browser.get(f"/sign-in?token={TOKEN}")
    for _ in range(3):
        wrong("GET", "/jobs")
    assert browser.get("/jobs").status_code == 200


def test_a_forwarded_address_is_believed_of_a_proxy_alone(limited):
    for proxies, expected in ((0, 429), (1, 401)):
        app = limited(failures_a_minute=2, proxies=proxies)
        client = app.test_client()
        for n in range(3):
            headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": f"198.51.100.{proxies}{n}"}
            answer = client.get("/api/v1/jobs", headers=headers)
        assert answer.status_code == expected


def test_without_redis_the_counts_go_on_where_they_were_in_this_process(make_app, monkeypatch, caplog):
    app = make_app(requests_a_minute=3, **NO_REDIS)
    rates = app.extensions[EXTENSION].rates
    asked = []
    real = rates._redis.hit
    monkeypatch.setattr(rates._redis, "hit", lambda *args: asked.append(1) or real(*args))
    ask = Asker(app.test_client(), TOKEN)
    assert [ask("GET", "/jobs").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert len(asked) == 1  # a server that is away is not waited for each time


# --- limits of an account, before the body is read --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "status", "name"),
    [
        ({"active_jobs": 1}, 429, "active_jobs"),
        ({"stored_bytes": 10}, 413, "stored_bytes"),
        ({"rows_a_day": 1}, 429, "rows_a_day"),
        ({"uploads": 1}, 429, "uploads"),
    ],
)
def test_a_limit_of_an_account_is_told_before_the_body_is_read(ask, db, limits, status, name):
    ask.upload()
    with db.transaction() as session:
        session.execute(
            text("INSERT INTO usage VALUES (:id, (now() AT TIME ZONE 'UTC')::date, 5)"), {"id": DEFAULT_ACCOUNT_ID}
        )
        session.execute(
            text(
                "INSERT INTO upload (account_id, key, filename, lease_until)"
                " VALUES (:id, 'uploads/x', 'x', now() + interval '1 minute')"
            ),
            {"id": DEFAULT_ACCOUNT_ID},
        )
    set_limit(db, **limits)
    refused = ask("POST", "/jobs", **streamed(untouched))
    assert (refused.status_code, refused.json["limit"]) == (status, name), refused.text
    assert ("Retry-After" in refused.headers) is (status == 429)
    assert refused.json["detail"]
    assert refused.json["next_step"]


def test_texts_of_requests_are_rows_too(ask, answering, db):
    set_limit(db, rows_a_day=3)
    for status in (200, 200, 429):
        answer = ask("POST", "/classify", json={"texts": ["a good day", "a bad day"]})
        assert answer.status_code == status, answer.text
    assert answer.json["limit"] == "rows_a_day"
    found = ask("GET", "/account").json
    assert (found["limits"]["rows_a_day"], found["use"]["rows_today"]) == (3, 4)


def test_a_body_that_is_too_long_is_told_so(ask):
    refused = ask("POST", "/classify", data=b" " * 600_000, content_type="application/json")
    assert (refused.status_code, refused.json["limit"]) == (413, "body_bytes")
    assert "bytes" in refused.json["detail"]


def test_a_file_with_too_many_columns_is_told_so(make_app):
    ask = Asker(make_app(max_columns=3).test_client(), TOKEN)
    refused = ask("POST", "/jobs", data=b"a,b,c,text\n1,2,3,hello\n")
    assert (refused.status_code, refused.json["limit"]) == (413, "columns")


def test_a_file_with_too_many_rows_fails_and_says_so(ask, installation, make_settings):
    installation.settings = make_settings(max_rows=3)
    job_id = ask.upload(CSV)
    installation.run()
    job = ask("GET", f"/jobs/{job_id}").json
    assert job["state"] == "failed"
    assert "3 rows" in job["error"]["what"]
