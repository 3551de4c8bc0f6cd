"""The Python client: one job per upload whatever breaks, whole files or none, errors of the right class."""

from __future__ import annotations

import io
import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from core import errors
from core.states import JobState
from emobatch.address import ServerAddress
from emobatch.client import Client
from emobatch.errors import ServerFailed, Unreachable
from emobatch.job import View
from emobatch.output import Output
from emobatch.retry import Patience
from tests.emobatch.fake_api import DROPPED, LOST, TOKEN, Answer, FakeApi, fake_api, problem

CSV = b"id,text\n1,fine\n2,awful\n"


@pytest.fixture
def api():
    with fake_api() as api:
        yield api


@pytest.fixture
def slept() -> list[float]:
    """How long the client wanted to sleep each time; it does not."""
    return []


@pytest.fixture
def client(api, slept):
    with Client(api.url, TOKEN, patience=Patience(known_s=60), sleep=slept.append) as client:
        yield client


@pytest.fixture
def csv_file(tmp_path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_bytes(CSV)
    return path


@pytest.fixture
def job_id(client, csv_file) -> str:
    return client.create_job(csv_file).id


def test_the_file_is_sent_as_it_is_with_its_options(api, client, csv_file):
    accepted = client.create_job(csv_file, text_column=2, delimiter=";", encoding="cp1252", header=False, quoting=True)
    (asked,) = api.asked
    assert asked.body == CSV
    assert asked.headers["content-length"] == str(len(CSV))
    assert asked.query == {
        "filename": "reviews.csv",
        "text_column": "2",
        "delimiter": ";",
        "encoding": "cp1252",
        "header": "no",
        "quoting": "yes",
    }
    assert (accepted.filename, accepted.bytes) == ("reviews.csv", len(CSV))


def test_a_file_is_measured_once_so_that_one_that_grows_is_sent_as_it_was(api, client):
    class Growing(io.BytesIO):
        def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
            found = super().seek(offset, whence)
            if whence == os.SEEK_END:
                self.write(b"3,late\n")
            return found

    accepted = client.create_job(Growing(CSV), filename="log.csv")
    assert (api.asked[0].body, accepted.bytes) == (CSV, len(CSV))


def test_an_upload_takes_the_memory_of_a_block(api, client):
    class Watched(io.BytesIO):
        longest = 0

        def read(self, size: int | None = -1) -> bytes:
            block = super().read(size)
            self.longest = max(self.longest, len(block))
            return block

    file = Watched(b"text\n" + b"fine\n" * 200_000)
    progress: list[tuple[int, int]] = []
    client.create_job(file, progress=lambda done, total: progress.append((done, total)))
    assert file.longest == 256 * 1024
    assert progress[-1] == (1_000_005, 1_000_005)


@pytest.mark.parametrize(
    "fault",
    [
        DROPPED,
        LOST,
        problem(503, "unavailable"),
        problem(409, "idempotency_in_progress"),
        Answer(502, b"<html>", {"Content-Type": "text/html"}),
        problem(429, "limit_exceeded", headers={"Retry-After": "1"}),
    ],
    ids=["dropped", "answer lost", "503", "key in progress", "proxy", "throttled"],
)
def test_a_repeated_upload_makes_one_job(api, client, csv_file, fault):
    api.faults["create"] = [fault, fault]
    accepted = client.create_job(csv_file)
    assert list(api.jobs) == [accepted.id]
    assert api.count("POST") == 3
    assert len({asked.headers["idempotency-key"] for asked in api.asked}) == 1
    assert {asked.body for asked in api.asked} == {CSV}


def test_two_uploads_have_two_keys(api, client, csv_file):
    client.create_job(csv_file)
    client.create_job(csv_file)
    assert len(api.jobs) == 2


def test_the_server_says_how_long_to_wait(api, client, csv_file, slept):
    api.faults["create"] = [problem(503, "unavailable", headers={"Retry-After": after}) for after in ("7", "9999", "x")]
    client.create_job(csv_file)
    assert slept[:2] == [7.0, 30.0]
    assert 0 < slept[2] <= 1


def test_waits_grow_and_are_spread():
    patience = Patience(first_s=1, longest_s=4)
    for failures, most in [(1, 1), (2, 2), (3, 4), (9, 4)]:
        delays = {patience.delay(failures) for _ in range(50)}
        assert len(delays) > 1
        assert all(most / 2 <= delay <= most for delay in delays)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "not_signed_in"), errors.NotSignedIn),
        (problem(413, "limit_exceeded"), errors.LimitExceeded),
        (problem(429, "limit_exceeded"), errors.LimitExceeded),
        (problem(422, "unclosed_quote"), errors.UnclosedQuote),
        (problem(422, "idempotency_key_reused"), errors.KeyReused),
        (problem(418, "of_a_newer_server"), errors.EmobatchError),
        (problem(500, "internal_server_error"), ServerFailed),
        (Answer(200, b"<html>", {"Content-Type": "text/html"}), ServerFailed),
        (Answer(200, b"{}", {"Content-Type": "application/json"}), ServerFailed),
        (Answer(200, b"[]", {"Content-Type": "application/json"}), ServerFailed),
        (Answer(404, b"<html>", {"Content-Type": "text/html"}), ServerFailed),
        (Answer(404, b"{", {"Content-Type": "application/json"}), ServerFailed),
        (Answer(301, b"", {"Location": "https://elsewhere.example"}), ServerFailed),
    ],
)
def test_a_refusal_is_not_repeated_and_has_its_class(api, client, csv_file, answer, kind):
    api.faults["create"] = [answer]
    with pytest.raises(errors.EmobatchError) as caught:
        client.create_job(csv_file)
    assert type(caught.value) is kind
    assert api.count("POST") == 1


