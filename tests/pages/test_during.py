"""While a job runs, in a real browser: polls that cost nothing, and the end told to whoever asked for it."""

from __future__ import annotations

import csv
import re

import pytest

from tests.pages.test_pages import long_file, send

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

RECORDER = """
class Recorder {
    static permission = "default";
    static async requestPermission() { Recorder.permission = "granted"; return "granted"; }
    constructor(title) { localStorage.setItem("told", title); }
}
Object.defineProperty(window, "Notification", { value: Recorder });
"""


def test_polls_that_find_nothing_new_are_answered_by_304(page, workers, tmp_path):
    workers.hold()
    send(page, long_file(tmp_path / "held.csv"))
    with page.expect_response(lambda found: found.url.endswith("/live") and found.status == 304, timeout=20_000):
        pass
    expect(page.locator("#live")).to_be_visible()
    workers.release()
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)


def test_a_job_says_what_it_waits_for(page, workers, tmp_path, keep):
    workers.hold()
    workers.sql("UPDATE worker SET heartbeat = now() + interval '1 hour'")
    send(page, long_file(tmp_path / "first.csv"))
    expect(page.locator("#live .notice")).to_contain_text("Waiting for a free worker")
    page.goto(page.url.split("/jobs/")[0])
    send(page, long_file(tmp_path / "second.csv"))
    expect(page.locator("#live .notice")).to_contain_text("Waiting for its turn behind one job")
    expect(page.locator("#live")).to_contain_text("place 2 in the queue")
    keep(page, "job-queued")
    workers.sql("UPDATE worker SET heartbeat = now() - interval '1 hour'")
    expect(page.locator("#live .notice")).to_contain_text("none is alive")
    workers.sql("UPDATE worker SET heartbeat = now(), models = ARRAY['another']")
    expect(page.locator("#live .notice")).to_contain_text("none of the 1 alive has it")
    workers.release()
    home = page.url.split("/jobs/")[0]
    for job in page.request.get(f"{home}/api/v1/jobs").json()["jobs"][:2]:
        page.request.post(home + job["links"]["cancel"], headers={"Sec-Fetch-Site": "same-origin"})


def test_rows_done_so_far_are_downloaded_while_it_runs(page, workers, tmp_path):
    send(page, long_file(tmp_path / "partial.csv"))
    job = page.url.replace("/jobs/", "/api/v1/jobs/")
    while not page.request.get(job).json()["rows_done"]:
        page.wait_for_timeout(10)
    workers.hold()
    page.reload()
    done = page.request.get(job).json()["rows_done"]
    with page.expect_download() as download:
        page.click("text=CSV so far")
    download.value.save_as(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) <= done
    assert {row["row_status"] for row in rows} == {"ok"}
    workers.release()
    page.get_by_role("button", name="Cancel").click()


def test_labels_chosen_in_place_stay_while_it_runs(page, workers, tmp_path):
    send(page, long_file(tmp_path / "chosen.csv"))
    job_id = page.url.split("/")[-1]
    job = page.url.replace("/jobs/", "/api/v1/jobs/")
    while not page.request.get(job).json()["rows_done"]:
        page.wait_for_timeout(10)
    workers.hold()
    page.reload()
    page.select_option("select[name=taxonomy]", "sentiment")
    expect(page.locator("#bars")).to_contain_text("positive")
    with page.expect_response(lambda found: "/live" in found.url and found.status == 200, timeout=20_000):
        workers.sql("UPDATE job SET rows_total = rows_total + 1 WHERE id = %s", job_id)
    with page.expect_response(lambda found: "/live" in found.url, timeout=20_000):  # by now the one before is shown
        pass
    expect(page.locator("#bars")).to_contain_text("positive")
    workers.sql("UPDATE job SET rows_total = rows_total - 1 WHERE id = %s", job_id)
    workers.release()
    page.get_by_role("button", name="Cancel").click()


def test_a_part_of_the_server_that_is_away_is_named(page, workers, tmp_path):
    workers.hold()
    send(page, long_file(tmp_path / "part.csv"))
    problem = '<div class="notice"><p class="notice-title">The database does not answer.</p></div>'
    page.route("**/live", lambda route: route.fulfill(status=503, content_type="text/html", body=problem))
    expect(page.locator("#offline")).to_have_text("The database does not answer. Still trying …")
    page.unroute("**/live")
    expect(page.locator("#offline")).to_be_hidden()
    workers.release()
    page.get_by_role("button", name="Cancel").click()


def test_the_end_is_told_to_whoever_asked(page, workers, tmp_path):
    page.add_init_script(RECORDER)
    workers.hold()
    send(page, long_file(tmp_path / "told.csv"))
    page.get_by_role("button", name="Tell me when it is done").click()
    expect(page.locator("#tell")).to_be_hidden()
    workers.release()
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    assert page.evaluate("localStorage.getItem('told')").startswith("Done: told.csv")
