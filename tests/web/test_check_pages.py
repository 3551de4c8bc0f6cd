"""The pages of the check without a browser: forms and links do it all, and nothing gives the answer away."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.web.conftest import TOKEN

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
ROWS = 200


@pytest.fixture
def job_id(ask, installation):
    made = ask.upload("".join(["text\n", *(f"text number {i}\n" for i in range(1, ROWS + 1))]).encode())
    installation.run()
    return made


@pytest.fixture
def page(client):
    client.get(f"/sign-in?token={TOKEN}")

    def read(path: str, **request) -> str:
        answer = client.get(path, **request)
        assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"))
        return answer.text

    return read


@pytest.fixture
def send(client, page):
    def post(path: str, headers=None, **fields):
        return client.post(path, data=fields, headers=OWN_PAGE | (headers or {}))

    return post


def row_on(card: str) -> int:
    return int(re.search(r'name="row" value="(\d+)"', card)[1])


def test_from_the_job_to_the_figures_by_forms_alone(page, send, ask, job_id):
    assert "/check" in page(f"/jobs/{job_id}")
    assert "Start labelling" in page(f"/jobs/{job_id}/check")
    started = send(f"/jobs/{job_id}/check", taxonomy="ekman", size="50")
    assert started.status_code == 303
    where = started.headers["Location"]
    for done in range(50):
        card = page(where)
        assert f"{done + 1} of 50" in card
        answered = send(f"/jobs/{job_id}/check/card", row=str(row_on(card)), taxonomy="ekman", labels="joy")
        where = answered.headers["Location"]
    assert ask("GET", f"/jobs/{job_id}/review").json["answered"] == 50
    page_of_check = page(page_target(ask, where, page))
    assert "of the rows have the right label" in page_of_check
    assert "50 rows of this file have a label from you" in page_of_check
    assert re.search(r"<b>[\d.]+ %</b> of the rows", page(f"/jobs/{job_id}/check/teaser"))


def page_target(ask, where: str, page) -> str:
    """Where the card leads when nothing is left to answer."""
    answer = ask.client.get(where)
    assert answer.status_code == 303
    return answer.headers["Location"]


def test_a_card_keeps_what_was_said_back_until_it_is_answered(page, send, ask, job_id):
    send(f"/jobs/{job_id}/check", size="50")
    card = page(f"/jobs/{job_id}/check/card")
    row = row_on(card)
    assert f"text number {row}" in card
    assert "emobatch said" not in card
    shown = [part for part in re.findall(r">([^<>]+)<", card) if part.strip() in ("joy", "anger", "neutral")]
    assert len(shown) == 6, "each label on its button and on its box, as any other"
    answer = send(
        f"/jobs/{job_id}/check/card", headers={"HX-Request": "true"}, row=str(row), taxonomy="ekman", labels="fear"
    )
    assert answer.text.lstrip().startswith("<section")
    assert "you said <b>fear</b>" in answer.text
    assert row_on(answer.text) != row
    back = send(f"/jobs/{job_id}/check/undo", headers={"HX-Request": "true"}, taxonomy="ekman")
    assert row_on(back.text) == row
    assert ask("GET", f"/jobs/{job_id}/corrections").json["corrections"] == []


def test_several_labels_and_those_who_cannot_tell(page, send, ask, job_id):
    send(f"/jobs/{job_id}/check", size="50")
    first = row_on(page(f"/jobs/{job_id}/check/card"))
    nothing = send(f"/jobs/{job_id}/check/card", row=str(first), taxonomy="ekman", take="1")
    assert "No label is ticked." in nothing.text
    send(f"/jobs/{job_id}/check/card", row=str(first), taxonomy="ekman", take="1", several=["joy", "surprise"])
    assert "you said <b>joy, surprise</b>" in page(f"/jobs/{job_id}/check/card")
    second = row_on(page(f"/jobs/{job_id}/check/card"))
    send(f"/jobs/{job_id}/check/card", row=str(second), taxonomy="ekman", verdict="unsure")
    third = row_on(page(f"/jobs/{job_id}/check/card"))
    send(f"/jobs/{job_id}/check/card", row=str(third), taxonomy="ekman", verdict="skipped")
    found = ask("GET", f"/jobs/{job_id}/review").json
    assert (found["answered"], found["unsure"], found["skipped"], found["left"]) == (1, 1, 1, 48)


def test_other_taxonomies_have_their_own_sample_or_read_a_finer_one(page, send, ask, job_id):
    send(f"/jobs/{job_id}/check", size="50", taxonomy="ekman")
    for row in ask("GET", f"/jobs/{job_id}/review/rows?limit=20").json["rows"]:
        ask("PUT", f"/jobs/{job_id}/review/rows/{row['row']}", json={"labels": ["joy"]})
    html = page(f"/jobs/{job_id}/check?taxonomy=sentiment")
    assert "in the finer labels of" in html
    assert "of the rows have the right label" in html
    assert "Start labelling" in html
    fine = page(f"/jobs/{job_id}/check?taxonomy=goemotions")
    assert "of the rows have the right label" not in fine
    send(f"/jobs/{job_id}/check", taxonomy="goemotions", size="100")
    card = page(f"/jobs/{job_id}/check/card?taxonomy=goemotions")
    assert card.count('class="choice"') == 28
    assert 'id="find"' in card


def test_start_over_keeps_what_was_said(page, send, ask, job_id):
    send(f"/jobs/{job_id}/check", size="50")
    row = row_on(page(f"/jobs/{job_id}/check/card"))
    send(f"/jobs/{job_id}/check/card", row=str(row), taxonomy="ekman", labels="fear")
    assert send(f"/jobs/{job_id}/check/remove", taxonomy="ekman").status_code == 303
    assert "Start labelling" in page(f"/jobs/{job_id}/check")
    assert [one["row"] for one in ask("GET", f"/jobs/{job_id}/corrections").json["corrections"]] == [row]


def test_a_row_is_corrected_beside_itself(page, send, ask, job_id):
    form = page(f"/jobs/{job_id}/rows/7/correction?taxonomy=ekman")
    assert "Correct this label" in form
    said = send(f"/jobs/{job_id}/rows/7/correction", headers={"HX-Request": "true"}, taxonomy="ekman", labels="sadness")
    assert "You said" in said.text
    assert "<option selected>sadness</option>" in said.text
    assert ask("GET", f"/jobs/{job_id}/corrections").json["corrections"][0]["labels"] == ["sadness"]
    gone = send(f"/jobs/{job_id}/rows/7/correction", taxonomy="ekman", labels="")
    assert gone.headers["Location"] == f"/jobs/{job_id}/rows/7?taxonomy=ekman"
    assert f"/jobs/{job_id}/rows/7/correction?taxonomy=ekman" in page(gone.headers["Location"])
    assert ask("GET", f"/jobs/{job_id}/corrections").json["corrections"] == []


@pytest.mark.parametrize("fields", [{"size": "many"}, {"size": "3"}, {"taxonomy": "colours"}])
def test_a_wrong_draw_is_said(send, job_id, fields):
    answer = send(f"/jobs/{job_id}/check", **fields)
    assert answer.status_code == 422
    assert next(iter(fields)) in unescape(answer.text)


def test_a_job_without_labels_offers_nothing(page, send, ask):
    job_id = ask.upload(b"text\nfine\n")
    assert "No row has a label yet." in page(f"/jobs/{job_id}/check")
    assert send(f"/jobs/{job_id}/check", size="50").status_code == 409


def test_what_a_user_wrote_is_never_markup(page, send, ask, installation):
    job_id = ask.upload(b"text\n<script>alert(1)</script>\n<b>bold</b> words\n")
    installation.run()
    send(f"/jobs/{job_id}/check", size="50")
    card = page(f"/jobs/{job_id}/check/card")
    assert "<script>alert" not in card
    assert "<b>bold" not in card
    assert " style=" not in card
