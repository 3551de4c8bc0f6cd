"""The whole way in a real browser, in one go: a file dropped, read otherwise than detected, watched, filtered, read
anew, judged and downloaded; the file holds what the page showed."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

SAID = ["I love this so much", "This makes me angry", "How sad it is", "What a surprise", "Thank you for the help"]
ROWS = 60


@pytest.fixture
def places(tmp_path) -> Path:
    """Places as three numbers with commas between them, more of a table than the semicolon that is meant."""
    path = tmp_path / "places.csv"
    lines = [f"52.{n},13.{n},{n};{SAID[n % 5]} number {n}\n" for n in range(1, ROWS + 1)]
    path.write_text("latitude,longitude,height;comment\n" + "".join(lines))
    return path


def drop(page, path: Path, onto: str) -> None:
    """Drags a file from the desktop onto an element, as the browser itself is told of it."""
    box = page.locator(onto).bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def shown_rows(page) -> dict[int, dict[str, str]]:
    """The table of rows from its first page to its last: what it says of each row."""
    found = {}
    while True:
        for row in page.locator("#rows-found tbody tr").all():
            number, text, emotion, score, emotions, sentiment, status = row.locator("th, td").all_inner_texts()
            found[int(number)] = {
                "comment": text,
                "emotion": emotion,
                "emotion_score": score,
                "emotions": emotions.replace(", ", "|"),
                "sentiment": sentiment,
                "row_status": status,
            }
        if not page.locator("#rows-next").count():
            return found
        count = page.locator("#rows-count").inner_text()
        page.click("#rows-next")
        expect(page.locator("#rows-count")).not_to_have_text(count)


def answer(page, label: str) -> int:
    """Answers the row that is asked about by typing a label; its number."""
    row = page.locator("[name=row]").input_value()
    head = page.locator(".ask-head").inner_text()
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type(label)
    page.keyboard.press("Enter")
    expect(page.locator(".ask-head, .verdict")).not_to_have_text(head, use_inner_text=True)
    return int(row)


def test_the_file_that_comes_back_is_what_the_page_showed(page, places):
    drop(page, places, ".drop")
    expect(page.locator(".preview-size")).to_contain_text(f"{ROWS} rows")
    expect(page.locator("#delimiter option").first).to_have_text("detected: comma")
    page.click(".options summary")
    page.select_option("#delimiter", "semicolon")
    expect(page.locator(".preview-rows th.chosen")).to_have_text("comment")
    expect(page.locator(".preview-rows td.chosen").first).to_have_text(f"{SAID[1]} number 1")
    page.get_by_role("button", name="Label it").click()
    page.wait_for_url("**/jobs/*", timeout=20_000)
    expect(page).to_have_title(re.compile("^Done"), timeout=60_000)
    expect(page.locator("#rows-count")).to_have_text(f"1–25 of {ROWS}")

    page.select_option("#label", "joy")
    expect(page.locator("#rows-found tbody .emotion", has_not_text="joy")).to_have_count(0)
    page.select_option("#label", "")
    expect(page.locator("#rows-count")).to_have_text(f"1–25 of {ROWS}")
    fitted = shown_rows(page)
    page.locator("#read-slider").fill("0.9")
    expect(page).to_have_url(re.compile("threshold=0.9"))
    expect(page.locator("#rows input[name=threshold]")).to_have_value("0.9")
    strict = shown_rows(page)
    assert sum(bool(row["emotions"]) for row in strict.values()) < sum(bool(row["emotions"]) for row in fitted.values())
    assert [row["emotion"] for row in strict.values()] == [row["emotion"] for row in fitted.values()]
    page.select_option("#taxonomy", "goemotions")
    expect(page.locator("#bars")).to_contain_text("gratitude")
    expect(page.locator("#rows-count")).to_have_text(f"1–25 of {ROWS}")
    shown = shown_rows(page)
    bars = {
        row.locator(".emotion").inner_text(): int(row.locator(".num").first.inner_text())
        for row in page.locator("#bars tbody tr").all()
    }
    address = page.url

    page.click("#check-teaser >> text=Check it")
    page.get_by_role("navigation", name="Taxonomy").get_by_role("link", name="All 28").click()
    expect(page).to_have_url(re.compile("taxonomy=goemotions"))
    page.select_option("select[name=size]", "50")
    page.click("text=Start labelling")
    said = {answer(page, "grief"): "grief"}
    while page.locator("#card").count():
        label = shown[int(page.locator("[name=row]").input_value())]["emotion"]
        said[answer(page, label)] = label
    expect(page.locator(".verdict")).to_contain_text("of the rows have the right label")
    assert len(said) == 50

    page.goto(address)
    expect(page.locator("#check-teaser")).to_contain_text("Download with what you said of 50 rows")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "places.labelled.csv"
    with download.value.path().open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    with places.open(newline="") as file:
        source = list(csv.DictReader(file, delimiter=";"))
    assert [{name: row[name] for name in source[0]} for row in rows] == source
    for number, row in enumerate(rows, 1):
        one = shown[number]
        assert abs(float(row["emotion_score"]) - float(one.pop("emotion_score"))) <= 0.0051
        assert {name: row[name] for name in one} == one
        assert row["corrected_emotion"] == said.get(number, "")
    counted = {label: sum(row["emotion"] == label for row in rows) for label in bars}
    assert counted == bars
    assert sum(bars.values()) == ROWS
