"""The pages in a real browser on the real stack: sign in, upload, watch, download; no script error, no CSP breach."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EXAMPLE = Path(__file__).parents[2] / "examples" / "reviews.csv"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, local_stack):
    """A signed-in page; whatever its console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.goto(f"{local_stack.url}/sign-in?token={local_stack.token}")
    yield opened
    context.close()
    # A refused upload is a 422 of our own API, which the browser reports by itself.
    assert [complaint for complaint in complaints if "status of 422" not in complaint] == []


def keep(page, name: str) -> None:
    """Saves a picture where `EMOBATCH_SCREENSHOTS` says, for people to look at."""
    if folder := os.environ.get("EMOBATCH_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_a_file_goes_in_and_comes_back_labelled(page, tmp_path):
    keep(page, "upload")
    page.set_input_files("#file", EXAMPLE)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=20_000)
    page.wait_for_selector("text=295", timeout=60_000)
    page.wait_for_load_state("networkidle")
    keep(page, "job")
    page.click("text=All 28")
    page.wait_for_load_state("networkidle")
    assert page.get_by_text("gratitude").count()
    page.select_option("select[name=taxonomy]", "ekman")
    page.select_option("select[name=scores]", "all")
    with page.expect_download() as download:
        page.click("text=Download CSV")
    target = tmp_path / "out.csv"
    download.value.save_as(target)
    assert download.value.suggested_filename == "reviews.labelled.csv"
    with target.open(newline="", encoding="utf-8") as one, EXAMPLE.open(newline="", encoding="utf-8") as other:
        rows, source = list(csv.reader(one)), list(csv.reader(other))
    assert [row[:5] for row in rows] == source
    assert len(rows[0]) == 5 + 6 + 28
    page.set_viewport_size({"width": 390, "height": 844})
    keep(page, "job-narrow")
    page.goto(page.url.split("/jobs/")[0] + "/jobs")
    assert page.get_by_text("reviews.csv").count()
    keep(page, "jobs-narrow")


def test_a_wrong_file_is_refused_in_words(page, tmp_path):
    wrong = tmp_path / "table.csv"
    wrong.write_bytes(b"a,b\n1,2\n3,4\n")
    page.set_input_files("#file", wrong)
    page.click("#go")
    page.wait_for_selector("text=No column of words was found", timeout=20_000)
    keep(page, "refused")


def test_nobody_gets_in_without_a_token(browser, local_stack):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{local_stack.url}/jobs")
    assert "sign-in" in page.url
    keep(page, "sign-in")
    page.goto(f"{local_stack.url}/sign-in?token=wrong")
    assert page.get_by_text("not valid").count()
    context.close()
