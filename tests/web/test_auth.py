"""Who gets in, and to what: tokens, keys, sessions, and the wall between accounts."""

from __future__ import annotations

import re
import uuid

import pytest
from sqlalchemy import text

from tests.web.conftest import CSV, TOKEN, Asker

JOB_ROUTES = [
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/cancel"),
    ("GET", "/results.csv"),
    ("GET", "/results.jsonl"),
    ("GET", "/results.csv?partial=yes"),
    ("GET", "/rows"),
    ("GET", "/summary"),
]
OPEN = {"/api/v1/health", "/api/v1/ready", "/api/v1/openapi.json"}


def api_routes(app):
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/") and rule.rule not in OPEN:
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, re.sub(r"<(?:int:)?\w+>", "1", rule.rule)


def test_every_api_route_needs_somebody(app, client):
    routes = list(api_routes(app))
    assert len(routes) >= 10
    for method, path in routes:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
            if method != "GET" and not headers:
                headers = {"Sec-Fetch-Site": "same-origin"}
            refused = client.open(path, method=method, headers=headers)
            assert refused.status_code == 401, (method, path, headers)
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
            assert refused.json["code"] == "not_signed_in"


@pytest.mark.parametrize("path", sorted(OPEN))
def test_probes_and_the_description_are_open(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(("method", "path"), JOB_ROUTES)
def test_anothers_job_looks_exactly_like_none(ask, other, installation, method, path):
    job_id = ask.upload()
    installation.run()
    unknown = other(method, f"/jobs/{uuid.uuid4()}{path}")
    anothers = other(method, f"/jobs/{job_id}{path}")
    no_id = other(method, f"/jobs/12{path}")
    assert unknown.status_code == anothers.status_code == no_id.status_code == 404
    assert unknown.json == anothers.json == no_id.json
    assert ask("GET", f"/jobs/{job_id}").json["state"] == "completed"


def test_pages_keep_the_same_wall(ask, app, make_account, installation):
    job_id = ask.upload()
    browser = app.test_client()
    sign_in(browser, make_account()[1])
    for path in ("", "/live", "/rows"):
        assert browser.get(f"/jobs/{job_id}{path}").status_code == 404
    for path in ("/cancel", "/delete"):
        assert browser.post(f"/jobs/{job_id}{path}", headers=OWN_PAGE).status_code == 404
    assert b"upload.csv" not in browser.get("/jobs").data
    assert ask("GET", f"/jobs/{job_id}").json["state"] == "queued"


def test_lists_and_marks_are_the_accounts_own(ask, other):
    mine, theirs = ask.upload(), other.upload()
    assert [job["id"] for job in ask("GET", "/jobs").json["jobs"]] == [mine]
    assert [job["id"] for job in other("GET", "/jobs").json["jobs"]] == [theirs]
    place = other("GET", "/jobs?limit=1").json["next"]
    assert place is None
    other.upload()
    place = other("GET", "/jobs?limit=1").json["next"]
    assert ask("GET", "/jobs", query_string={"cursor": place}).json["jobs"] in ([], ask("GET", "/jobs").json["jobs"])


def test_an_idempotency_key_is_the_accounts_own(ask, other):
    headers = {"Idempotency-Key": "same"}
    first = ask("POST", "/jobs", data=CSV, headers=headers)
    second = other("POST", "/jobs", data=CSV, headers=headers)
    assert first.status_code == second.status_code == 202
    assert first.json["id"] != second.json["id"]


# --- browsers ---------------------------------------------------------------------------------------------------------

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


def sign_in(browser, secret: str):
    return browser.get(f"/sign-in?token={secret}")


def test_the_link_signs_in_and_takes_the_token_out_of_the_address(client):
    answer = sign_in(client, TOKEN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert client.get("/").status_code == 200
    assert client.get("/api/v1/jobs").status_code == 200


def test_over_https_the_cookie_stays_there(client):
    answer = client.get(f"/sign-in?token={TOKEN}", base_url="https://localhost")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/jobs?cursor=1", "/jobs?cursor=1"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_signing_in_one_stays_here(client, target, goes_to):
    answer = client.post("/sign-in", data={"token": TOKEN, "next": target}, headers=OWN_PAGE)
    assert (answer.status_code, answer.headers["Location"]) == (303, goes_to)


@pytest.mark.parametrize("token", ["wrong", "", "emo_x_y", f"emo_{uuid.uuid4().hex}_secret", "\0", "ä"])
def test_a_wrong_token_stays_outside(client, token):
    answer = client.post("/sign-in", data={"token": token}, headers=OWN_PAGE)
    assert answer.status_code == 401
    assert client.get("/jobs").status_code == 303


def test_a_page_sends_strangers_to_the_sign_in_and_back(client):
    answer = client.get("/jobs")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=/jobs")
    fragment = client.get("/jobs", headers={"HX-Request": "true"})
    assert fragment.headers["HX-Redirect"] == "/sign-in"


def test_signing_out_ends_the_session(client):
    sign_in(client, TOKEN)
    client.post("/sign-out", headers=OWN_PAGE)
    assert client.get("/jobs").status_code == 303


def test_another_token_or_secret_ends_sessions(make_app):
    browser = make_app().test_client()
    sign_in(browser, TOKEN)
    cookie = browser._cookies
    for changes in (
        {"access_token": _secret("another")},
        {"access_token": _secret("")},
        {"secret_key": _secret("x" * 32)},
    ):
        elsewhere = make_app(**changes).test_client()
        elsewhere._cookies = cookie
        assert elsewhere.get("/jobs").status_code == 303


@pytest.mark.parametrize("ended", ["revoked_at = now()", "expires_at = now()"])
def test_a_revoked_or_expired_key_ends_its_sessions(app, make_account, db, ended):
    account_id, key = make_account()
    browser, program = app.test_client(), Asker(app.test_client(), key)
    sign_in(browser, key)
    assert browser.get("/jobs").status_code == program("GET", "/jobs").status_code == 200
    with db.transaction() as session:
        session.execute(text(f"UPDATE api_key SET {ended} WHERE account_id = :id"), {"id": account_id})
    assert browser.get("/jobs").status_code == 303
    assert program("GET", "/jobs").status_code == 401


def test_without_a_secret_key_web_does_not_start(make_app):
    with pytest.raises(RuntimeError, match="EMOBATCH_SECRET_KEY"):
        make_app(secret_key=_secret(""))


def _secret(value: str):
    from pydantic import SecretStr

    return SecretStr(value)


# --- other sites ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:9999"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_another_site_cannot_use_a_visitors_session(client, headers, allowed):
    sign_in(client, TOKEN)
    for path in ("/api/v1/jobs", "/"):
        answer = client.post(path, data=b"text\nhello\n", content_type="text/csv", headers=headers)
        assert (answer.status_code != 403) is allowed, (path, answer.status_code)


def test_another_site_cannot_sign_a_visitor_in(client):
    answer = client.get(f"/sign-in?token={TOKEN}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert client.post("/sign-in", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:5000", True),
        ("[::1]:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("", False),
    ],
)
def test_only_its_own_names_are_answered(client, host, answered):
    assert (client.get("/sign-in", headers={"Host": host}).status_code == 200) is answered
    assert client.get("/api/v1/health", headers={"Host": host}).status_code == 200


def test_any_name_if_a_proxy_checks(make_app):
    client = make_app(allowed_hosts="*").test_client()
    assert client.get("/sign-in", headers={"Host": "anything.example"}).status_code == 200
