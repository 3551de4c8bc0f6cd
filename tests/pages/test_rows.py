"""The table of rows in a real browser: filtered, sorted, searched and paged in place; one row, and its words."""

from __future__ import annotations

import re

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

WORDS = ["I love this so much", "This makes me angry", "How sad it is", "What a surprise", "Thank you for the help"]


@pytest.fixture
def job(page, tmp_path):
    """A finished job of 120 rows, its page open; the address of the page."""
    file = tmp_path / "letters.csv"
    lines = [f"{n},{WORDS[n % 5]} number {n},note {n}\n" for n in range(1, 121)]
    file.write_text("id,text,note\n" + "".join(lines) + "121,,\n")
    page.goto(re.sub(r"(https?://[^/]+).*", r"\1/", page.url))
    page.set_input_files("#file", file)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    page.wait_for_selector("#rows-found tbody tr")
    return page.url


def numbers(page) -> list[int]:
    return [int(text.replace(",", "")) for text in page.locator("#rows-found tbody th").all_text_contents()]


def test_filters_sort_and_pages_in_place(page, job, keep):
    expect(page.locator("#rows-count")).to_have_text("1–25 of 121")
    page.click("#rows-next")
    expect(page.locator("#rows-count")).to_have_text("26–50 of 121")
    assert numbers(page) == list(range(26, 51))
    assert page.evaluate("document.activeElement.id") == "rows-next"
    page.click("#rows-previous")
    expect(page.locator("#rows-count")).to_have_text("1–25 of 121")
    page.select_option("#status", "empty")
    expect(page.locator("#rows-count")).to_have_text("1–1 of 1")
    assert numbers(page) == [121]
    page.select_option("#status", "")
    page.select_option("#label", "anger")
    expect(page.locator("#rows-found tbody .emotion", has_not_text="anger")).to_have_count(0)
    page.select_option("#sort", "score")
    expect(page.locator("#rows-found th[aria-sort=descending]")).to_have_count(1)
    scores = [float(text) for text in page.locator("#rows-found tbody td.num").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    assert "label=anger" in page.url
    assert "sort=score" in page.url
    found = numbers(page)
    keep(page, "rows-filtered")
    page.reload()
    assert numbers(page) == found
    page.click("#rows-found thead a:has-text('Score')")
    expect(page.locator("#rows-found th[aria-sort=ascending]")).to_have_count(1)


def test_a_search_is_whole_and_can_be_for_whole_words(page, job, keep):
    page.fill("#search", "LOVE")
    expect(page.locator("#rows-count")).to_have_text("1–24 of 24")
    page.fill("#search", "number 11")
    expect(page.locator("#rows-count")).to_have_text("1–11 of 11")
    page.click(".filter-more summary")
    page.check("#whole_word")
    expect(page.locator("#rows-count")).to_have_text("1–1 of 1")
    page.fill("#search", "nothing of the kind")
    page.wait_for_selector("#rows-found .nothing")
    keep(page, "rows-nothing")
    page.click("text=Show all rows")
    page.wait_for_selector("#rows-next")


def test_columns_of_the_file_stand_beside(page, job):
    page.click(".filter-more summary")
    page.get_by_label("note", exact=True).check()
    expect(page.locator("#rows-found tbody .own").first).to_have_text("note 1")
    assert "columns=3" in page.url


def test_a_filter_out_of_range_is_told_in_the_tables_place(page, job):
    page.click(".filter-more summary")
    page.evaluate("document.querySelector('#min_score').removeAttribute('max')")
    page.fill("#min_score", "7")
    page.keyboard.press("Tab")
    page.wait_for_selector("#rows-found [role=alert]:has-text('min_score')")
    assert page.locator("#offline").is_hidden()
    page.fill("#min_score", "0.5")
    page.keyboard.press("Tab")
    page.wait_for_selector("#rows-found tbody tr")


def test_a_row_is_opened_and_its_words_asked_for(page, job, keep):
    page.select_option("#label", "joy")
    page.select_option("#sort", "score")
    expect(page.locator("#rows-found th[aria-sort=descending]")).to_have_count(1)
    expect(page.locator("#rows-count")).to_have_text("1–25 of 48")
    found = numbers(page)
    page.locator("#rows-found tbody th a").nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#text-title")
    expect(page.locator("h1")).to_contain_text(f"Row {found[1]}")
    assert page.locator(".said-bars tbody tr").count() == 28
    assert page.get_by_text(f"note {found[1]}", exact=True).count()
    keep(page, "row")
    page.click("#ask-words")
    page.wait_for_selector("mark.for", timeout=20_000)
    assert page.locator(".words-top tbody tr").count()
    keep(page, "row-words")
    page.click("text=Next row")
    expect(page.locator("h1")).to_contain_text(f"Row {found[2]}")
    page.click("text=All rows of letters.csv")
    page.wait_for_selector("#rows-found tbody tr")
    assert numbers(page) == found
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "rows-narrow")
    page.locator("#rows-found tbody th a").first.click()
    page.wait_for_selector("#text-title")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "row-narrow")


def test_words_say_that_no_worker_is_there_and_come_when_one_is(page, job, workers, keep):
    page.locator("#rows-found tbody th a").first.click()
    page.wait_for_selector("#ask-words")
    workers.lose()
    page.click("#ask-words")
    page.wait_for_selector("#words [role=alert]:has-text('No worker is alive')")
    keep(page, "row-no-worker")
    workers.release()
    page.wait_for_selector("#words mark, #words .words-top", timeout=30_000)


def test_a_search_is_stopped_and_goes_on(page, local_stack, tmp_path):
    file = tmp_path / "long.csv"
    file.write_text("text\n" + "".join(f"{WORDS[n % 5]} number {n}\n" for n in range(12_000)) + "the last of all\n")
    page.set_input_files("#file", file)
    page.click("#go")
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Done"), timeout=120_000)
    job = page.url
    page.goto(f"{job}?search=last+of+all&paused=yes")
    page.wait_for_selector("#rows-found:has-text('None in the rows looked through so far')")
    expect(page.locator("#rows-count")).to_contain_text("0 found in")
    held: list = []
    page.route(
        "**/rows?*", lambda route: held.append(route) if "paused" not in route.request.url else route.continue_()
    )
    page.click("#rows-go-on")
    page.wait_for_function("document.querySelector('#rows-go-on.htmx-request')")
    held.pop().continue_()
    page.unroute("**/rows?*")
    expect(page.locator("#rows-count")).to_have_text("1–1 of 1", timeout=20_000)
    assert numbers(page) == [12_001]


def test_the_table_works_without_scripts(browser, local_stack, page, job):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{local_stack.url}/sign-in")
    plain.fill("#token", local_stack.token)
    plain.get_by_role("button", name="Sign in").click()
    plain.goto(job)
    plain.fill("#search", "thank")
    plain.select_option("#sort", "score")
    plain.click(".filter button")
    assert plain.locator("#rows-found tbody tr").count() == 24
    plain.locator("#rows-found tbody th a").first.click()
    plain.click("#ask-words")
    assert plain.locator("mark").count()
    context.close()
