"""tus 1.0.0, header by header, and what is ours on top of it: a complete upload is a job."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.web.conftest import CSV, Asker

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}


def meta(**pairs: str) -> dict[str, str]:
    return {
        "Upload-Metadata": ",".join(
            f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in pairs.items()
        )
    }


class Tus:
    """A client that speaks tus."""

    def __init__(self, ask: Asker) -> None:
        self.ask = ask

    def begin(self, length: int, headers: dict[str, str] | None = None, **request):
        given = TUS | {"Upload-Length": str(length)} | (headers or {})
        return self.ask("POST", "/uploads", headers=given, **request)

    def path(self, answer) -> str:
        return answer.headers["Location"].removeprefix("/api/v1")

    def head(self, path: str):
        return self.ask("HEAD", path, headers=TUS)

    def patch(self, path: str, offset: int, data, headers: dict[str, str] | None = None, **request):
        given = TUS | BODY | {"Upload-Offset": str(offset)} | (headers or {})
        return self.ask("PATCH", path, headers=given, data=data, **request)


@pytest.fixture
def tus(ask) -> Tus:
    return Tus(ask)


def test_a_file_sent_in_parts_becomes_the_job_that_its_metadata_asks_for(tus, ask, installation):
    begun = tus.begin(len(CSV), meta(filename="mine.csv", text_column="text", filetype="text/csv"))
    assert begun.status_code == 201
    path = tus.path(begun)
    assert (begun.headers["Upload-Offset"], "Upload-Expires" in begun.headers) == ("0", True)
    first = tus.patch(path, 0, CSV[:10])
    assert (first.status_code, first.data, first.headers["Upload-Offset"]) == (204, b"", "10")
    assert "Emobatch-Job" not in first.headers
    looked = tus.head(path)
    assert (looked.status_code, looked.data) == (200, b"")
    assert looked.headers["Upload-Offset"] == "10"
    assert looked.headers["Upload-Length"] == str(len(CSV))
    assert looked.headers["Cache-Control"] == "no-store"
    last = tus.patch(path, 10, CSV[10:])
    assert last.status_code == 204
    job = ask("GET", f"/jobs/{last.headers['Emobatch-Job']}").json
    assert (job["filename"], job["bytes"], job["text_column"]["guessed"]) == ("mine.csv", len(CSV), False)
    said = ask("GET", path).json
    assert (said["received"], said["job"]["id"], said["job"]["links"]["self"]) == (
        len(CSV),
        job["id"],
        f"/api/v1/jobs/{job['id']}",
    )
    again = ask("POST", f"{path}/complete")
    assert (again.status_code, again.json["id"], again.headers["Idempotent-Replayed"]) == (202, job["id"], "true")
    assert len(ask("GET", "/jobs").json["jobs"]) == 1


def test_the_first_bytes_may_come_with_the_beginning(tus, ask):
    begun = tus.begin(len(CSV), BODY | meta(filename="a.csv"), data=CSV)
    assert (begun.status_code, begun.headers["Upload-Offset"]) == (201, str(len(CSV)))
    assert ask("GET", f"/jobs/{begun.headers['Emobatch-Job']}").status_code == 200


def test_everybody_may_ask_what_the_server_can_do(client, app):
    answer = client.options("/api/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
    assert "creation" in answer.headers["Tus-Extension"].split(",")
    assert int(answer.headers["Tus-Max-Size"]) == app.extensions["emobatch"].settings.max_upload_bytes
    assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


@pytest.mark.parametrize("version", [{}, {"Tus-Resumable": "0.2.2"}])
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_another_version_is_refused_and_told_which_is_spoken(tus, ask, method, version):
    path = tus.path(tus.begin(9))
    answer = ask(method, path, headers=BODY | {"Upload-Offset": "0"} | version, data=b"text\nfine")
    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")
    assert tus.head(path).headers["Upload-Offset"] == "0"


def test_what_does_not_fit_is_refused_and_changes_nothing(tus, ask):
    path = tus.path(tus.begin(len(CSV)))
    tus.patch(path, 0, CSV[:10])
    refusals = {
        409: tus.patch(path, 5, CSV[5:]),
        413: tus.patch(path, 10, CSV),
        415: tus.patch(path, 10, CSV[10:], {"Content-Type": "text/csv"}),
        460: tus.patch(path, 10, CSV[10:], {"Upload-Checksum": "sha1 " + base64.b64encode(b"x" * 20).decode()}),
        422: tus.patch(path, 10, CSV[10:], {"Upload-Checksum": "crc32 AAAA"}),
    }
    assert {status: answer.status_code for status, answer in refusals.items()} == {
        status: status for status in refusals
    }
    assert refusals[409].json["code"] == "wrong_offset"
    assert "byte 10" in refusals[409].json["detail"]
    assert all(answer.headers["Tus-Resumable"] == "1.0.0" for answer in refusals.values())
    assert tus.head(path).headers["Upload-Offset"] == "10"


@pytest.mark.parametrize(
    ("length", "headers", "status"),
    [
        ("x", {}, 422),
        (-1, {}, 422),
        (9, {"Upload-Metadata": "filename ???"}, 422),
        (9, meta(encoding="klingon"), 422),
        (9, meta(resume_key="k" * 300), 422),
        (10**12, {}, 413),
    ],
)
def test_a_beginning_that_leads_nowhere_is_refused_before_a_byte_is_sent(tus, length, headers, status):
    assert tus.begin(length, headers).status_code == status


def test_a_checksum_that_fits_is_taken(tus):
    path = tus.path(tus.begin(len(CSV)))
    digest = base64.b64encode(hashlib.sha256(CSV).digest()).decode()
    assert tus.patch(path, 0, CSV, {"Upload-Checksum": f"sha256 {digest}"}).status_code == 204


def test_an_unfinished_upload_is_found_again_by_its_key(tus, ask):
    first = tus.begin(len(CSV), meta(resume_key="r", filename="a.csv"))
    tus.patch(tus.path(first), 0, CSV[:10])
    again = tus.begin(len(CSV), meta(resume_key="r", filename="b.csv"))
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (first.headers["Location"], "10")
    last = tus.patch(tus.path(again), 10, CSV[10:])
    assert ask("GET", f"/jobs/{last.headers['Emobatch-Job']}").json["filename"] == "b.csv"
    assert tus.begin(len(CSV), meta(resume_key="r")).headers["Location"] != first.headers["Location"]


def test_what_the_file_is_refused_for_is_corrected_without_sending_it_again(tus, ask):
    path = tus.path(tus.begin(len(CSV), meta(text_column="nowhere")))
    refused = tus.patch(path, 0, CSV)
    assert (refused.status_code, refused.json["code"]) == (422, "unknown_column")
    assert tus.head(path).headers["Upload-Offset"] == str(len(CSV))
    answer = ask("POST", f"{path}/complete?text_column=text")
    assert (answer.status_code, answer.json["text_column"]["name"]) == (202, "text")


def test_completing_too_early_says_where_to_go_on(tus, ask):
    path = tus.path(tus.begin(len(CSV)))
    tus.patch(path, 0, CSV[:10])
    answer = ask("POST", f"{path}/complete")
    assert (answer.status_code, answer.json["code"]) == (409, "not_ready")
    assert "byte 10" in answer.json["next_step"]


def test_an_upload_is_given_up(tus, ask):
    path = tus.path(tus.begin(9))
    assert ask("DELETE", path, headers=TUS).status_code == 204
    assert tus.head(path).status_code == 404
    assert tus.patch(path, 0, b"text\nfine").status_code == 404


def test_clients_that_know_no_patch_say_it_in_a_header(tus, ask):
    path = tus.path(tus.begin(len(CSV)))
    headers = TUS | BODY | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert ask("POST", path, headers=headers, data=CSV).status_code == 204
    assert ask("POST", path, headers=TUS).status_code == 405


def test_another_account_finds_nothing(tus, other):
    path = tus.path(tus.begin(len(CSV)))
    strange = Tus(other)
    assert strange.head(path).status_code == 404
    assert strange.patch(path, 0, CSV).status_code == 404
    assert tus.head(path).headers["Upload-Offset"] == "0"
