"""A file before it is sent: by the API and by the page's part, with the labels that a job would give."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import text

from core.preview import PREVIEW_BYTES
from tests.web.conftest import CSV, TOKEN
from web.state import EXTENSION

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}
LONG = "id;text\n" + "".join(f"{n};number {n} is a longer text than most of them\n" for n in range(20_000))


def preview(ask, data: bytes = CSV, **query):
    return ask("POST", "/preview", data=data, content_type="text/csv", query_string=query)


@pytest.fixture
def show(client):
    """Posts the head of a file as the page does, signed in; the HTML."""
    client.get(f"/sign-in?token={TOKEN}")

    def post(data: bytes = CSV, **query) -> str:
        answer = client.post("/preview", data=data, headers=OWN_PAGE, query_string={"bytes": len(data), **query})
        assert answer.status_code == 200, answer.text
        return answer.text

    return post


# --- the API ----------------------------------------------------------------------------------------------------------


def test_it_says_what_a_job_will_say(ask, answering, installation):
    seen = preview(ask, filename="mine.csv").json
    job_id = ask.upload()
    installation.run(answering)
    job = ask("GET", f"/jobs/{job_id}").json
    assert seen["format"] == job["format"]
    assert seen["text_column"] == job["text_column"]
    rows = ask("GET", f"/jobs/{job_id}/rows").json["rows"]
    assert [row["cells"] for row in seen["rows"]] == [list(row["cells"].values()) for row in rows]
    for one, row in zip(seen["rows"], rows, strict=True):
        assert one["labels"] == {name: row[name] for name in one["labels"]}
        assert (one["row"], one["line"]) == (row["row"], row["line"])
    assert seen["rows_total"] == {"low": 4, "high": 4}
    assert seen["seconds"]["low"] <= seen["seconds"]["high"]
    assert seen["problem"] is seen["labels_missing"] is None


def test_the_beginning_of_a_long_file_is_enough(ask, answering):
    data = LONG.encode()
    seen = preview(ask, data[:PREVIEW_BYTES], bytes=len(data)).json
    assert seen["format"]["delimiter"] == ";"
    assert len(seen["rows"]) == 20
    assert seen["rows_total"]["low"] <= 20_000 <= seen["rows_total"]["high"]
    assert len(answering.calls[-1]) == 64


def test_the_time_is_that_of_the_sample_on_all_live_workers(ask, app, answering, db, installation, monkeypatch):
    lane = app.extensions[EXTENSION].lane
    classify = lane.classify
    monkeypatch.setattr(lane, "classify", lambda *asked: replace(classify(*asked), scored_s=6.4))
    model = installation.model.sha256
    for name, slots, heartbeat in (("two", 3, "0 s"), ("silent", 50, "1 h")):
        with db.transaction() as session:
            session.execute(
                text(
                    "INSERT INTO worker (id, models, slots, heartbeat)"
                    " VALUES (:name, ARRAY[:model], :slots, now() - CAST(:heartbeat AS interval))"
                ),
                {"name": name, "model": model, "slots": slots, "heartbeat": heartbeat},
            )
    seen = preview(ask, "".join(LONG.splitlines(keepends=True)[:129]).encode()).json
    assert seen["rows_total"] == {"low": 128, "high": 128}
    assert seen["seconds"] == pytest.approx({"low": 3.2, "high": 6.4})  # 128 rows, 0.1 s each, four slots; twice that


def test_options_change_it_as_they_change_a_job(ask, answering):
    seen = preview(ask, LONG.encode()[:500_000], delimiter="none", header="no", taxonomy="sentiment").json
    assert seen["format"]["header"] == ["column_1"]
    assert seen["rows"][0]["cells"] == ["id;text"]
    assert "emotion" not in seen["rows"][0]["labels"]
    seen = preview(ask, text_column="1").json
    assert seen["text_column"]["index"] == 0


def test_texts_too_long_for_a_look_are_labelled_later(ask, answering):
    data = f'text\n{"word " * 8_000}\n"short one here"\n'.encode()
    seen = preview(ask, data).json
    assert [row["labels"] is None for row in seen["rows"]] == [True, False]


def test_without_a_worker_everything_but_the_labels_is_there(ask):
    seen = preview(ask).json
    assert len(seen["rows"]) == 4
    assert {row["labels"] for row in seen["rows"]} == {None}
    assert "No worker is alive" in seen["labels_missing"]
    assert seen["seconds"] is None


def test_labels_that_nobody_wants_ask_no_worker(ask, answering):
    seen = preview(ask, labels="no").json
    assert seen["labels_missing"] is None
    assert answering.calls == []


def test_a_file_without_texts_is_shown_with_what_to_do(ask, answering):
    seen = preview(ask, b"a,b\n1,2\n").json
    assert seen["problem"]["code"] == "no_text_column"
    assert seen["text_column"] is None
    assert seen["rows"][0]["cells"] == ["1", "2"]


@pytest.mark.parametrize(
    ("data", "query", "status", "code"),
    [
        (b"", {}, 422, "bad_option"),
        (b"only,header\n", {}, 422, "no_rows"),
        (CSV, {"bytes": 3}, 422, "bad_option"),
        (CSV, {"bytes": 10**9}, 413, "limit_exceeded"),
        (CSV, {"encoding": "klingon"}, 422, "bad_option"),
        (CSV, {"colour": "blue"}, 422, "bad_option"),
        (CSV, {"taxonomy": "colours"}, 422, "bad_option"),
        (b"x" * (9 * 1024 * 1024), {}, 413, None),
    ],
)
def test_what_cannot_be_shown_is_told(ask, worker_alive, data, query, status, code):
    answer = preview(ask, data, **query)
    assert answer.status_code == status
    assert code is None or answer.json["code"] == code


def test_nothing_of_it_is_kept(ask, answering, db, installation):
    preview(ask)
    assert ask("GET", "/jobs").json["jobs"] == []
    assert list(installation.storage.list()) == []


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_rows_and_the_labels_follow(show, client, answering):
    html = show(LONG.encode()[:PREVIEW_BYTES], bytes=len(LONG))
    assert 'data-delimiter="semicolon"' in html
    assert re.search(r"<b>[\d,]+ to [\d,]+</b> rows", html)
    assert re.search(r'value="text" checked', html)
    assert html.count('<td class="num quiet" title="file line') == 20
    texts = re.findall(r'<textarea name="text"[^>]*>\n(.*?)</textarea>', html, re.DOTALL)
    assert len(texts) == 64
    form = {"text": texts, "low": "100", "high": "200"}
    labels = client.post("/preview/labels", data=form, headers=OWN_PAGE).text
    assert labels.count('hx-swap-oob="true"') == 21
    assert 'id="said-19"' in labels
    assert "of work" in labels
    assert answering.calls[-1] == texts


def test_a_column_of_any_name_can_be_chosen(show):
    data = b'text,"",text," padded ",2,"a ""b"" <c>"\nx one,x two,x three,x four,x five,x six\n'
    options = re.findall(r'name="preview_column" value="([^"]*)"', show(data))
    assert options == ["text", "2", "3", "4", "2", "a &#34;b&#34; &lt;c&gt;"]


def test_a_column_far_to_the_right_is_shown(show):
    header = ",".join(f"c{n}" for n in range(100))
    cells = ",".join("some words of a text" if n == 70 else str(n) for n in range(100))
    html = show(f"{header}\n{cells}\n".encode())
    assert re.search(r'value="c70" checked', html)
    assert "and 87 more" in html


def test_what_cannot_be_shown_is_said_in_its_place(show):
    assert "The file has a header but no rows." in show(b"only,header\n")
    html = show(b"a,b\n1,2\n")
    assert "No column of words was found." in html
    assert "hx-post" not in html


def test_labels_that_cannot_come_are_said_quietly(show, client):
    show()
    answer = client.post("/preview/labels", data={"text": "x", "low": "1", "high": "1"}, headers=OWN_PAGE)
    assert answer.status_code == 200
    assert "No worker is alive" in answer.text
    assert answer.headers["HX-Trigger"] == "again"


def test_what_stands_in_a_file_is_never_markup(show):
    html = show(b'"<script>x</script>",text\n"</textarea><b>y</b>","</textarea><i>some words</i>"\n')
    assert "<script>" not in html
    assert "<b>y" not in html
    assert "<i>" not in html


def test_the_longest_texts_of_a_form_get_through(show, client, answering):
    show()
    texts = ["\u20ac" * 512] * 64
    answer = client.post("/preview/labels", data={"text": texts, "low": "1", "high": "1"}, headers=OWN_PAGE)
    assert answer.status_code == 200
    assert len(answering.calls[-1]) == 64


# --- try it -----------------------------------------------------------------------------------------------------------


def test_try_it_says_what_is_said_of_a_text(client, answering):
    client.get(f"/sign-in?token={TOKEN}")
    page = client.get("/try").text
    assert "The labels appear here." in page
    part = client.post("/try", data={"text": "I love this", "taxonomy": "goemotions"}, headers=OWN_PAGE).text
    assert "<html" not in part
    assert part.count('<th scope="row">') == 8
    whole = client.post("/try", data={"text": "I <b>love</b> this"}, headers={"Sec-Fetch-Site": "same-origin"}).text
    assert "I &lt;b&gt;love&lt;/b&gt; this</textarea>" in whole
    assert whole.count('<th scope="row">') == 7
    sentiment = client.post("/try", data={"text": "x", "taxonomy": "sentiment"}, headers=OWN_PAGE).text
    assert sentiment.count('<th scope="row">') == 4
    assert "The labels appear here." in client.post("/try", data={"text": "  "}, headers=OWN_PAGE).text


def test_try_it_says_why_it_cannot(client, db):
    client.get(f"/sign-in?token={TOKEN}")
    part = client.post("/try", data={"text": "x"}, headers=OWN_PAGE)
    assert part.status_code == 200
    assert "No worker is alive" in part.text
    assert part.headers["HX-Trigger"] == "again"
    whole = client.post("/try", data={"text": "x"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert whole.status_code == 503
    wrong = client.post("/try", data={"text": "x", "taxonomy": "y"}, headers=OWN_PAGE)
    assert "unknown" in wrong.text
    assert "HX-Trigger" not in wrong.headers
