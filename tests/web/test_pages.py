"""The pages without a browser: what they hold in every state of a job, and nothing that the CSP would stop."""

from __future__ import annotations

import io
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from core.states import JobState
from tests.web.conftest import CSV, TOKEN

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def page(client):
    """Reads a page, signed in; its HTML."""
    client.get(f"/sign-in?token={TOKEN}")

    def read(path: str, **request) -> str:
        answer = client.get(path, **request)
        assert answer.status_code == 200, answer.text
        return answer.text

    return read


def send(client, data: bytes, **fields: str):
    form = {"file": (io.BytesIO(data), "my reviews.csv"), **fields}
    return client.post("/", data=form, headers=OWN_PAGE, content_type="multipart/form-data")


def test_a_form_without_scripts_makes_a_job(page, client, ask):
    page("/")
    answer = send(client, CSV, text_column="text", delimiter="", encoding="", header="yes", quoting="")
    assert answer.status_code == 303
    job = page(answer.headers["Location"])
    assert "my reviews.csv" in job
    assert "you named it" in job
    assert [found["filename"] for found in ask("GET", "/jobs").json["jobs"]] == ["my reviews.csv"]


def test_a_mistake_comes_back_with_the_form_and_what_to_do(page, client):
    page("/")
    answer = send(client, b"a,b\n1,2\n")
    assert answer.status_code == 422
    assert "No column of words was found." in answer.text
    assert "Name the text column." in answer.text
    assert '<form id="upload"' in answer.text
    assert '<details class="options" open>' in answer.text


