"""Failed rows, fixed and sent back through the page."""

from __future__ import annotations

import csv
import io

from playwright.sync_api import expect

FILE = b"id,text\n1,I love this so much\n2,broken\n3,I am so sad today\n4,also broken\n"


def test_failed_rows_are_fixed_and_sent_back(page, local_stack, fail_rows, keep, tmp_path):
    page.goto(local_stack.url)
    page.set_input_files("#file", {"name": "broken.csv", "mimeType": "text/csv", "buffer": FILE})
    page.click("#go")
    page.wait_for_url("**/jobs/*")
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=60_000)
    job_id = page.url.rpartition("/")[2].partition("?")[0]
    fail_rows(job_id, 2, 4)
    page.reload()
    failed = page.locator("#failed")
    expect(failed).to_contain_text("2 rows could not be labelled")
    keep(page, "failed-rows")
    with page.expect_download() as download:
        failed.get_by_role("link", name="Download failed rows").click()
    assert download.value.suggested_filename == "broken.failed.csv"
    table = list(csv.reader(io.StringIO(download.value.path().read_text("utf-8-sig"), newline="")))
    assert [row[0] for row in table[1:]] == ["2", "4"]

    table[1][3], table[2][3] = "what a wonderful surprise", "I hate this"
    wrong = [table[0], ["3", *table[1][1:]]]
    for name, rows in (("wrong", wrong), ("fixed", table)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    page.set_input_files("#fixed", tmp_path / "wrong.csv")
    page.get_by_role("button", name="Send back").click()
    expect(page.get_by_role("alert")).to_contain_text("Row 3 of the job has not failed")
    expect(page.get_by_role("alert")).to_contain_text("data row 1 (file line 2)")
    keep(page, "failed-rows-refused")
    page.set_input_files("#fixed", tmp_path / "fixed.csv")
    page.get_by_role("button", name="Send back").click()
    expect(page.get_by_text("They stand in the places of the failed ones there now.")).to_be_visible(timeout=60_000)
    keep(page, "failed-rows-child")
    page.get_by_role("link", name="Go to that file").click()
    expect(page.locator("#failed")).to_contain_text("Every row that had failed was fixed and sent back.")
    expect(page.locator("#rows")).to_contain_text("what a wonderful surprise")
    keep(page, "failed-rows-mended")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(), newline="")))
    assert [row["text"] for row in rows] == [
        "I love this so much",
        "what a wonderful surprise",
        "I am so sad today",
        "I hate this",
    ]
    assert [row["row_status"] for row in rows] == ["ok"] * 4
