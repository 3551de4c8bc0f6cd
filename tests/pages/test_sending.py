"""Sending in a real browser: large files survive what breaks on the way, several go one after another."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from emobatch.stack import leftovers
from emobatch.stack.home import Home
from tests.pages.states import EXAMPLE, large

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

SLICE = 16 * 1024 * 1024


@pytest.fixture
def big(tmp_path):
    """More than a slice of bytes, and few rows."""
    path = tmp_path / "large.csv"
    path.write_bytes(large())
    return path


class Patches:
    """Requests with pieces of a file, as they leave the page: each is let go or cut as a test says.

    A function is called as soon as its piece is on its way. What begins at `hold_from` or behind it is held.
    """

    def __init__(self, page, verdicts: list[str | Callable[[], None]], hold_from: float = float("inf")) -> None:
        self.offsets: list[int] = []
        self.upload = ""
        self._verdicts = verdicts
        self._hold_from = hold_from
        page.route(re.compile("/api/v1/uploads/[^/]+$"), self._handle)

    def _handle(self, route) -> None:
        if route.request.method == "PATCH":
            self.upload = route.request.url
            self.offsets.append(int(route.request.headers["upload-offset"]))
            verdict = self._verdicts.pop(0) if self._verdicts else "go"
            if verdict == "cut":
                route.abort("connectionreset")
                return
            if self.offsets[-1] >= self._hold_from:
                return
            if callable(verdict):
                route.continue_()
                verdict()
                return
        route.continue_()


def said(page, patches: Patches) -> dict:
    """What the server has of the upload."""
    return page.request.get(patches.upload).json()


def test_an_upload_cut_in_the_middle_goes_on_where_it_was(page, big, keep):
    patches = Patches(page, ["go", "cut", "cut"])
    page.set_input_files("#file", big)
    page.click("#go")
    expect(page.locator(".file-note")).to_contain_text("The connection broke at", timeout=60_000)
    keep(page, "sending-broken")
    page.wait_for_url("**/jobs/*", timeout=60_000)
    assert patches.offsets == [0, SLICE, SLICE, SLICE]
    assert said(page, patches)["received"] == big.stat().st_size
    assert said(page, patches)["job"]["id"] in page.url


def test_a_stopped_upload_goes_on_when_the_file_is_chosen_again(page, big, local_stack):
    first = Patches(page, [], hold_from=SLICE)  # a first piece that failed and is sent once more is none to stop at
    page.set_input_files("#file", big)
    page.click("#go")
    expect(page.locator("#stop")).to_be_visible()
    while not any(first.offsets):
        page.wait_for_timeout(20)
    page.click("#stop")
    expect(page.get_by_role("button", name="Label it")).to_be_enabled()
    page.unroute_all()
    again = Patches(page, [])
    page.goto(local_stack.url)
    page.set_input_files("#file", big)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=60_000)
    # The held piece may have gone out before it was stopped, in part or whole: what the server has of it counts.
    assert all(offset >= SLICE for offset in again.offsets)
    assert said(page, first)["job"]["id"] in page.url


def test_an_upload_survives_the_death_of_web_in_mid_piece(page, big, local_home):
    def kill() -> None:
        for process in leftovers.find(Home(local_home))["web"]:
            process.kill()

    patches = Patches(page, [kill])
    page.set_input_files("#file", big)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=90_000)
    assert len(patches.offsets) > 2
    assert said(page, patches)["job"]["id"] in page.url
    job = page.request.get(page.url.replace("/jobs/", "/api/v1/jobs/")).json()
    assert job["bytes"] == big.stat().st_size


def test_a_small_file_is_sent_again_until_it_arrives_and_makes_one_job(page, local_stack):
    before = len(page.request.get(f"{local_stack.url}/api/v1/jobs?limit=200").json()["jobs"])
    refusals = ["connectionreset", "connectionfailed"]
    page.route(
        re.compile(r"/api/v1/jobs\?"),
        lambda route: route.abort(refusals.pop()) if refusals else route.continue_(),
    )
    page.set_input_files("#file", EXAMPLE)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=30_000)
    assert len(page.request.get(f"{local_stack.url}/api/v1/jobs?limit=200").json()["jobs"]) == before + 1


def test_several_files_are_looked_at_corrected_and_sent(page, tmp_path):
    numbers = tmp_path / "numbers.csv"
    numbers.write_bytes(b"a,b\n1,2\n3,4\n")
    page.set_input_files("#file", [EXAMPLE, numbers])
    items = page.locator(".files li")
    expect(items).to_have_count(2)
    expect(items.nth(0)).to_contain_text("300 rows")
    expect(items.nth(1)).to_contain_text("No column of words")
    page.get_by_role("button", name="Label 2 files").click()
    expect(items.nth(0).get_by_role("link", name="on its way")).to_be_visible(timeout=20_000)
    expect(page.locator("#problem")).to_contain_text("numbers.csv: No column of words was found")
    expect(page.get_by_role("button", name="numbers.csv", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("radio", name="b").check()
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs", timeout=20_000)
    expect(page.locator(".jobs tbody tr").first).to_contain_text("numbers.csv")
    expect(page.locator(".jobs tbody tr").nth(1)).to_contain_text("reviews.csv")


def test_each_file_has_its_own_options_unless_they_are_used_for_all(page, tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("id;name;text\n1;Anna Schmidt;I love it so much\n2;Bert Braun;I hate it, really\n")
    page.set_input_files("#file", [tmp_path / "one.csv", tmp_path / "two.csv"])
    page.click(".options summary")
    expect(page.locator(".preview-rows th.chosen")).to_have_text("text")
    page.get_by_role("radio", name="name").check()
    page.get_by_role("button", name="two.csv", exact=True).click()
    expect(page.locator("#text_column")).to_have_value("")
    expect(page.locator(".preview-rows th.chosen")).to_have_text("text")
    page.get_by_role("button", name="one.csv", exact=True).click()
    expect(page.locator("#text_column")).to_have_value("name")
    page.get_by_role("button", name="Use for all files").click()
    page.get_by_role("button", name="two.csv", exact=True).click()
    expect(page.locator(".preview-rows th.chosen")).to_have_text("name")
    page.get_by_role("button", name="Remove one.csv").click()
    expect(page.locator(".files li")).to_have_count(1)


@pytest.mark.parametrize(
    ("text", "rows", "column", "first"),
    [
        ("I love it, really\nThis is so sad, I could cry\nWhat?!\n", 3, "column_1", "I love it, really"),
        ("I love it\n\nWhat?!", 2, "column_1", "I love it"),
        ("id\ttext\n1\tI love it, really\n2\tso sad\n", 2, "text", "I love it, really"),
        ('id,text\n1,"I love it, really"\n2,so sad\n', 2, "text", "I love it, really"),
    ],
    ids=["sentences with commas", "blank lines", "cells of a spreadsheet", "CSV"],
)
def test_pasted_lines_are_texts_and_pasted_tables_are_tables(page, text, rows, column, first):
    page.click("text=Paste text instead")
    page.fill("#pasted", text)
    page.click("text=Use this text")
    expect(page.locator(".preview-size")).to_contain_text(f"{rows} rows")
    expect(page.locator(".preview-rows th.chosen")).to_have_text(column)
    expect(page.locator(".preview-rows td.chosen").first).to_have_text(first)
    expect(page.locator("#pasted")).to_have_value("")
