"""Model versions in the API and on the pages: listed, chosen, the same file labelled again, compared."""

from __future__ import annotations

import pytest

from tests.fakes import NullScorer
from tests.versions import MOVED, OtherScorer, come_alive, of_other
from tests.web.conftest import CSV, TOKEN, Asker

FILE = "id,text\n" + "".join(f"{n},text {n} {MOVED}\n" for n in range(40))
PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def other(installation):
    """The installation as a living worker with another version sees it; its own version has one too."""
    come_alive(installation.db, installation.model, "own")
    found = of_other(installation)
    come_alive(installation.db, found.model, "other")
    return found


def test_models_are_listed_the_default_first(ask, other):
    models = ask("GET", "/models").json["models"]
    assert [(model["name"], model["default"], model["workers"]) for model in models] == [
        (models[0]["name"], True, 1),
        ("other-model", False, 1),
    ]
    assert {label["label"] for label in models[1]["taxonomies"]["ekman"]} >= {"joy", "neutral"}


def test_a_fresh_installation_lists_its_own_model(ask):
    (model,) = ask("GET", "/models").json["models"]
    assert (model["default"], model["workers"]) == (True, 0)


def test_a_file_is_labelled_with_the_version_it_names(ask, other):
    job_id = ask.upload(CSV, model="other-model")
    other.run(OtherScorer())
    job = ask("GET", f"/jobs/{job_id}").json
    assert (job["state"], job["model_name"], job["model_version"]) == ("completed", "other-model", "9.9.9")
    answer = ask("POST", "/jobs", data=CSV, content_type="text/csv", query_string={"model": "nope"})
    assert (answer.status_code, answer.json["code"]) == (422, "bad_option")
    assert "other-model@9.9.9" in answer.json["next_step"]


def test_a_model_of_the_installation_is_taken_before_its_worker_is_there(make_app, installation):
    six = "emobatch-distilbert-6x384"
    ask = Asker(make_app(also_models=six).test_client(), TOKEN)
    assert [model["name"] for model in ask("GET", "/models").json["models"]] == [installation.model.name, six]
    job_id = ask.upload(CSV, model=six)
    again = ask("POST", f"/jobs/{ask.upload()}/again?model={six}").json["id"]
    for waiting in (job_id, again):
        assert ask("GET", f"/jobs/{waiting}").json["model_name"] == six
    installation.run(NullScorer())
    assert ask("GET", f"/jobs/{job_id}").json["rows_done"] == 0, "no worker here has that model"


def test_the_same_file_again_and_both_compared(ask, installation, other):
    first = ask.upload(FILE.encode())
    installation.run(NullScorer())
    answer = ask("POST", f"/jobs/{first}/again?model=other-model@9.9.9")
    assert answer.status_code == 202
    second = answer.json["id"]
    assert answer.headers["Location"] == f"/api/v1/jobs/{second}"
    early = ask("GET", f"/jobs/{first}/compare/{second}")
    assert early.json["code"] == "not_ready"
    other.run(OtherScorer())
    found = ask("GET", f"/jobs/{first}/compare/{second}?limit=3").json
    assert found["rows"] == 40
    assert found["same"] + found["changed"] == 40
    assert found["agreement"] == found["same"] / 40
    assert sum(pair["rows"] for pair in found["pairs"]) == found["changed"] > 3
    seen, after = list(found["changes"]), found["next"]
    while after is not None:
        page = ask("GET", f"/jobs/{first}/compare/{second}?limit=3&cursor={after}").json
        seen, after = seen + page["changes"], page["next"]
    assert len(seen) == len({change["row"] for change in seen}) == found["changed"]
    answer = ask("GET", f"/jobs/{first}/compare/{second}/changes.csv")
    assert len(answer.text.splitlines()) == 1 + found["changed"]
    assert "filename=upload.changes.csv" in answer.headers["Content-Disposition"]


def test_the_pages_offer_it_where_there_is_a_choice(client, ask, installation, other):
    client.post("/sign-in", data={"token": "the-token"}, headers=PAGE)
    assert 'name="model"' in client.get("/").text
    first = ask.upload(FILE.encode())
    installation.run(NullScorer())
    assert "Label again" in client.get(f"/jobs/{first}").text
    answer = client.post(f"/jobs/{first}/again", data={"model": other.model.sha256}, headers=PAGE)
    assert answer.status_code == 303
    second = answer.headers["Location"].rsplit("/", 1)[1]
    assert "Being labelled by" in client.get(f"/jobs/{first}").text
    other.run(OtherScorer())
    assert f"/jobs/{first}/compare/{second}" in client.get(f"/jobs/{first}").text
    page = client.get(f"/jobs/{first}/compare/{second}").text
    assert "of the labels are the same" in page
    assert "other-model 9.9.9" in page
    assert "Changed rows" in page
    for taxonomy in ("goemotions", "sentiment"):
        assert client.get(f"/jobs/{first}/compare/{second}?taxonomy={taxonomy}").status_code == 200


def test_with_one_version_there_is_nothing_to_choose(client, ask, installation):
    come_alive(installation.db, installation.model)
    client.post("/sign-in", data={"token": "the-token"}, headers=PAGE)
    assert 'name="model"' not in client.get("/").text
    job_id = ask.upload(FILE.encode())
    installation.run()
    assert "Label again" not in client.get(f"/jobs/{job_id}").text
