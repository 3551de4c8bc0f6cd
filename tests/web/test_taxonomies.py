"""A user's own taxonomies over the API and in the pages: made, used by name everywhere, changed, deleted."""

from __future__ import annotations

import csv
import io
import re

import pytest

GROUPS = [{"label": "cross", "members": ["anger", "annoyance"]}, {"label": "none", "members": ["neutral"]}]


@pytest.fixture
def moods(ask):
    made = ask("POST", "/taxonomies", json={"name": "moods", "groups": GROUPS})
    assert made.status_code == 201, made.text
    return made.json


def test_its_life(ask, other, moods):
    assert moods["reference"] == "moods@1"
    assert moods["groups"] == GROUPS
    assert ask("POST", "/taxonomies", json={"name": "moods", "groups": GROUPS}).status_code == 409
    assert ask("PUT", "/taxonomies/moods", json={"groups": GROUPS}).json["version"] == 1
    assert ask("PUT", "/taxonomies/moods", json={"groups": GROUPS[:1]}).json["version"] == 2
    assert [one["reference"] for one in ask("GET", "/taxonomies").json["taxonomies"]] == ["moods@2"]
    assert ask("GET", "/taxonomies/moods@1").json["groups"] == GROUPS
    assert other("GET", "/taxonomies").json == {"taxonomies": [], "next": None}
    assert other("GET", "/taxonomies/moods").status_code == 404
    assert other("DELETE", "/taxonomies/moods").status_code == 404
    assert ask("DELETE", "/taxonomies/moods").status_code == 204
    assert ask("GET", "/taxonomies/moods").status_code == 404
    assert ask("GET", "/taxonomies/moods@2").json["deleted"] is True
    assert ask("PUT", "/taxonomies/moods", json={"groups": GROUPS}).status_code == 404
    assert ask("POST", "/taxonomies", json={"name": "moods", "groups": GROUPS}).json["version"] == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "moods", "groups": [{"label": "a", "members": ["bliss"]}]}, "bliss"),
        ({"name": "moods", "groups": [{"label": "a", "members": ["joy", "joy"]}]}, "joy"),
        ({"name": "moods", "groups": [{"label": "a"}]}, "members"),
        ({"name": "moods"}, "groups"),
        ({"name": "sentiment", "groups": GROUPS}, "sentiment"),
        ({"name": "a@b", "groups": GROUPS}, "a@b"),
        ({"name": "moods", "groups": GROUPS, "note": "x"}, "note"),
    ],
)
def test_a_mistake_is_named(ask, body, said):
    refused = ask("POST", "/taxonomies", json=body)
    assert refused.status_code == 422
    assert said in refused.json["detail"]


def test_it_is_taken_wherever_a_taxonomy_is(ask, installation, moods):
    job_id = ask.upload()
    installation.run()
    table = list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?taxonomy=moods").text)))
    assert {row["emotion"] for row in table} <= {"cross", "none", ""}
    rows = ask("GET", f"/jobs/{job_id}/rows?taxonomy=moods@1&label=cross").json["rows"]
    assert [row["row"] for row in rows] == [at for at, row in enumerate(table, 1) if row["emotion"] == "cross"]
    refused = ask("GET", f"/jobs/{job_id}/results.csv?taxonomy=mood")
    assert (refused.status_code, "moods" in refused.json["next_step"]) == (422, True)


def test_the_lane_knows_it(ask, answering, moods):
    said = ask("POST", "/classify", json={"texts": ["one", "two"], "taxonomy": "moods"}).json
    assert said["taxonomy"] == "moods@1"
    assert {result["emotion"] for result in said["results"]} <= {"cross", "none"}
    head = b"id,text\n1,one fine day\n2,two fine days\n"
    look = ask("POST", "/preview?taxonomy=moods", data=head, content_type="text/csv").json
    assert {row["labels"]["emotion"] for row in look["rows"]} <= {"cross", "none"}
    assert ask("POST", "/classify", json={"texts": ["one"], "taxonomy": "moods@7"}).status_code == 422


@pytest.fixture
def page(client):
    client.get("/sign-in?token=the-token", headers={"Sec-Fetch-Site": "none"})
    return client


def send(page, **fields: str):
    return page.post("/taxonomies", data=fields, headers={"Sec-Fetch-Site": "same-origin"})


def test_the_form_makes_one_and_changes_it(page, ask):
    form = page.get("/taxonomies/new?from=ekman").text
    assert re.search(r'id="group-annoyance"[^>]*value="anger"', form)
    fields = {"group-anger": "Cross", "group-annoyance": "cross ", "group-neutral": "none", "group-joy": "glad"}
    assert send(page, name="moods", was="", **fields).status_code == 303
    kept = ask("GET", "/taxonomies/moods").json
    assert kept["groups"] == [
        {"label": "Cross", "members": ["anger", "annoyance"]},
        {"label": "glad", "members": ["joy"]},
        {"label": "none", "members": ["neutral"]},
    ]
    assert "moods" in page.get("/taxonomies").text
    refused = send(page, name="moods", was="", **fields)
    assert (refused.status_code, "already" in refused.text) == (409, True)
    assert send(page, name="moods", was="moods", **(fields | {"group-joy": ""})).status_code == 303
    assert ask("GET", "/taxonomies/moods").json["version"] == 2
    page.post("/taxonomies/moods/delete", headers={"Sec-Fetch-Site": "same-origin"})
    assert ask("GET", "/taxonomies").json == {"taxonomies": [], "next": None}


def test_a_mistake_in_the_form_keeps_what_was_typed(page):
    refused = send(page, name="moods", was="", **{"group-joy": "a|b"})
    assert refused.status_code == 422
    assert "a|b" in refused.text
    assert "cannot be called" in refused.text
