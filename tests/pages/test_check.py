"""The check in a real browser: a sample labelled by keys, left and gone on with, its figures seen and taken along."""

from __future__ import annotations

import csv

import pytest

from tests.pages.states import Stage, check_card_28

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

LABELS = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")


@pytest.fixture
def stage(page, local_stack, workers, tmp_path):
    return Stage(page, local_stack.url, workers, tmp_path)


def test_a_sample_is_labelled_by_keys_left_and_gone_on_with(stage, keep, tmp_path):
    page = stage.page
    job_id = stage.send_and_wait()
    job = f"{stage.url}/api/v1/jobs/{job_id}"
    page.click("#check-teaser >> text=Check it")
    page.select_option("select[name=size]", "50")
    keep(page, "check-offer")
    page.click("text=Start labelling")
    said = {row["row"]: row["emotion"] for row in page.request.get(f"{job}/rows?limit=500").json()["rows"]}

    def row() -> int:
        return int(page.locator("[name=row]").input_value())

    def press(key: str) -> None:
        before = row()
        page.keyboard.press(key)
        expect(page.locator("[name=row]")).not_to_have_value(str(before))

    first = row()
    press("1")
    expect(page.locator(".ask-last")).to_contain_text("you said anger")
    press("Backspace")
    assert row() == first
    press("?")
    expect(page.locator(".ask-last")).to_contain_text("could not tell")
    skipped = row()
    press("ArrowRight")
    page.keyboard.press("Shift+Digit4")
    page.keyboard.press("Shift+Digit6")
    expect(page.locator(".several")).to_have_attribute("open", "")
    keep(page, "check-several")
    press("Enter")
    expect(page.locator(".ask-last")).to_contain_text("you said joy, surprise")
    keep(page, "check-card")
    for _ in range(20):
        press(str(1 + LABELS.index(said[row()])))
    page.reload()
    expect(page.locator(".ask-head")).to_contain_text("23 of 50")
    page.click("text=Stop here")
    expect(page.locator(".live-line")).to_contain_text("21 of 50 rows labelled")
    page.click("text=Go on labelling")
    while page.locator("#card").count():
        if page.locator(".ask-head", has_text="50 of 50").count():
            assert row() == skipped, "what was skipped comes at the end"
            page.keyboard.press(str(1 + LABELS.index(said[row()])))
            page.wait_for_url("**/check?*")
        else:
            press(str(1 + LABELS.index(said[row()])))
    expect(page.locator(".verdict")).to_contain_text("of the rows have the right label")
    accuracy = page.request.get(f"{job}/review/results").json()["accuracy"]["value"]
    assert page.locator(".verdict b").inner_text() == f"{100 * accuracy:.{0 if accuracy == 1 else 1}f} %"
    keep(page, "check-figures")
    with page.expect_download() as download:
        page.click("text=Texts and labels, CSV")
    target = tmp_path / "mine.csv"
    download.value.save_as(target)
    assert download.value.suggested_filename == "reviews.corrections.csv"
    with target.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 49
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "check-figures-narrow")


def test_of_28_labels_one_is_found_by_typing(stage, keep):
    check_card_28(stage)
    page = stage.page
    before = page.locator("[name=row]").input_value()
    page.keyboard.type("grat")
    expect(page.locator(".choice:visible")).to_have_count(1)
    keep(page, "check-28")
    page.keyboard.press("Enter")
    expect(page.locator(".ask-last")).to_contain_text("you said gratitude")
    assert page.locator("[name=row]").input_value() != before
    page.keyboard.press("Backspace")  # nothing is typed: it takes back
    expect(page.locator("[name=row]")).to_have_value(before)


def test_a_phone_answers_by_tapping(stage, keep):
    page = stage.page
    job_id = stage.send_and_wait()
    page.set_viewport_size({"width": 390, "height": 844})
    stage.go(f"/jobs/{job_id}/check")
    page.click("text=Start labelling")
    keep(page, "check-card-narrow")
    page.click(".choice:has-text('surprise')")
    expect(page.locator(".ask-last")).to_contain_text("you said surprise")
    page.click("text=Undo")
    expect(page.locator(".ask-last")).to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_keys_can_be_switched_off(stage):
    page = stage.page
    job_id = stage.send_and_wait()
    stage.go(f"/jobs/{job_id}/check")
    page.click("text=Start labelling")
    before = page.locator("[name=row]").input_value()
    page.uncheck("#keys")
    page.keyboard.press("4")
    page.reload()
    expect(page.locator("#keys")).not_to_be_checked()
    assert page.locator("[name=row]").input_value() == before


def test_without_scripts_forms_do_it(browser, local_stack, stage):
    job_id = stage.send_and_wait()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{local_stack.url}/sign-in?token={local_stack.token}")
    page.goto(f"{local_stack.url}/jobs/{job_id}/check")
    page.click("text=Start labelling")
    page.click(".choice:has-text('joy')")
    expect(page.locator(".ask-last")).to_contain_text("you said joy")
    page.click("text=Undo")
    expect(page.locator(".ask-last")).to_be_empty()
    context.close()
