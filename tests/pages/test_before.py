"""Before a file is sent, in a real browser: what it is taken for, its first rows with labels, and every correction."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

EXAMPLE = Path(__file__).parents[2] / "examples" / "reviews.csv"


@pytest.fixture
def table(tmp_path) -> Path:
    """Three columns of which two hold words, with a semicolon between them, and a comma in every text."""
    path = tmp_path / "kommentare.csv"
    lines = [f"{n};Anna Schmidt;Schöne Grüße, ich bin so froh über Nummer {n}\n" for n in range(30)]
    path.write_bytes("".join(["nr;name;kommentar\n", *lines]).encode("cp1252"))
    return path


def choose(page, file: Path) -> None:
    page.set_input_files("#file", file)
    page.wait_for_selector("#found")


def expect_labels(page, n: int = 20) -> list[str]:
    """Waits for the rows' labels: the first of them also for the worker, which may just be starting."""
    found = page.locator("[id^=said-] .emotion")
    expect(found).to_have_count(n, timeout=60_000)
    return [label.strip() for label in found.all_text_contents()]


@pytest.fixture
def clicks(page) -> list[str]:
    """What the user presses, on whatever page."""
    found: list[str] = []
    page.expose_function("pressed", lambda text: found.append(text))
    page.add_init_script("addEventListener('pointerdown', event => pressed(event.target.textContent.trim()), true)")
    page.reload()
    return found


def test_an_unknown_file_is_labelled_with_three_clicks(page, keep, clicks):
    with page.expect_file_chooser() as chooser:
        page.click("#file")
    chooser.value.set_files(EXAMPLE)
    page.wait_for_selector("#found")
    expect(page.locator(".preview-size")).to_contain_text("300 rows")
    expect(page.locator(".preview-rows tbody tr")).to_have_count(20)
    shown = expect_labels(page)
    expect(page.locator("#preview-time")).to_contain_text("of work")
    keep(page, "preview")
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    rows = page.request.get(page.url.replace("/jobs/", "/api/v1/jobs/") + "/rows?limit=20").json()["rows"]
    assert [row["emotion"] for row in rows] == shown
    with page.expect_download() as download:
        page.click("text=Download CSV")
    assert download.value.suggested_filename == "reviews.labelled.csv"
    assert len(clicks) == 3, clicks


def test_every_detection_can_be_overridden_and_the_preview_follows(page, keep, table):
    choose(page, table)
    expect(page.locator("#preview .facts")).to_contain_text("cp1252")
    expect(page.locator("#preview .notice")).to_contain_text("not UTF-8")
    expect(page.locator(".preview-rows th.chosen")).to_have_text("kommentar")
    expect(page.locator("#delimiter option").first).to_have_text("detected: semicolon")
    keep(page, "preview-warning")
    page.get_by_role("radio", name="name").check()
    expect(page.locator(".preview-rows th.chosen")).to_have_text("name")
    expect(page.get_by_role("radio", name="name")).to_be_focused()
    expect(page.locator("#text_column")).to_have_value("name")
    page.click(".options summary")
    page.fill("#text_column", "")
    page.select_option("#delimiter", "comma")
    expect(page.locator(".preview-rows thead")).to_contain_text("nr;name;kommentar")
    page.select_option("#header", "no")
    expect(page.locator(".preview-rows thead")).to_contain_text("column_1")
    expect(page.locator(".preview-size")).to_contain_text("31 rows")
    page.select_option("#delimiter", "")
    page.select_option("#header", "")
    page.fill("#encoding", "klingon")
    page.locator("#encoding").blur()
    expect(page.locator("#preview [role=alert]")).to_contain_text("klingon")
    page.fill("#encoding", "cp1250")
    page.locator("#encoding").blur()
    expect(page.locator("#preview .facts")).to_contain_text("cp1250")
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs/*", timeout=20_000)
    job = page.request.get(page.url.replace("/jobs/", "/api/v1/jobs/")).json()
    assert (job["format"]["encoding"], job["format"]["delimiter"]) == ("cp1250", ";")
    assert job["text_column"]["name"] == "kommentar"


def test_only_the_head_of_a_long_file_is_sent_for_a_look(page, tmp_path):
    long = tmp_path / "long.csv"
    long.write_text("text\n" + "".join(f"line {n} is one of very many lines like this\n" for n in range(30_000)))
    with page.expect_request("**/preview?*") as request:
        choose(page, long)
    assert request.value.all_headers()["content-length"] == "262145"
    expect(page.locator(".preview-size")).to_contain_text(re.compile(r"\d\d,000 to \d\d,000 rows"))


