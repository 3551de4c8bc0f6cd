"""Jobs over the API: made in every way a client may send a file, watched, listed, cancelled, deleted."""

from __future__ import annotations

import gzip
import io
import json
import uuid

import pytest
from kombu.exceptions import OperationalError
from sqlalchemy import text

from core import queue
from core.states import JobState
from tests.web.conftest import CSV, TOKEN, Asker
from web.state import EXTENSION

DEGREES = "näme;größe\r\nAda;sehr gut\r\nBob;schlecht\r\n"


def test_an_uploaded_file_becomes_a_job_and_a_labelled_file(ask, installation):
    made = ask("POST", "/jobs?filename=my%20reviews.csv", data=CSV, content_type="text/csv")
    assert made.status_code == 202
    answer = made.json
    assert answer["filename"] == "my reviews.csv"
    assert answer["bytes"] == len(CSV)
    assert answer["text_column"]["name"] == "text"
    assert answer["format"]["delimiter"] == ","
    assert made.headers["Location"] == answer["links"]["self"] == f"/api/v1/jobs/{answer['id']}"
    installation.run()
    job = ask("GET", f"/jobs/{answer['id']}").json
    assert (job["state"], job["rows_total"], job["rows_ok"], job["rows_skipped"]) == ("completed", 4, 3, 1)
    assert job["rows_done"] == 4
    assert job["rows_total_final"] is True
    labelled = ask("GET", f"/jobs/{answer['id']}/results.csv")
    assert labelled.headers["Content-Disposition"] == 'attachment; filename="my reviews.labelled.csv"'
    lines = labelled.data.decode().splitlines()
    assert lines[0] == "id,text,emotion,emotion_score,emotions,sentiment,sentiment_score,row_status,flags"
    assert lines[2].startswith('2,"so sad, really",')
    assert lines[3] == "3,,,,,,,empty,"


def test_a_job_is_rung_for_once(ask, installation):
    ringer = queue.celery_app(installation.settings, "test")
    with ringer.connection_for_write() as connection:
        connection.default_channel.client.delete(queue.QUEUE)
    headers = {"Idempotency-Key": "only-once"}
    for _ in range(2):
        ask("POST", "/jobs", data=CSV, headers=headers)
    assert queue.waiting(ringer) == 1


def test_a_broker_that_is_away_costs_no_job(ask, app, monkeypatch):
    def fail(*_args, **_options):
        raise OperationalError("away")

    monkeypatch.setattr(app.extensions[EXTENSION].ringer, "send_task", fail)
    assert ask("GET", f"/jobs/{ask.upload()}").json["state"] == "queued"


def form(*parts: tuple[str, str | bytes, str | None]) -> dict:
    """A multipart body, its parts in this order: name, content, file name."""
    lines = []
    for name, content, filename in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        head = f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body = content.encode() if isinstance(content, str) else content
        lines.append(b"--edge\r\n" + head.encode() + body + b"\r\n")
    return {"data": b"".join(lines) + b"--edge--\r\n", "content_type": "multipart/form-data; boundary=edge"}


FILE = ("file", "a;b\r\nx y;I am glad\r\n", "some/folder/in.csv")
OPTIONS = (("text_column", "a", None), ("delimiter", "semicolon", None), ("header", "yes", None))


@pytest.mark.parametrize(
    "parts",
    [(*OPTIONS, FILE), (FILE, *OPTIONS), (OPTIONS[0], FILE, *OPTIONS[1:]), (*OPTIONS, ("encoding", "", None), FILE)],
    ids=["fields first", "file first", "file between", "an empty field"],
)
def test_a_form_may_have_its_fields_on_either_side_of_the_file(ask, parts):
    made = ask("POST", "/jobs", **form(*parts))
    assert made.status_code == 202, made.text
    assert made.json["filename"] == "in.csv"
    assert made.json["text_column"]["index"] == 0
    assert made.json["format"]["delimiter"] == ";"


