"""While a job runs, in a real browser: polls that cost nothing, and the end told to whoever asked for it."""

from __future__ import annotations

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


def test_the_end_is_told_to_whoever_asked(page, workers, tmp_path):
    page.add_init_script(RECORDER)
    workers.hold()
    send(page, long_file(tmp_path / "told.csv"))
    page.get_by_role("button", name="Tell me when it is done").click()
    expect(page.locator("#tell")).to_be_hidden()
    workers.release()
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    assert page.evaluate("localStorage.getItem('told')").startswith("Done: told.csv")
