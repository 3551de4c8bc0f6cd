"""A sample drawn, answered and read over the API, against the labels that the job really has."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from sqlalchemy import text

ROWS = 600


def many(n: int = ROWS) -> bytes:
    return "".join(["id,text\n", *(f"{i},text number {i}\n" for i in range(1, n + 1))]).encode()


@pytest.fixture
def job_id(ask, installation):
    made = ask.upload(many(), filename="many.csv")
    installation.run(chunk_records=50)
    return made


def table(ask, job_id, taxonomy="ekman") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?taxonomy={taxonomy}").text)))


def draw(ask, job_id, **asked):
    answer = ask("POST", f"/jobs/{job_id}/review", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json


def answer(ask, job_id, row, query="", **given):
    found = ask("PUT", f"/jobs/{job_id}/review/rows/{row}{query}", json=given)
    assert found.status_code == 200, found.text
    return found.json


def rows_of(ask, job_id, query="?limit=100"):
    return ask("GET", f"/jobs/{job_id}/review/rows{query}").json["rows"]


def truth_of(row: int, said: str) -> str:
    """What the person says: agrees, but for every third row, which is sad to them."""
    return "sadness" if row % 3 == 0 else said


def test_a_sample_is_drawn_answered_and_read(ask, job_id):
    said = {int(row["id"]): row["emotion"] for row in table(ask, job_id)}
    sample = draw(ask, job_id, size=80, seed=5)
    nothing = ask("GET", f"/jobs/{job_id}/review/results").json
    assert (nothing["asked"], nothing["accuracy"]["value"], nothing["thresholds"]) == (0, None, [])
    assert (sample["size"], sample["left"], sample["rows_labelled"], sample["outdated"]) == (80, 80, ROWS, False)
    assert sum(stratum["asked"] for stratum in sample["strata"]) == 80
    counts = {label: list(said.values()).count(label) for label in set(said.values())}
    assert {one["label"]: one["rows"] for one in sample["strata"] if one["rows"]} == counts
    for row in rows_of(ask, job_id):
        assert set(row) == {"row", "line", "text"}, "the model's answer is kept back"
        assert (row["text"], row["line"]) == (f"text number {row['row']}", row["row"] + 1)
        told = answer(ask, job_id, row["row"], labels=[truth_of(row["row"], said[row["row"]])])
        assert told["said"] == said[row["row"]]
    assert rows_of(ask, job_id) == []
    found = ask("GET", f"/jobs/{job_id}/review/results").json
    assert (found["rows"], found["asked"], found["sample"]["left"]) == (ROWS, 80, 0)
    really = sum(truth_of(row, label) == label for row, label in said.items()) / ROWS
    assert found["accuracy"]["low"] <= really <= found["accuracy"]["high"]
    sad = next(one for one in found["labels"] if one["label"] == "sadness")
    truly_sad = sum(truth_of(row, label) == "sadness" for row, label in said.items()) / ROWS
    assert sad["prevalence"]["low"] <= truly_sad <= sad["prevalence"]["high"]
    assert sad["precision"]["value"] == 1
    assert sad["said"] == counts["sadness"]
    assert len(found["thresholds"]) == 19
    assert found["thresholds"][0]["recall"]["value"] >= found["thresholds"][-1]["recall"]["value"]


def test_the_same_seed_draws_the_same_rows_and_more_of_them(ask, job_id, installation):
    draw(ask, job_id, size=30, seed=7)
    first = [row["row"] for row in rows_of(ask, job_id)]
    answer(ask, job_id, first[0], labels=["joy"])
    larger = draw(ask, job_id, size=60)
    assert (larger["size"], larger["answered"], larger["seed"]) == (60, 1, 7)
    assert set(first[1:]) < {row["row"] for row in rows_of(ask, job_id)}
    assert ask("DELETE", f"/jobs/{job_id}/review").status_code == 204
    draw(ask, job_id, size=30, seed=7)
    assert [row["row"] for row in rows_of(ask, job_id)] == first
    refused = ask("POST", f"/jobs/{job_id}/review", json={"seed": 8})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")


def test_skipped_rows_come_again_and_unsure_ones_do_not(ask, job_id):
    draw(ask, job_id, size=10, seed=1)
    first, second, third = (row["row"] for row in rows_of(ask, job_id, "?limit=3"))
    answer(ask, job_id, first, verdict="skipped")
    answer(ask, job_id, second, verdict="unsure")
    left = [row["row"] for row in rows_of(ask, job_id)]
    assert (left[0], left[-1], second in left) == (third, first, False)
    undone = ask("DELETE", f"/jobs/{job_id}/review/rows/{second}").json
    assert (undone["unsure"], undone["skipped"], undone["left"]) == (0, 1, 10)
    assert rows_of(ask, job_id)[0]["row"] == second


def test_other_taxonomies_and_several_labels(ask, job_id):
    sample = draw(ask, job_id, taxonomy="goemotions", size=100, seed=2)
    assert sample["taxonomy"] == "goemotions"
    said = {int(row["id"]): row["emotion"] for row in table(ask, job_id, "goemotions")}
    ekman = {int(row["id"]): row["emotion"] for row in table(ask, job_id)}
    query = "?taxonomy=goemotions"
    for row in rows_of(ask, job_id, f"{query}&limit=100"):
        assert answer(ask, job_id, row["row"], query, labels=["joy", said[row["row"]]])["said"] == said[row["row"]]
    fine = ask("GET", f"/jobs/{job_id}/review/results{query}").json
    assert fine["accuracy"]["value"] == 1
    coarse = ask("GET", f"/jobs/{job_id}/review/results?taxonomy=ekman").json
    assert (coarse["taxonomy"], coarse["sample"]["taxonomy"], coarse["rows"]) == ("ekman", "goemotions", ROWS)
    joy = next(one for one in coarse["labels"] if one["label"] == "joy")
    assert (joy["prevalence"]["value"], joy["said"]) == (1, list(ekman.values()).count("joy"))
    again = ask("GET", f"/jobs/{job_id}/review/results?taxonomy=ekman").json
    assert again == coarse
    assert ask("GET", f"/jobs/{job_id}/review/results?taxonomy=sentiment").status_code == 200
    assert ask("GET", f"/jobs/{job_id}/review").status_code == 404


def test_a_job_that_goes_on(ask, installation):
    job_id = ask.upload(many(2000))
    assert ask("POST", f"/jobs/{job_id}/review", json={}).json["code"] == "not_ready"
    shift = installation.shift(chunk_records=100, claim_chunks=1, tick_s=0.001)
    for _ in range(4):
        shift.tick()
    first = draw(ask, job_id, size=50)
    assert 0 < first["rows_labelled"] < 2000
    row = rows_of(ask, job_id)[0]["row"]
    answer(ask, job_id, row, labels=["joy"])
    installation.run()
    assert ask("GET", f"/jobs/{job_id}/review").json["outdated"]
    second = draw(ask, job_id)
    assert (second["rows_labelled"], second["outdated"], second["size"]) == (2000, False, 50)
    kept = ask("GET", f"/jobs/{job_id}/corrections").json["corrections"]
    assert [(one["row"], one["labels"], one["given_in"]) for one in kept] == [(row, ["joy"], "review")]


@pytest.mark.parametrize(
    ("given", "status", "word"),
    [
        ({"labels": ["hungry"]}, 422, "hungry"),
        ({}, 422, "labels"),
        ({"labels": ["joy"], "verdict": "unsure"}, 422, "labels"),
        ({"verdict": "perhaps"}, 422, "verdict"),
        ({"label": "joy"}, 422, "label"),
    ],
)
def test_a_wrong_answer_is_named(ask, job_id, given, status, word):
    draw(ask, job_id, size=10)
    row = rows_of(ask, job_id)[0]["row"]
    refused = ask("PUT", f"/jobs/{job_id}/review/rows/{row}", json=given)
    assert (refused.status_code, refused.json["code"]) == (status, "bad_option")
    assert word in refused.json["detail"]
    assert ask("GET", f"/jobs/{job_id}/review").json["left"] == 10


def test_rows_outside_the_sample_and_samples_of_others(ask, other, job_id):
    draw(ask, job_id, size=10)
    asked = {row["row"] for row in rows_of(ask, job_id)}
    outside = next(row for row in range(1, ROWS) if row not in asked)
    for row in (outside, 2**40):
        refused = ask("PUT", f"/jobs/{job_id}/review/rows/{row}", json={"labels": ["joy"]})
        assert (refused.status_code, refused.json["code"]) == (404, "not_found")
    for method, path in [
        ("POST", "review"),
        ("GET", "review"),
        ("GET", "review/rows"),
        ("GET", "review/results"),
        ("GET", "corrections"),
        ("GET", "corrections.tsv"),
        ("DELETE", "review"),
    ]:
        body = {"json": {}} if method == "POST" else {}
        assert other(method, f"/jobs/{job_id}/{path}", **body).status_code == 404
    assert other("PUT", f"/jobs/{job_id}/corrections/1", json={"labels": ["joy"]}).status_code == 404
    assert ask("GET", f"/jobs/{job_id}/review").json["size"] == 10


def test_an_answer_that_is_corrected_later_counts_as_corrected(ask, job_id):
    draw(ask, job_id, size=20, seed=3)
    row = rows_of(ask, job_id)[0]["row"]
    answer(ask, job_id, row, labels=["joy"])
    ask("PUT", f"/jobs/{job_id}/corrections/{row}", json={"labels": ["fear"]})
    named = {one["label"]: one["named"] for one in ask("GET", f"/jobs/{job_id}/review/results").json["labels"]}
    assert (named["joy"], named["fear"]) == (0, 1)
    outside = next(number for number in range(1, ROWS) if number != row)
    ask("PUT", f"/jobs/{job_id}/corrections/{outside}", json={"labels": ["fear"]})
    assert ask("GET", f"/jobs/{job_id}/review/results").json["asked"] == 1, "found by looking for it: no evidence"
    assert ask("DELETE", f"/jobs/{job_id}/corrections/{row}").status_code == 204
    assert ask("GET", f"/jobs/{job_id}/review").json["answered"] == 0


def test_stored_and_computed_labels_draw_alike(installation, ask, job_id):
    """The default taxonomy is drawn from stored labels; computing them from the logits must give the same rows."""
    import uuid

    from core.review.draw import draw as draw_rows

    taxonomy = installation.model.taxonomies[installation.model.default_taxonomy]
    found = [
        draw_rows(
            installation.web_db, installation.account_id, uuid.UUID(job_id), taxonomy, stored=stored, seed=11, size=70
        )
        for stored in (True, False)
    ]
    assert found[0].rows.tolist() == found[1].rows.tolist()
    assert found[0].logits == found[1].logits
    best = taxonomy.top(taxonomy.scores(np.frombuffer(b"".join(found[0].logits), "<f2").reshape(70, 28)))[0]
    assert best.tolist() == found[0].strata.tolist()


def test_everything_goes_with_the_job(ask, job_id, installation, db):
    draw(ask, job_id, size=10)
    answer(ask, job_id, rows_of(ask, job_id)[0]["row"], labels=["joy"])
    ask("DELETE", f"/jobs/{job_id}")
    from worker.retention import retire_jobs

    retire_jobs(db, 30)
    with db.transaction() as session:
        for name in ("review", "review_row", "correction"):
            assert session.scalars(text(f"SELECT count(*) FROM {name}")).one() == 0


def test_an_expired_job_keeps_no_answers(ask, job_id, db):
    draw(ask, job_id, size=10)
    answer(ask, job_id, rows_of(ask, job_id)[0]["row"], labels=["joy"])
    with db.transaction() as session:
        session.execute(text("UPDATE job SET expires_at = now() - interval '1 day'"))
    from worker.retention import retire_jobs

    retire_jobs(db, 30)
    with db.transaction() as session:
        for name in ("review", "review_row", "correction"):
            assert session.scalars(text(f"SELECT count(*) FROM {name}")).one() == 0
    assert ask("POST", f"/jobs/{job_id}/review", json={}).json["code"] == "not_ready"


def test_a_users_own_taxonomy_is_checked_by_its_version(ask, job_id):
    groups = [{"label": "warm", "members": ["joy", "love", "gratitude"]}, {"label": "cross", "members": ["anger"]}]
    ask("POST", "/taxonomies", json={"name": "moods", "groups": groups})
    said = {int(row["id"]): row["emotion"] for row in table(ask, job_id, "moods")}
    query = "?taxonomy=moods"
    assert draw(ask, job_id, taxonomy="moods", size=40, seed=4)["taxonomy"] == "moods@1"
    for at, row in enumerate(rows_of(ask, job_id, f"{query}&limit=100")):
        labels = [said[row["row"]]] if at else []
        assert answer(ask, job_id, row["row"], query, labels=labels)["said"] == said[row["row"]]
    before = ask("GET", f"/jobs/{job_id}/review/results{query}").json
    assert (before["taxonomy"], before["asked"]) == ("moods@1", 40)
    assert 0.8 < before["accuracy"]["value"] < 1
    ask("PUT", "/taxonomies/moods", json={"groups": groups[:1]})
    assert ask("GET", f"/jobs/{job_id}/review/results?taxonomy=moods@1").json == before
    assert ask("GET", f"/jobs/{job_id}/review?taxonomy=moods").status_code == 404
    assert ask("GET", f"/jobs/{job_id}/review?taxonomy=colours").status_code == 422
    lines = ask("GET", f"/jobs/{job_id}/corrections.tsv?taxonomy=moods@1").text.splitlines()
    assert len(lines) == 39