def test_options_of_a_form_may_stand_in_the_query_too(ask):
    made = ask("POST", "/jobs?text_column=a&filename=other.csv", **form(FILE, ("delimiter", "semicolon", None)))
    assert made.json["text_column"]["name"] == "a"
    assert made.json["filename"] == "other.csv"


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (form(("text_column", "a", None)), "bad_option", "no file"),
        (form(FILE, FILE), "bad_option", "more than one file"),
        (form(FILE, ("colour", "blue", None)), "bad_option", "'colour'"),
        (form(("colour", "blue", None), FILE), "bad_option", "'colour'"),
        (form(FILE, ("delimiter", "ab", None)), "bad_option", "Delimiter 'ab'"),
        (form(("text_column", "x" * 70_000, None), FILE), "bad_option", "too long"),
        (form(FILE, ("text_column", "c", None)), "unknown_column", "'c'"),
        ({"data": b"a,b\n", "content_type": "multipart/form-data"}, "bad_option", "cannot be read"),
        ({"data": b"a,b\n", "content_type": "multipart/form-data; boundary=edge"}, "bad_option", "cannot be read"),
        ({**form(FILE), "data": form(FILE)["data"][:60]}, "bad_option", "cannot be read"),
        ({**form(FILE), "data": form(FILE)["data"][:-6]}, "bad_option", "cannot be read"),
    ],
)
def test_a_bad_form_is_refused_with_one_clear_error(ask, request_, code, words):
    refused = ask("POST", "/jobs", **request_)
    assert refused.status_code == 422, refused.text
    assert refused.json["code"] == code
    assert words in refused.json["detail"]
    assert ask("GET", "/jobs").json["jobs"] == []


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        (b"", {}, "no_rows"),
        (b"text\n", {}, "no_rows"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), {}, "not_text"),
        (b"a,b\n1,2\n", {}, "no_text_column"),
        (CSV, {"text_column": "nowhere"}, "unknown_column"),
        (CSV, {"text_column": "9"}, "unknown_column"),
        (CSV, {"encoding": "klingon"}, "bad_option"),
        (CSV, {"delimiter": "ab"}, "bad_option"),
        (CSV, {"delimiter": "\0"}, "bad_option"),
        (CSV, {"filename": "a\0b"}, "bad_option"),
        (CSV, {"header": "maybe"}, "bad_option"),
        (CSV, {"colour": "blue"}, "bad_option"),
        (CSV, {"text_column": "x" * 2000}, "bad_option"),
    ],
)
def test_a_users_mistake_is_a_problem_with_a_code(ask, data, options, code):
    refused = ask("POST", "/jobs", data=data, query_string=options, content_type="text/csv")
    assert refused.status_code == 422, refused.text
    assert refused.mimetype == "application/problem+json"
    assert refused.json["code"] == code
    assert refused.json["status"] == 422
    assert refused.json["detail"]


def test_an_error_in_the_file_says_where(ask):
    refused = ask("POST", "/jobs?encoding=utf-8", data=b"text\nfine\nbroken \xff\xfe here\n")
    assert refused.status_code == 422
    assert refused.json["code"] == "encoding_failed"
    assert refused.json["line"] == 3


@pytest.mark.parametrize(
    ("data", "options", "encoding", "delimiter"),
    [
        (DEGREES.encode("cp1252"), {}, "cp1252", ";"),
        (DEGREES.encode("utf-16"), {}, "utf-16", ";"),
        (DEGREES.encode("iso-8859-1"), {"encoding": "latin-1"}, "iso8859-1", ";"),
        (gzip.compress(DEGREES.encode()), {}, "utf-8", ";"),
        (b"a\tb\nx,y\tfine, thanks\n", {"delimiter": "tab"}, "utf-8", "\t"),
    ],
)
def test_what_was_detected_and_overridden_is_said(ask, data, options, encoding, delimiter):
    made = ask("POST", "/jobs", data=data, query_string=options, content_type="application/octet-stream")
    assert made.status_code == 202, made.text
    assert made.json["format"]["encoding"] == encoding
    assert made.json["format"]["delimiter"] == delimiter


def test_a_repeated_request_gets_the_first_answer(ask):
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = ask("POST", "/jobs", data=CSV, headers=headers)
    again = ask("POST", "/jobs", data=CSV, headers=headers)
    assert first.status_code == again.status_code == 202
    assert first.json == again.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(ask("GET", "/jobs").json["jobs"]) == 1


@pytest.mark.parametrize(("data", "options"), [(CSV + b"5,more\r\n", {}), (CSV, {"text_column": "id"})])
def test_an_idempotency_key_is_for_one_request_only(ask, data, options):
    headers = {"Idempotency-Key": "k"}
    ask("POST", "/jobs", data=CSV, headers=headers)
    refused = ask("POST", "/jobs", data=data, headers=headers, query_string=options)
    assert (refused.status_code, refused.json["code"]) == (422, "idempotency_key_reused")


def test_a_form_behind_its_file_counts_for_idempotency(ask):
    headers = {"Idempotency-Key": "k"}
    assert ask("POST", "/jobs", headers=headers, **form(FILE, OPTIONS[0])).status_code == 202
    assert ask("POST", "/jobs", headers=headers, **form(OPTIONS[0], FILE)).status_code == 202
    other = ask("POST", "/jobs", headers=headers, **form(FILE, ("text_column", "b", None)))
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


class Stream(io.RawIOBase):
    """A request's body that calls somebody before it is read."""

    def __init__(self, before):
        self.before = before
        self.body = io.BytesIO(CSV)

    def readable(self):
        return True

    def readinto(self, buffer):
        self.before()
        return self.body.readinto(buffer)


def streamed(before):
    return {"environ_overrides": {"wsgi.input": Stream(before), "CONTENT_LENGTH": str(len(CSV))}}


def test_a_key_in_progress_is_409_with_retry_after(ask):
    headers = {"Idempotency-Key": "busy"}
    meanwhile = []
    outer = ask(
        "POST", "/jobs", headers=headers, **streamed(lambda: meanwhile.append(ask("POST", "/jobs", headers=headers)))
    )
    assert outer.status_code == 202, outer.text
    assert (meanwhile[0].status_code, meanwhile[0].json["code"]) == (409, "idempotency_in_progress")
    assert meanwhile[0].headers["Retry-After"]