def test_an_error_says_what_where_and_what_next(api, client, csv_file):
    place = {"row": 7, "line": 9, "column": "text"}
    api.faults["create"] = [problem(422, "encoding_failed", "A byte is wrong.", next_step="Set --encoding.", **place)]
    with pytest.raises(errors.EncodingFailed) as caught:
        client.create_job(csv_file)
    assert str(caught.value) == "data row 7 (file line 9), column 'text': A byte is wrong. Set --encoding."


def test_a_server_that_never_answered_is_given_up_soon(slept):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Client(url, patience=Patience(stranger_s=0, tries=3), sleep=slept.append)
        with client, pytest.raises(Unreachable, match=f"Nothing answers at {url}"):
            client.jobs()
    assert len(slept) == 2


def test_a_server_that_has_answered_is_waited_for(api, job_id, client, slept):
    api.faults["status"] = [DROPPED] * 6
    assert client.status(job_id).id == job_id
    assert len(slept) == 6


def test_a_file_that_shrinks_is_an_error_and_makes_no_job(api, client):
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size)[:0]

    with pytest.raises(errors.InputError, match="became shorter"):
        client.create_job(Shrinking(CSV))
    assert not api.jobs


def test_a_status_that_has_not_changed_is_not_sent_again(api, client, job_id):
    api.states = ["running"]
    first = client.status(job_id)
    assert client.status(job_id) is first
    assert [asked.headers.get("if-none-match") for asked in api.asked[1:]] == [None, '"running-0"']
    api.changes = {"rows_ok": 1}
    assert client.status(job_id).rows_done == 1


def test_waiting_shows_each_state_and_returns_the_last(api, client, job_id):
    api.states = ["queued", "ingesting", "running", "completed_with_errors"]
    api.faults["status"] = [DROPPED, problem(503, "unavailable")]
    seen: list[JobState] = []
    job = client.wait(job_id, lambda job: seen.append(job.state))
    assert [str(state) for state in seen] == api.states
    assert (job.state, job.rows_done, job.seconds) == (JobState.COMPLETED_WITH_ERRORS, 2, 2.5)


@pytest.mark.parametrize(
    ("eta_s", "waited_s", "age_s", "pause_s"),
    [
        (None, 0, 0, 0.02),
        (None, 2, 0, 0.52),
        (None, 60, 0, 1.0),
        (600, 60, 0, 1.0),
        (1.5, 60, 0, 0.3),
        (0.3, 60, 0.25, 0.02),  # about to end
        (0.3, 60, 1.8, 0.3),  # overdue
        (0.3, 600, 300, 1.0),
        (60, 0.1, 0, 0.045),  # an estimate of the first moment counts for little
    ],
)
def test_a_job_is_looked_at_most_often_around_its_end(client, job_id, eta_s, waited_s, age_s, pause_s):
    job = replace(client.status(job_id), eta_s=eta_s)
    assert job.next_look_s(waited_s, age_s) == pytest.approx(pause_s)


def test_waiting_has_an_end_if_one_is_asked_for(api, client, job_id):
    api.states = ["running"]
    with pytest.raises(TimeoutError):
        client.wait(job_id, timeout_s=0)


def test_jobs_are_listed_and_cancelled(api, client, job_id):
    page = client.jobs(limit=10, cursor="x")
    assert [job.id for job in page.jobs] == [job_id]
    assert page.next is None
    assert api.asked[-1].query == {"limit": "10", "cursor": "x"}
    assert client.cancel(job_id).state is JobState.CANCELLED


