"""The pages in a real browser on the real stack: sign in, upload, watch, download; no script error, no CSP breach."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

EXAMPLE = Path(__file__).parents[2] / "examples" / "reviews.csv"


def test_a_file_goes_in_and_comes_back_labelled(page, keep, tmp_path):
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
    assert len(rows[0]) == 5 + 7 + 28
    page.set_viewport_size({"width": 390, "height": 844})
    keep(page, "job-narrow")
    page.goto(page.url.split("/jobs/")[0] + "/jobs")
    assert page.get_by_text("reviews.csv").count()
    keep(page, "jobs-narrow")


def test_a_wrong_file_is_refused_in_words(page, keep, tmp_path):
    wrong = tmp_path / "table.csv"
    wrong.write_bytes(b"a,b\n1,2\n3,4\n")
    page.set_input_files("#file", wrong)
    page.click("#go")
    page.wait_for_selector("text=No column of words was found", timeout=20_000)
    keep(page, "refused")


def long_file(path: Path) -> Path:
    """A file of some seconds' work: a worker remembers texts, so every one is new, in each file of another name."""
    path.write_text("text\n" + "".join(f"{path.stem} {n} is a number that nobody expected\n" for n in range(12_000)))
    return path


def send(page, file: Path) -> None:
    page.set_input_files("#file", file)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=20_000)


def test_progress_moves_by_itself_and_the_finished_page_follows(page, workers, tmp_path):
    send(page, long_file(tmp_path / "numbers.csv"))
    job = page.url.replace("/jobs/", "/api/v1/jobs/")
    while not page.request.get(job).json()["rows_done"]:
        page.wait_for_timeout(10)
    workers.hold()
    expect(page).to_have_title(re.compile(r"^[\d.]+ % numbers.csv"), timeout=20_000)
    page.wait_for_selector("#bars .bars")
    page.wait_for_selector("#rows tbody tr")
    workers.release()
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    expect(page.get_by_role("button", name="Download CSV")).to_have_count(1)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert page.locator("#live").get_attribute("hx-trigger") is None


def test_a_job_is_cancelled_and_deleted_by_its_buttons(page, workers, keep, tmp_path):
    workers.hold()
    send(page, long_file(tmp_path / "unwanted.csv"))
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#live .badge-state:has-text('Cancelled')")
    page.get_by_text("Delete …").click()
    keep(page, "delete")
    page.get_by_role("button", name="Delete this job").click()
    page.wait_for_url("**/jobs")
    assert not page.get_by_role("link", name="unwanted.csv").count()


def test_rows_are_filtered_in_place(page):
    send(page, EXAMPLE)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.select_option("#label", "joy")
    expect(page.locator("#rows .emotion", has_not_text="joy")).to_have_count(0)
    page.click("#rows >> text=Next rows")
    page.wait_for_selector("#rows >> text=First rows")
    assert set(page.locator("#rows .emotion").all_text_contents()) == {"joy"}


def test_what_leads_on_follows_the_labels_that_are_chosen_in_place(page):
    send(page, EXAMPLE)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    check = page.locator("#check-teaser a")
    expect(check).to_have_text("Check it")
    page.select_option("select[name=taxonomy]", "sentiment")
    for link in (check, page.locator("#summary-link")):
        expect(link).to_have_attribute("href", re.compile("taxonomy=sentiment"))
    expect(check).to_have_text("Check it")  # all of it, not its placeholder


def test_a_server_that_is_away_is_said_and_forgotten(page, workers, tmp_path):
    workers.hold()
    send(page, long_file(tmp_path / "away.csv"))
    page.route("**/live", lambda route: route.abort())
    page.wait_for_selector("#offline:visible")
    page.unroute("**/live")
    page.wait_for_selector("#offline", state="hidden")


@pytest.mark.parametrize("path", ["/", "/jobs", "/docs", "/sign-in"])
def test_a_phone_needs_no_sideways_scrolling(page, local_stack, path):
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(local_stack.url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_everything_works_without_scripts(browser, local_stack):
    context = browser.new_context(java_script_enabled=False, accept_downloads=True)
    page = context.new_page()
    page.goto(f"{local_stack.url}/sign-in")
    page.fill("#token", local_stack.token)
    page.get_by_role("button", name="Sign in").click()
    page.set_input_files("#file", EXAMPLE)
    page.click(".options summary")
    page.fill("#text_column", "nowhere")
    page.click("#go")
    assert page.get_by_text("nowhere").count()
    page.set_input_files("#file", EXAMPLE)
    page.fill("#text_column", "text")
    page.click("#go")
    page.wait_for_selector("text=Download CSV", timeout=60_000)  # the page reloads itself until then
    with page.expect_download() as download:
        page.click("text=Download CSV")
    assert download.value.suggested_filename == "reviews.labelled.csv"
    context.close()


def test_nobody_gets_in_without_a_token(browser, keep, local_stack):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{local_stack.url}/jobs")
    assert "sign-in" in page.url
    keep(page, "sign-in")
    page.goto(f"{local_stack.url}/sign-in?token=wrong")
    assert page.get_by_text("not valid").count()
    context.close()
