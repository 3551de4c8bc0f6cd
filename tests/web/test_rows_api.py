"""Rows over the API: found, sorted, searched, paged by cursor; one of them whole; and which of its words mattered."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.fakes import null_logits

WORDS = "the quick brown fox jumps over a lazy dog".split()
ROWS = 600


@pytest.fixture
def job_id(ask, installation):
    """A finished job of many chunks."""
    lines = [f"{n},{WORDS[n % 9]} {WORDS[n % 7]} number {n},x{n}\n" for n in range(1, ROWS + 1)]
    made = ask.upload(("id,text,note\n" + "".join(lines)).encode(), filename="many.csv")
    installation.run(chunk_records=20)
    return made


def every(ask, job_id: str, query: str) -> list[dict]:
    """All rows of a query, page by page."""
    rows, cursor = [], None
    while True:
        page = ask("GET", f"/jobs/{job_id}/rows?limit=100&{query}" + (f"&cursor={cursor}" if cursor else "")).json
        rows += page["rows"]
        if (cursor := page["next"]) is None:
            assert len(rows) == page["total"]
            return rows


def test_filters_and_order_go_together(ask, job_id):
    everything = every(ask, job_id, "")
    scores = sorted(row["emotion_score"] for row in everything if row["emotion"] == "joy")
    low, high = scores[1], scores[-2]
    found = every(ask, job_id, f"label=joy&min_score={low}&max_score={high}&sort=score")
    assert [row["row"] for row in found] == [
        row["row"]
        for row in sorted(everything, key=lambda row: (-row["emotion_score"], row["row"]))
        if row["emotion"] == "joy" and low <= row["emotion_score"] <= high
    ]
    assert 0 < len(found) < len(scores)


def test_a_listed_label_follows_the_threshold(ask, job_id):
    for threshold in ("auto", "0.7"):
        found = every(ask, job_id, f"listed=fear&threshold={threshold}&sort=score")
        rows = every(ask, job_id, f"threshold={threshold}")
        assert {row["row"] for row in found} == {row["row"] for row in rows if "fear" in row["emotions"]}
        scores = [row["listed_score"] for row in found]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("order", ["sort=row", "sort=row-desc", "sort=score", "sort=score-asc"])
def test_a_search_finds_every_row_that_holds_it(ask, job_id, order):
    found = every(ask, job_id, f"search=FOX&{order}")
    assert sorted(row["row"] for row in found) == [
        n for n in range(1, ROWS + 1) if "fox" in (WORDS[n % 9], WORDS[n % 7])
    ]


def test_a_search_says_how_far_it_looked(ask, job_id, monkeypatch):
    monkeypatch.setattr("core.results.search.BATCH", 3)
    found = ask("GET", f"/jobs/{job_id}/rows?search=number&limit=50").json
    assert (len(found["rows"]), found["searched"]) == (50, {"rows": 60, "of": ROWS, "done": True})
    assert found["next"]
    whole = ask("GET", f"/jobs/{job_id}/rows?search=number&limit=50&sort=score").json
    assert (len(whole["rows"]), whole["total"], whole["searched"]["rows"]) == (50, ROWS, ROWS)


def test_only_the_columns_asked_for(ask, job_id):
    row = ask("GET", f"/jobs/{job_id}/rows?limit=1&columns=3,1").json["rows"][0]
    assert list(row["cells"].items()) == [("note", "x1"), ("id", "1")], "as asked for"
    refused = ask("GET", f"/jobs/{job_id}/rows?columns=4")
    assert (refused.status_code, refused.json["code"]) == (422, "bad_option")


@pytest.mark.parametrize(
    "query",
    [
        "listed=hungry",
        "flag=odd",
        "min_score=2",
        "max_score=nan",
        "sort=colour",
        "sort=row-asc",
        "cursor=!!",
        "search=%20",
        "search=" + "x" * 201,
        "whole_word=maybe",
        "columns=a",
        "columns=0",
        "after=5&sort=score",
    ],
)
def test_a_bad_option_is_named(ask, job_id, query):
    refused = ask("GET", f"/jobs/{job_id}/rows?{query}")
    assert (refused.status_code, refused.json["code"]) == (422, "bad_option"), refused.text


def test_a_row_is_whole(ask, job_id, installation):
    row = ask("GET", f"/jobs/{job_id}/rows/7?taxonomy=goemotions").json
    assert (row["row"], row["line"], set(row["flags"]) - {"close"}) == (7, 8, set())
    assert list(row["cells"].items()) == [("id", "7"), ("text", row["text"]), ("note", "x7")], "in the file's order"
    assert len(row["scores"]) == 28
    assert row["taxonomies"]["goemotions"]["scores"] == row["scores"]
    assert row["taxonomies"]["ekman"]["label"] == ask("GET", f"/jobs/{job_id}/rows?limit=7").json["rows"][6]["emotion"]
    assert ask("GET", f"/jobs/{job_id}/rows/601").status_code == 404
    assert ask("GET", f"/jobs/{job_id}/rows/0").status_code == 404
    assert ask("GET", f"/jobs/{job_id}/rows/nine").status_code == 404


def test_another_accounts_row_is_not_there(ask, other, job_id):
    assert ask("GET", f"/jobs/{job_id}/rows/7").status_code == 200
    for path in ("rows?label=joy", "rows/7", "rows/7/words"):
        assert other("GET", f"/jobs/{job_id}/{path}").status_code == 404


def test_words_that_mattered_are_the_models_own_answers(ask, job_id, installation, answering):
    found = ask("GET", f"/jobs/{job_id}/rows/8/words").json
    text = ask("GET", f"/jobs/{job_id}/rows/8").json["text"]
    assert text == "dog quick number 8"
    assert [word["text"] for word in found["words"]] == text.split()
    assert all(text[word["start"] : word["end"]] == word["text"] for word in found["words"])
    taxonomy = installation.model.taxonomies["ekman"]
    at = taxonomy.labels.index(found["label"])
    variants = [text, "quick number 8", "dog number 8", "dog quick 8", "dog quick number"]
    scores = taxonomy.scores(null_logits([variant.strip() for variant in variants]))[:, at]
    assert found["score"] == pytest.approx(scores[0], abs=1e-4)
    assert [word["score"] for word in found["words"]] == pytest.approx(list(scores[1:]), abs=1e-4)
    assert [word["change"] for word in found["words"]] == pytest.approx(list(scores[0] - scores[1:]), abs=2e-4)
    other_label = ask("GET", f"/jobs/{job_id}/rows/8/words?label=disgust&taxonomy=goemotions").json
    assert (other_label["label"], other_label["taxonomy"]) == ("disgust", "goemotions")


def test_a_long_text_is_asked_about_in_a_few_requests(ask, installation, answering):
    job_id = ask.upload(("text\n" + "word and other " * 200 + "\n").encode())
    installation.run()
    answering.calls.clear()
    found = ask("GET", f"/jobs/{job_id}/rows/1/words").json
    assert len(found["words"]) > 20
    assert 1 < len(answering.calls) <= 4
    too_long = ask.upload(("text\n" + "word and other " * 2000 + "\n").encode())
    installation.run()
    assert ask("GET", f"/jobs/{too_long}/rows/1/words").status_code == 413


def test_words_wait_for_nobody(ask, job_id):
    refused = ask("GET", f"/jobs/{job_id}/rows/7/words")
    assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
    assert refused.headers["Retry-After"]


def test_a_row_without_a_label_has_no_words(ask, installation, answering):
    job_id = ask.upload(b"id,text\n1,fine day\n2,\n")
    installation.run()
    assert ask("GET", f"/jobs/{job_id}/rows/2/words").status_code == 409
    row = ask("GET", f"/jobs/{job_id}/rows/2").json
    assert (row["row_status"], row["taxonomies"]) == ("empty", {})


def test_words_of_another_models_label_are_not_made_up(ask, job_id, db, answering):
    with db.transaction() as session:
        session.execute(text("INSERT INTO model SELECT 'f', version, manifest, created_at FROM model"))
        session.execute(text("UPDATE job SET model_sha256 = 'f'"))
    refused = ask("GET", f"/jobs/{job_id}/rows/7/words")
    assert (refused.status_code, refused.json["code"]) == (409, "not_ready")