def test_a_deletion_whose_answer_is_lost_is_a_deletion(api, client, job_id):
    api.faults["delete"] = [LOST]
    client.delete(job_id)
    assert not api.jobs
    with pytest.raises(errors.NotFound):
        client.delete(job_id)


def test_whatever_is_typed_as_an_id_stays_one_segment(api, client):
    with pytest.raises(errors.NotFound):
        client.status("../../jobs?x=1#")
    assert api.asked[-1].query == {}
    assert api.count("GET", "/api/v1/jobs/..%2F..%2Fjobs%3Fx%3D1%23") == 1


def test_rows_and_summary(api, client, job_id):
    page = client.rows(job_id, View("goemotions", 0.4, "all"), after=3, limit=5, label="joy", status="failed")
    assert (page.rows[0]["row"], page.next) == (5, "5")
    assert api.asked[-1].query == {
        "after": "3",
        "limit": "5",
        "label": "joy",
        "status": "failed",
        "taxonomy": "goemotions",
        "threshold": "0.4",
        "scores": "all",
    }
    assert client.summary(job_id)["taxonomies"] == {"ekman": {"joy": 1}}


def test_a_file_again_with_another_model_and_both_compared(api, client, job_id):
    second = client.again(job_id, "small@1.0.0")
    assert (second.id, api.asked[-1].query) == (f"{job_id}-again", {"model": "small@1.0.0"})
    found = client.compare(job_id, second.id, taxonomy="sentiment", cursor="3", limit=5)
    assert (found["changed"], found["pairs"][0]["rows"]) == (1, 1)
    assert api.asked[-1].query == {"taxonomy": "sentiment", "cursor": "3", "limit": "5"}
    assert [model["version"] for model in client.models()] == ["1.1.0", "1.0.0"]


# --- without a job ----------------------------------------------------------------------------------------------------


def sizes(api) -> list[int]:
    return [len(json.loads(asked.body)["texts"]) for asked in api.asked]


def test_texts_are_labelled_in_order_whatever_their_number(api, client):
    results = client.classify([f"text {n}" for n in range(150)], View("goemotions", 0.4, "all"))
    assert [result.emotion for result in results] == [f"as text {n}" for n in range(150)]
    assert (results[0].emotions, results[0].sentiment, results[0].row_status) == (("joy",), "positive", "ok")
    assert sizes(api) == [64, 64, 22]
    asked = json.loads(api.asked[0].body)
    assert (asked["taxonomy"], asked["threshold"], asked["scores"]) == ("goemotions", "0.4", "all")


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([0] * 65, [64, 1]),
        ([32_768, 0, 1], [2, 1]),
        ([20_000, 12_768, 1, 20_000], [2, 2]),
        ([1, 32_768, 32_767, 1], [1, 1, 2]),
    ],
)
def test_long_texts_are_sent_in_fewer_at_a_time(api, client, lengths, expected):
    texts = [chr(97 + n % 26) * length for n, length in enumerate(lengths)]
    assert [result.emotion for result in client.classify(texts)] == [f"as {text[:20]}" for text in texts]
    assert sizes(api) == expected


def test_a_text_that_is_too_long_for_any_request_is_refused_by_the_server(api, client):
    with pytest.raises(errors.BadOption):
        client.classify(["x", "y" * 32_769])
    assert sizes(api) == [1, 1]


@pytest.mark.parametrize("fault", [DROPPED, LOST, problem(503, "unavailable", headers={"Retry-After": "2"})])
def test_texts_are_sent_again_when_nobody_answers(api, client, slept, fault):
    api.faults["classify"] = [fault]
    assert [result.emotion for result in client.classify(["x"])] == ["as x"]
    assert sizes(api) == [1, 1]
    assert slept == [2.0] or fault.status <= 0


def test_results_that_do_not_belong_to_the_texts_are_no_answer(api, client):
    api.swallow = 1
    with pytest.raises(ServerFailed, match="1 results for 2 texts"):
        client.classify(["x", "y"])


# --- downloads --------------------------------------------------------------------------------------------------------


