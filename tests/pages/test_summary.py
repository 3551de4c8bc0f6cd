"""A job in figures, and own taxonomies, in a real browser: what is moved, everything on the page follows."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

EXAMPLE = Path(__file__).parents[2] / "examples" / "reviews.csv"


@pytest.fixture
def job(page):
    """A labelled job's address."""
    page.set_input_files("#file", EXAMPLE)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    return page.url


def link_of(page, name: str) -> str:
    return page.locator(f"#figures a[href*='summary/{name}.csv']").first.get_attribute("href")


def counts_of(page, name: str) -> dict[str, int]:
    """Rows of each label, as the chart's own download says."""
    table = page.request.get(page.url.split("/jobs/")[0] + link_of(page, name)).text()
    return {row["label"]: int(row["rows"]) for row in csv.DictReader(io.StringIO(table))}


def test_threshold_taxonomy_and_column_move_charts_and_downloads(page, job, keep):
    page.goto(job)
    page.get_by_role("link", name="Summary").click()
    page.wait_for_selector("#figures .chart")
    keep(page, "summary")
    fitted = counts_of(page, "said")
    page.locator("#read-slider").fill("0.8")
    page.wait_for_selector("h3:has-text('Labels said at a threshold of 0.8')")
    expect(page).to_have_url(re.compile("threshold=0.8"))
    high = counts_of(page, "said")
    assert high["none"] > fitted["none"]
    page.select_option("#read-taxonomy", "sentiment")
    expect(page).to_have_url(re.compile("taxonomy=sentiment&threshold=0.8"))
    expect(page.locator("#figures .chart text", has_text="anger")).to_have_count(0)
    page.get_by_label("Broken down by").select_option("date")
    page.wait_for_selector("text=By date")
    page.get_by_role("navigation", name="Label of the chart").get_by_role("link", name="positive").click()
    page.wait_for_selector("text=Rows that stand for positive")
    keep(page, "summary-by-date")
    shared = page.url
    page.get_by_role("button", name="Fitted").click()
    page.wait_for_selector("h3:has-text('Labels said at their fitted thresholds')")
    page.goto(shared)  # what was sent to somebody else shows the same
    expect(page.locator("#read-threshold")).to_have_value("0.8")
    said = counts_of(page, "said")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file, labelled like this").click()
    rows = list(csv.DictReader(download.value.path().open(newline="", encoding="utf-8")))
    top = counts_of(page, "top")
    assert {label: sum(row["sentiment"] == label for row in rows) for label in top} == top
    assert set(said) == {*top, "none"}
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "summary-narrow")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    keep(page, "summary-dark")


def test_an_own_taxonomy_is_made_by_keyboard_and_used(page, job, keep):
    page.goto(job.split("/jobs/")[0] + "/taxonomies/new")
    page.locator("#name").press_sequentially("moods")
    for label, group in [("anger", "cross"), ("annoyance", "cross"), ("joy", "glad"), ("love", "glad")]:
        page.locator(f"#group-{label}").focus()
        page.keyboard.type(group)
    page.locator("#group-neutral").focus()
    page.keyboard.type("calm")
    expect(page.locator("#gathered")).to_have_text("cross (2) · glad (2) · calm (1)")
    keep(page, "taxonomy")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Saved moods, version 1")
    keep(page, "taxonomies")
    page.goto(job)
    page.select_option("#taxonomy", "moods@1")
    expect(page.locator("#bars .emotion", has_text="cross")).to_have_count(1)
    page.locator("#read-slider").fill("0.95")
    expect(page.locator("#rows input[name=threshold]")).to_have_value("0.95")
    expect(page).to_have_url(re.compile("taxonomy=moods%401&threshold=0.95"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(download.value.path().open(newline="", encoding="utf-8")))
    assert {row["emotion"] for row in rows} <= {"cross", "glad", "calm", ""}
    shown = page.locator("#bars tr", has_text="cross").locator(".num").first.inner_text()
    assert int(shown) == sum(row["emotion"] == "cross" for row in rows)
    page.get_by_role("link", name="Summary").click()
    expect(page.locator("#read-threshold")).to_have_value("0.95")
    page.goto(f"{job}/summary")
    page.select_option("#read-taxonomy", "moods@1")
    page.wait_for_selector("#figures .chart text:text-is('cross')")
    assert set(counts_of(page, "said")) == {"cross", "glad", "calm", "none"}
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file, labelled like this").click()
    rows = list(csv.DictReader(download.value.path().open(newline="", encoding="utf-8")))
    top = counts_of(page, "top")
    assert {label: sum(row["emotion"] == label for row in rows) for label in top} == top
    page.goto(job.split("/jobs/")[0] + "/taxonomies")
    page.locator(".taxonomy", has_text="moods").get_by_text("Delete …").click()
    page.get_by_role("button", name="Delete moods").click()
    page.wait_for_selector("text=moods is deleted")


def test_the_summary_works_without_scripts(browser, local_stack, job):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{local_stack.url}/sign-in")
    page.fill("#token", local_stack.token)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{job}/summary")
    page.wait_for_selector("#figures .chart")
    page.fill("#read-threshold", "0.9")
    page.select_option("#by", "product")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_text("Labels said at a threshold of 0.9").count()
    assert page.get_by_text("By product").count()
    context.close()