def test_another_file_forgets_the_column_of_the_first(page, table, tmp_path):
    choose(page, table)
    page.get_by_role("radio", name="name").check()
    expect(page.locator("#text_column")).to_have_value("name")
    page.set_input_files("#file", EXAMPLE)
    expect(page.locator(".preview-size")).to_contain_text("300 rows")
    expect(page.locator("#text_column")).to_have_value("")


def test_rows_are_shown_while_no_worker_has_time(page, workers):
    workers.hold()
    choose(page, EXAMPLE)
    expect(page.locator(".preview-rows tbody tr")).to_have_count(20)
    expect_labels(page, 0)
    workers.release()
    expect_labels(page)


def test_labels_are_asked_for_again_while_no_worker_is_alive(page, workers, keep):
    workers.lose()
    choose(page, EXAMPLE)
    expect(page.locator("#preview-time")).to_contain_text("No worker is alive")
    keep(page, "preview-no-worker")
    expect_labels(page, 0)
    workers.release()
    expect_labels(page)
    expect(page.locator("#preview-time")).to_contain_text("of work")


def test_a_typed_text_is_asked_about_again_while_no_worker_is_alive(page, local_stack, workers, keep):
    workers.lose()
    page.goto(f"{local_stack.url}/try")
    page.keyboard.type("I love this so much, thank you!")
    expect(page.locator("#said")).to_contain_text("No worker is alive")
    keep(page, "try-no-worker")
    workers.release()
    expect(page.locator("#said .said-top")).to_contain_text("joy", timeout=60_000)


def test_pasted_text_is_a_file(page):
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.setData("text/plain", "id\\ttext\\n1\\tI love it\\n2\\tI hate it\\n");
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    }""")
    page.wait_for_selector("#found")
    expect(page.locator(".files")).to_contain_text("pasted.csv")
    expect(page.locator("#preview .facts")).to_contain_text("tab")
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs/*", timeout=20_000)


def test_a_phone_shows_it_too(page, keep):
    page.set_viewport_size({"width": 390, "height": 844})
    choose(page, EXAMPLE)
    expect_labels(page)
    keep(page, "preview-narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [390, 1280])
def test_of_many_columns_the_one_to_be_labelled_is_in_sight(page, tmp_path, keep, width):
    page.set_viewport_size({"width": width, "height": 1600})
    filler = [f"https://example.org/a/path/that/goes/on/and/on/{n}" for n in range(9)]
    head = ["id", *(f"address {n}" for n in range(9)), "comment", "owner"]
    rows = [[str(n), *filler, f"I am so happy about number {n}", "x" * 90] for n in range(20)]
    wide = tmp_path / "wide.csv"
    wide.write_text("".join(",".join(row) + "\n" for row in [head, *rows]))
    choose(page, wide)
    expect_labels(page)
    keep(page, f"preview-wide-{width}")
    first = page.locator(".preview-rows tbody tr").first
    expect(first.locator(".chosen")).to_have_text("I am so happy about number 0")
    expect(first.locator(".chosen")).to_be_in_viewport(ratio=0.9)
    if width < 400:
        expect(first.locator(".emotion")).to_be_in_viewport(ratio=1)
        top = {name: first.locator(name).bounding_box()["y"] for name in (".emotion", ".chosen", "[data-says=id]")}
        assert sorted(top, key=top.__getitem__) == list(top), "label and text before the rest"


def test_it_is_dark_where_the_system_is(browser, local_stack, keep):
    context = browser.new_context(color_scheme="dark", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{local_stack.url}/sign-in?token={local_stack.token}")
    choose(page, EXAMPLE)
    expect_labels(page)
    keep(page, "preview-dark")
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    context.close()


def test_a_text_is_labelled_as_it_is_typed(page, local_stack, keep):
    page.goto(f"{local_stack.url}/try")
    page.keyboard.type("I love this so much, thank you!")
    expect(page.locator("#said .said-top")).to_contain_text("joy")
    keep(page, "try")
    page.select_option("#taxonomy", "goemotions")
    expect(page.locator("#said .said-top")).to_contain_text(re.compile("love|gratitude"))
    page.set_viewport_size({"width": 390, "height": 844})
    keep(page, "try-narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_text_is_labelled_without_scripts(browser, local_stack):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{local_stack.url}/sign-in")
    page.fill("#token", local_stack.token)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{local_stack.url}/try")
    page.fill("#text", "I am so sad, I cannot stop crying.")
    page.get_by_role("button", name="Label it").click()
    assert "sadness" in page.locator(".said-top").text_content()
    context.close()