def test_a_broken_download_starts_again_and_replaces_the_file_at_once(api, client, job_id, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    api.result = os.urandom(1_000_000)
    api.faults["results"] = [DROPPED, Answer(200, b"x" * 2_000_000, cut=1_500_000), Answer(200, cut=0)]
    seen: list[tuple[int, str]] = []

    def watch(done: int, _: int) -> None:
        seen.append((done, target.read_text("latin-1")[:3]))

    with target.open() as reader:
        assert client.download_to(job_id, target, View("sentiment"), output_encoding="same", progress=watch) == target
        assert reader.read() == "old"  # Renamed over, not written over: who reads the old file goes on reading it.
    assert target.read_bytes() == api.result
    assert {old for _, old in seen} == {"old"}
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.csv"]
    assert api.asked[-1].query == {"taxonomy": "sentiment", "output_encoding": "same"}


def test_a_download_that_fails_leaves_the_old_file_and_no_other(api, client, job_id, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    api.faults["results"] = [problem(409, "not_ready")]
    with pytest.raises(errors.NotReady):
        client.download_to(job_id, target)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "reviews.csv"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("reviews.labelled.csv", "reviews.labelled.csv"),
        ("%C3%BCber%20uns.csv", "über uns.csv"),
        ("..%2F..%2Fevil.csv", "evil.csv"),
        ("..%5Cevil.csv", "evil.csv"),
        ("..", "ID.labelled.csv"),
        ("", "ID.labelled.csv"),
    ],
)
def test_in_a_folder_the_server_names_the_file_and_nothing_more(api, client, job_id, tmp_path, sent, expected):
    api.filename = sent
    path = client.download_to(job_id, tmp_path)
    assert path == tmp_path / expected.replace("ID", job_id)
    assert path.read_bytes() == api.result


def test_json_lines_of_a_running_job(api, client, job_id, tmp_path):
    client.download_to(job_id, tmp_path / "out.jsonl", form="jsonl", partial=True)
    assert api.asked[-1].path.endswith("results.jsonl")
    assert api.asked[-1].query == {"partial": "yes"}


def test_a_link_keeps_leading_to_its_file(client, api, job_id, tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    client.download_to(job_id, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == api.result


def test_a_device_is_written_to_and_not_replaced(client, api, job_id, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert client.download_to(job_id, pipe) is None
        assert os.read(reader, 1000) == api.result
        assert pipe.is_fifo()
    finally:
        os.close(reader)


def test_an_output_never_becomes_the_input(csv_file, tmp_path):
    (tmp_path / "hard.csv").hardlink_to(csv_file)
    (tmp_path / "soft.csv").symlink_to(csv_file)
    for name in ("reviews.csv", "hard.csv", "soft.csv"):
        with pytest.raises(errors.BadOption, match="overwrite the input"):
            Output(tmp_path / name, keep=csv_file).check()
    output = Output(tmp_path, keep=csv_file)
    output.check()
    with output.open(), pytest.raises(errors.BadOption, match="overwrite the input"):
        output.settle("reviews.csv")
    assert csv_file.read_bytes() == CSV
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hard.csv", "reviews.csv", "soft.csv"]


@pytest.mark.parametrize("name", ["no/such/folder/out.csv", "reviews.csv/out.csv"])
def test_a_place_that_cannot_be_written_is_found_before_the_work(csv_file, tmp_path, name):
    with pytest.raises(errors.BadOption, match="There is no folder"):
        Output(tmp_path / name).check()


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url", "token", "loopback"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", None, True),
        ("http://127.0.0.1:8080/sign-in?token=abc", "http://127.0.0.1:8080", "abc", True),
        (" http://[::1]:1/ ", "http://[::1]:1", None, True),
        ("http://localhost", "http://localhost", None, True),
        ("https://emo.example/labels/", "https://emo.example/labels", None, False),
        ("https://emo.example/labels/sign-in?token=x", "https://emo.example/labels", "x", False),
    ],
)
def test_an_address_may_be_the_sign_in_link(given, url, token, loopback):
    address = ServerAddress.parse(given)
    assert (address.url, address.token, address.is_loopback) == (url, token, loopback)


@pytest.mark.parametrize("given", ["", "localhost:8080", "ftp://x", "http://", "http://x:99999", "http://[::1"])
def test_what_is_no_address_is_said_to_be_none(given):
    with pytest.raises(errors.BadOption, match="is not the address of a server"):
        ServerAddress.parse(given)


def test_no_proxy_stands_between_us_and_this_machine(api: FakeApi, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Client(f"{api.url}/sign-in?token={TOKEN}") as client:
        assert client.jobs().jobs == ()


def test_taxonomies(api, client):
    made = client.taxonomies.save("my moods", {"cross": ["anger", "annoyance"], "none": ["neutral"]})
    assert (made.reference, made.groups["cross"]) == ("my moods@1", ("anger", "annoyance"))
    assert client.taxonomies.get("my moods") == made
    assert client.taxonomies.save("my moods", {"cross": ["anger"]}).version == 2
    made = client.taxonomies.get("my moods")
    assert client.taxonomies.list() == (made,)
    client.taxonomies.delete("my moods")
    with pytest.raises(errors.NotFound):
        client.taxonomies.get("my moods")