def test_a_form_without_a_file_is_a_mistake_too(page, client):
    page("/")
    answer = client.post("/", data={"text_column": "x"}, headers=OWN_PAGE, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "no file" in answer.text


def test_the_page_of_a_job_in_every_state(page, ask, db):
    job_id = ask.upload(filename="mine.csv")
    for state in JobState:
        with db.transaction() as session:
            session.execute(text("UPDATE job SET state = :state WHERE id = :id"), {"state": state, "id": job_id})
        html = page(f"/jobs/{job_id}")
        assert "mine.csv" in html
        assert ('hx-trigger="every 1s"' in html) is state.active
        assert ("Cancel</button>" in html) is state.active
        assert "mine.csv" in page("/jobs")


def test_a_running_job_shows_what_is_done_and_the_whole_page_follows_at_its_end(page, ask, client, installation):
    job_id = ask.upload("".join(["text\n", *(f"line {n}\n" for n in range(1000))]).encode())
    first = page(f"/jobs/{job_id}")
    assert "Waiting for a worker: none is alive." in first
    assert "The first rows appear here" in first
    shift = installation.shift(chunk_records=100, claim_chunks=1, tick_s=0.001)
    for _ in range(3):
        shift.tick()
    live = client.get(f"/jobs/{job_id}/live")
    share = re.search(r"<title>(\d+) % upload.csv|<title>([\d.]+) % upload.csv", live.text)
    assert share, live.text
    assert "HX-Refresh" not in live.headers
    assert 'id="bars" hx-swap-oob="true"' in live.text
    assert "line 0" in page(f"/jobs/{job_id}/rows", headers={"HX-Request": "true"})
    assert "CSV so far" in page(f"/jobs/{job_id}")
    installation.run()
    assert client.get(f"/jobs/{job_id}/live").headers["HX-Refresh"] == "true"
    assert "Download CSV" in page(f"/jobs/{job_id}")


def test_a_failed_job_says_why_and_offers_nothing_else(page, ask, installation):
    rows = "".join(f'{n},"fine"\n' for n in range(40_000))
    job_id = ask.upload(f'id,text\n{rows}x,"never closed\n'.encode())
    installation.run()
    html = page(f"/jobs/{job_id}")
    assert "quote" in html
    assert "data row 40,001 (file line 40,002)" in html


def test_a_cancelled_job_counts_what_it_did(page, ask, installation):
    job_id = ask.upload("".join(["text\n", *(f"line {n}\n" for n in range(1000))]).encode())
    shift = installation.shift(chunk_records=100, claim_chunks=1, tick_s=0.001)
    for _ in range(3):
        shift.tick()
    ask("POST", f"/jobs/{job_id}/cancel")
    html = page(f"/jobs/{job_id}")
    assert re.search(r"<b>[1-9]00</b> of 1,000 rows", html)
    assert "100 %" not in html.split('id="live"')[1].split("</section>")[0]


def test_rows_are_filtered_and_paged_by_links_alone(page, ask, installation):
    job_id = ask.upload("".join(["text\n", *(f"line {n}\n" for n in range(1, 101))]).encode())
    installation.run()
    html = page(f"/jobs/{job_id}")
    seen = re.findall(r"<div>(line \d+)</div>", html)
    while following := re.search(r'<a [^>]*href="([^"]+)#rows"[^>]*>Next rows', html):
        html = page(unescape(following[1]))
        seen += re.findall(r"<div>(line \d+)</div>", html)
    assert seen == [f"line {n}" for n in range(1, 101)]
    filtered = page(f"/jobs/{job_id}?label=joy&taxonomy=ekman")
    assert set(re.findall(r'<td><span class="emotion"><span class="dot c-(\w+)', filtered)) <= {"joy"}


def test_an_option_that_is_0_stays_in_the_address(client, page, ask, installation):
    job_id = ask.upload()
    installation.run()
    moved = client.get(f"/jobs/{job_id}/rows?min_score=0&max_score=1&threshold=0&after=0")
    query = parse_qs(urlsplit(moved.headers["Location"]).query)
    assert query == {"min_score": ["0.0"], "max_score": ["1.0"], "threshold": ["0"]}
    assert "threshold=0" in page(f"/jobs/{job_id}/summary?threshold=0")


def test_an_option_that_says_nothing_is_in_no_address(page, ask, installation):
    job_id = ask.upload()
    installation.run()
    for read in (page(f"/jobs/{job_id}?label=&threshold="), page(f"/jobs/{job_id}/summary?by=&threshold=")):
        addresses = [unescape(found) for found in re.findall(r'(?:href|hx-get)="([^"]*\?[^"]*)"', read)]
        assert addresses
        assert not [address for address in addresses if re.search("=(&|#|$)", address)]


def test_a_reader_without_htmx_gets_the_whole_page(client, page, ask):
    job_id = ask.upload()
    page("/")
    answer = client.get(f"/jobs/{job_id}/rows?after=3&label=joy")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/jobs/{job_id}?label=joy&after=3")


@pytest.mark.parametrize("query", ["taxonomy=colours", "threshold=high", "label=hungry", "after=x", "colour=blue"])
def test_a_wrong_address_is_an_error_page(client, page, ask, installation, query):
    job_id = ask.upload()
    installation.run()
    page("/")
    answer = client.get(f"/jobs/{job_id}?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.text


def test_deleting_and_cancelling_by_buttons(client, page, ask):
    job_id = ask.upload()
    page("/")
    assert client.post(f"/jobs/{job_id}/cancel", headers=OWN_PAGE).headers["Location"] == f"/jobs/{job_id}"
    assert "Cancelled" in page(f"/jobs/{job_id}")
    assert client.post(f"/jobs/{job_id}/delete", headers=OWN_PAGE).headers["Location"] == "/jobs"
    assert client.get(f"/jobs/{job_id}").status_code == 404
    listed = page("/jobs")
    assert "Nothing here yet." in listed
    assert "upload.csv is deleted for good: 0 rows, 67 B of file." in listed
    assert "deleted" not in page("/jobs")


def test_the_list_has_older_and_newest(page, ask, monkeypatch):
    monkeypatch.setattr("web.pages.JOBS_A_PAGE", 2)
    for n in range(3):
        ask.upload(filename=f"number-{n}.csv")
    first = page("/jobs")
    assert re.findall(r"number-\d", re.sub(r'aria-label="[^"]*"', "", first)) == ["number-2", "number-1"]
    older = unescape(re.search(r'<a href="([^"]+)">Older', first)[1])
    assert "number-0" in page(older)
    assert ">Newest</a>" in page(older)


# --- what a user writes -----------------------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script>\"' onmouseover=x {{ 7*7 }}"


def test_what_a_user_wrote_is_never_markup(page, ask, installation):
    name, header = "a<b>onload=.csv", EVIL.replace('"', '""')
    job_id = ask.upload(f'id,"{header}"\n1,"{header}"\n'.encode(), filename=name, text_column="2")
    installation.run()
    for path in ("/", "/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/live"):
        html = page(path)
        assert "<script>alert" not in html
        assert "<b>onload" not in html


def test_no_page_holds_anything_that_the_policy_forbids(page, client, ask, installation):
    job_id = ask.upload()
    installation.run()
    paths = ["/", "/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}?taxonomy=goemotions", f"/jobs/{job_id}/live", "/docs"]
    pages = [page(path) for path in paths] + [client.get("/nothing").text, client.get("/sign-in").text]
    for html in pages:
        for tag in re.findall(r"<[a-z][^>]*>", html):
            assert not re.search(r"\s(style|on\w+)=", tag), tag
            assert "javascript:" not in tag
            if tag.startswith("<script"):
                assert re.search(r'src="/[a-z]', tag), tag
            assert not re.search(r'(src|href)="(https?:)?//', tag), tag
        assert "<style" not in html


def test_every_file_a_page_names_is_served(page, client):
    for path in ("/", "/docs"):
        for address in re.findall(r'(?:src|href)="(/[^"]*static/[^"]*)"', page(path)):
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert "max-age" in answer.headers["Cache-Control"]


# --- while it runs ----------------------------------------------------------------------------------------------------


def started(installation, ask) -> str:
    """A job of which some chunks are done."""
    job_id = ask.upload("".join(["text\n", *(f"line {n}\n" for n in range(1000))]).encode())
    shift = installation.shift(chunk_records=100, claim_chunks=1, tick_s=0.001)
    for _ in range(3):
        shift.tick()
    return job_id


def test_what_is_polled_and_has_not_changed_is_not_sent_again(client, page, ask, installation):
    job_id = started(installation, ask)
    html = page(f"/jobs/{job_id}")
    etag = re.search(r"data-etag='([^']+)'", html)[1]
    seen = client.get(f"/jobs/{job_id}/live", headers={"If-None-Match": etag})
    assert (seen.status_code, seen.data) == (304, b"")
    other = client.get(f"/jobs/{job_id}/live?taxonomy=sentiment", headers={"If-None-Match": etag})
    assert other.status_code == 200
    installation.run()
    over = client.get(f"/jobs/{job_id}/live", headers={"If-None-Match": etag})
    assert (over.status_code, over.headers["HX-Refresh"]) == (200, "true")


def test_the_time_left_is_a_range_around_the_estimate(ask, installation):
    job = ask("GET", f"/jobs/{started(installation, ask)}").json
    assert 0 < job["eta_low_s"] < job["eta_s"] < job["eta_high_s"]


def test_a_job_says_what_computed_its_rows(page, ask, installation):
    job_id = ask.upload()
    assert "<span>null" not in page(f"/jobs/{job_id}")
    installation.run()
    assert "<span>null</span>" in page(f"/jobs/{job_id}")
    with installation.db.transaction() as session:
        session.execute(text('UPDATE job SET runtimes = \'{"one": 1200, "two": 3}\''))
    html = page(f"/jobs/{job_id}")
    assert "<span>one: 1,200 rows</span>" in html
    assert "<span>two: 3 rows</span>" in html


def test_a_waiting_job_knows_its_place(page, ask, worker_alive):
    for _ in range(2):
        ask.upload()
    job_id = ask.upload()
    html = page(f"/jobs/{job_id}")
    assert "place 3 in the queue" in html
    assert "Waiting for its turn behind 2 jobs, all yours." in html
