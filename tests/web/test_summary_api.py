"""A job in figures over the API and as a page: the same numbers everywhere, bounded waits, charts with their data."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from web import figuring
from web.charts import COLOURS
from web.figure_charts import NAMES

PRODUCTS = ["lamp", "chair | <b>oak</b>", "desk"]


def file(rows: int = 240) -> bytes:
    lines = ["id,product,date,text"]
    lines += [f"{n},{PRODUCTS[n % 3]},2025-{1 + n % 2:02d}-03,text number {n}" for n in range(rows)]
    return "\n".join(lines).encode()


@pytest.fixture
def job_id(ask, installation):
    made = ask.upload(file())
    installation.run(chunk_records=30)
    return made


def figures(ask, job_id, **query):
    answer = ask("GET", f"/jobs/{job_id}/summary", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json["figures"]


def test_the_figures_are_those_of_the_file(ask, job_id):
    found = figures(ask, job_id, threshold="0.3", by="product", examples="yes")
    table = list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?threshold=0.3").text)))
    for label in found["labels"]:
        assert label["threshold"] == 0.3
        assert label["top"]["count"] == sum(row["emotion"] == label["label"] for row in table)
        assert label["said"]["count"] == sum(label["label"] in row["emotions"].split("|") for row in table)
        assert label["top"]["low"] <= label["top"]["share"] <= label["top"]["high"]
    assert found["none"]["count"] == sum(not row["emotions"] for row in table)
    for one in found["sentiment"]:
        assert one["top"]["count"] == sum(row["sentiment"] == one["label"] for row in table)
    assert [group["group"] for group in found["by"]["groups"]] == sorted(PRODUCTS)  # as many rows each: by name
    for group in found["by"]["groups"]:
        rows = [row for row in table if row["product"] == group["group"]]
        assert group["rows"] == len(rows)
        for label in group["labels"]:
            assert label["top"]["count"] == sum(row["emotion"] == label["label"] for row in rows)
    for examples in found["examples"]:
        for row in [*examples["typical"], *examples["uncertain"]]:
            assert table[row["row"] - 1]["text"] == row["text"]
            assert table[row["row"] - 1]["emotion"] == examples["label"]


def test_auto_is_the_fitted_thresholds(ask, job_id):
    found = figures(ask, job_id, taxonomy="goemotions", threshold="auto")
    models = ask("GET", "/models").json["models"][0]["taxonomies"]["goemotions"]
    assert found["threshold"] is None
    assert [(label["label"], label["threshold"]) for label in found["labels"]] == [
        (label["label"], label["threshold"]) for label in models
    ]


def test_a_running_job_has_counts_and_no_figures(ask):
    job_id = ask.upload(file())
    said = ask("GET", f"/jobs/{job_id}/summary").json
    assert (said["figures"], said["progress"]) == (None, None)
    assert ask("GET", f"/jobs/{job_id}/summary.md").status_code == 409


def test_a_count_that_takes_long_is_told_and_goes_on(ask, job_id, monkeypatch):
    monkeypatch.setattr(figuring, "API_S", 0.0)
    monkeypatch.setattr("web.api.summary.API_S", 0.0)
    monkeypatch.setattr("core.figures.counting.CHUNKS_PER_READ", 2)
    first = ask("GET", f"/jobs/{job_id}/summary?by=product")
    assert (first.status_code, first.headers["Retry-After"], first.json["figures"]) == (202, "1", None)
    assert first.json["progress"] == {"rows_done": 60, "rows": 240, "of": "labels"}
    chart = ask("GET", f"/jobs/{job_id}/summary/top.svg")
    assert (chart.status_code, chart.json["code"]) == (409, "not_ready")
    for _ in range(20):
        answer = ask("GET", f"/jobs/{job_id}/summary?by=product")
        if answer.status_code == 200:
            break
    assert answer.json["figures"]["by"]["column"] == "product"


def test_charts_are_whole_files_with_their_data(ask, job_id):
    found = figures(ask, job_id, by="product", threshold="0.4")
    for name in NAMES:
        drawn = ask("GET", f"/jobs/{job_id}/summary/{name}.svg?by=product&threshold=0.4&label=joy")
        assert drawn.mimetype == "image/svg+xml"
        assert drawn.headers["Content-Disposition"].endswith(f".{name}.svg")
        root = ElementTree.fromstring(drawn.text)
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert {"title", "desc"} <= tags
        assert not tags & {"script", "style", "foreignObject", "image"}
        assert not any("style" in element.attrib for element in root.iter())
        ids = [element.attrib["id"] for element in root if "id" in element.attrib]
        assert root.attrib["aria-labelledby"].split() == ids
    data = list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/summary/said.csv?threshold=0.4").text)))
    assert {row["label"]: int(row["rows"]) for row in data} == {
        **{label["label"]: label["said"]["count"] for label in found["labels"]},
        "none": found["none"]["count"],
    }
    data = list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/summary/groups.csv?by=product").text)))
    assert {(row["product"], row["label"]): int(row["rows"]) for row in data} == {
        (group["group"], label["label"]): label["top"]["count"]
        for group in found["by"]["groups"]
        for label in group["labels"]
    }


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("summary/pie.svg", 404, "pie"),
        ("summary/groups.svg", 404, "without a column"),
        ("summary/label.csv?by=product&label=bliss", 422, "bliss"),
        ("summary?by=colour", 422, "colour"),
        ("summary?by=text", 422, "text"),
        ("summary?taxonomy=moods", 422, "moods"),
        ("summary?threshold=2", 422, "threshold"),
        ("summary?examples=some", 422, "examples"),
    ],
)
def test_a_mistake_is_named(ask, job_id, path, status, said):
    refused = ask("GET", f"/jobs/{job_id}/{path}")
    assert (refused.status_code, said in refused.json["detail"]) == (status, True), refused.text


def test_the_text_has_the_numbers_and_no_markup_of_the_users(ask, job_id):
    found = figures(ask, job_id, by="product")
    words = ask("GET", f"/jobs/{job_id}/summary.md?by=product&examples=yes")
    assert words.mimetype == "text/markdown"
    joy = next(label for label in found["labels"] if label["label"] == "joy")
    assert f"| joy | {joy['top']['count']} · {100 * joy['top']['share']:.1f} %" in words.text
    assert "chair \\| \\<b\\>oak\\</b\\>" in words.text
    assert "Typical rows:" in words.text
    header, rule = words.text.split("Most likely label.\n\n")[1].splitlines()[:2]
    assert header.count("|") == rule.count("|") == 10


@pytest.fixture
def page(client):
    client.get("/sign-in?token=the-token", headers={"Sec-Fetch-Site": "none"})
    return client


def test_the_page_shows_what_the_api_says(ask, page, job_id):
    own = [{"label": "cross", "members": ["anger"]}, {"label": "calm", "members": ["neutral"]}]
    ask("POST", "/taxonomies", json={"name": "moods", "groups": own})
    shown = page.get(f"/jobs/{job_id}/summary?taxonomy=moods@1&threshold=0.4&by=date&label=calm").text
    found = figures(ask, job_id, taxonomy="moods", threshold="0.4", by="date")
    assert found["by"]["unit"] == "month"
    for label in found["labels"]:
        assert f"{100 * label['said']['share']:.1f} %" in shown
    assert "Rows that stand for calm" in shown
    assert f"/api/v1/jobs/{job_id}/results.csv?taxonomy=moods@1&amp;threshold=0.4" in shown.replace("%40", "@")
    assert re.search(r'<option value="moods@1" selected>', shown)


def test_the_page_survives_a_label_of_another_taxonomy(page, job_id):
    assert page.get(f"/jobs/{job_id}/summary?taxonomy=sentiment&label=joy").status_code == 200
    assert page.get(f"/jobs/{job_id}/summary?taxonomy=nothing").status_code == 422


def test_the_page_shows_how_far_counting_is_and_asks_again(page, job_id, monkeypatch):
    monkeypatch.setattr("web.figure_pages.PAGE_S", 0.0)
    monkeypatch.setattr("core.figures.counting.CHUNKS_PER_READ", 2)
    shown = page.get(f"/jobs/{job_id}/summary").text
    assert "60 of 240 rows" in shown
    assert 'hx-trigger="load' in shown
    for _ in range(5):
        shown = page.get(f"/jobs/{job_id}/summary").text
    assert "240 labelled rows" in shown


def test_a_job_that_runs_says_when_there_will_be_figures(page, ask):
    job_id = ask.upload(file())
    assert "not finished" in page.get(f"/jobs/{job_id}/summary").text


def test_charts_wear_the_colours_of_the_pages(app):
    style = (Path(app.static_folder) / "site.css").read_text()
    for name, colour in COLOURS.items():
        if name != "plain":
            found = re.findall(rf"\.c-{name}\b[^{{]*{{ --c: (#\w+)", style)
            assert found[-1] == colour, name