def test_a_refused_request_frees_its_key(ask):
    headers = {"Idempotency-Key": "k"}
    assert ask("POST", "/jobs", data=b"", headers=headers).status_code == 422
    assert ask("POST", "/jobs", data=CSV, headers=headers).status_code == 202


def test_status_has_an_etag_that_changes_with_the_job(ask, installation):
    path = f"/jobs/{ask.upload()}"
    first = ask("GET", path)
    headers = {"If-None-Match": first.headers["ETag"]}
    same = ask("GET", path, headers=headers)
    assert (same.status_code, same.data) == (304, b"")
    installation.run()
    changed = ask("GET", path, headers=headers)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_jobs_are_listed_newest_first_in_pages(ask):
    made = [ask.upload(filename=f"{n}.csv") for n in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        page = ask("GET", "/jobs", query_string={"limit": 2, **({"cursor": cursor} if cursor else {})}).json
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
    assert seen == made[::-1]
    assert cursor is None
    assert ask("GET", "/jobs?limit=5").json["next"] is None


def test_jobs_can_be_deleted_as_they_are_listed(ask):
    made = [ask.upload(filename=f"{n}.csv") for n in range(3)]
    page = ask("GET", "/jobs?limit=1").json
    assert ask("DELETE", f"/jobs/{page['jobs'][0]['id']}").status_code == 200
    rest = ask("GET", "/jobs", query_string={"cursor": page["next"]}).json
    assert [job["id"] for job in rest["jobs"]] == made[1::-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=eA", "before=x", "order=up"])
def test_a_bad_listing_is_refused(ask, query):
    refused = ask("GET", f"/jobs?{query}")
    assert (refused.status_code, refused.json["code"]) == (422, "bad_option")
    assert refused.json["detail"].startswith(query.split("=")[0])


def test_cancelling_keeps_what_is_done_and_is_harmless_twice(ask, installation):
    job_id = ask.upload()
    for _ in range(2):
        assert ask("POST", f"/jobs/{job_id}/cancel").json["state"] == "cancelled"
    installation.run()
    assert ask("GET", f"/jobs/{job_id}").json["state"] == "cancelled"


def test_a_deleted_job_is_gone(ask, installation):
    job_id = ask.upload()
    gone = ask("DELETE", f"/jobs/{job_id}")
    assert (gone.status_code, gone.json["id"], gone.json["upload_bytes"]) == (200, job_id, len(CSV))
    assert ask("GET", f"/jobs/{job_id}").status_code == 404
    assert ask("DELETE", f"/jobs/{job_id}").status_code == 404
    assert ask("GET", "/jobs").json["jobs"] == []


def test_how_long_a_job_is_kept_may_be_said_with_the_file(ask, installation):
    said = [ask("POST", "/jobs", data=CSV, content_type="text/csv", query_string={"keep_days": "3"})]
    said += [ask("POST", "/jobs", **form(("file", CSV, "a.csv"), ("keep_days", "3", None)))]
    assert [answer.status_code for answer in said] == [202, 202]
    with installation.db.transaction() as session:
        assert session.execute(text("SELECT options FROM job")).scalars().all() == [{"keep_days": 3}] * 2
    assert ask("POST", "/jobs", data=CSV, query_string={"keep_days": "0"}).status_code == 422


def untouched():
    raise AssertionError("the body was read")


def test_too_many_unfinished_jobs_is_429_before_the_body_is_read(make_app):
    ask = Asker(make_app(max_active_jobs=1).test_client(), TOKEN)
    ask.upload()
    refused = ask("POST", "/jobs", **streamed(untouched))
    assert (refused.status_code, refused.json["code"]) == (429, "too_many")
    assert refused.json["next_step"]


def test_a_stranger_is_401_before_the_body_is_read(client):
    assert client.post("/api/v1/jobs", headers={"Authorization": "Bearer x"}, **streamed(untouched)).status_code == 401


@pytest.mark.parametrize("said", [CSV, b""], ids=["streamed", "announced"])
def test_a_file_over_the_cap_is_413(make_app, said):
    ask = Asker(make_app(max_upload_bytes=20).test_client(), TOKEN)
    request = {"data": CSV} if said else {"environ_overrides": {"CONTENT_LENGTH": "1000000"}, **form(FILE)}
    refused = ask("POST", "/jobs", **request)
    assert (refused.status_code, refused.json["code"]) == (413, "limit_exceeded")
    assert "20 bytes" in refused.json["detail"]


def test_answers_are_json_a_program_can_rely_on(ask):
    job = ask("GET", f"/jobs/{ask.upload()}").json
    assert JobState(job["state"]) is JobState.QUEUED
    assert json.dumps(job)
    assert set(job["links"]) >= {"self", "cancel", "results_csv", "results_jsonl", "rows", "summary", "page"}
