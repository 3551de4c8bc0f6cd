"""Corrections: kept for each row and taxonomy, listed by key, and read again by `training`."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from core.model_directory import ModelDirectory, shipped_model_path
from training.data import read_tsv
from training.domain import read_domain

GROUPS = [{"label": "none", "members": ["neutral"]}, {"label": "some", "members": ["joy", "love"]}]
CSV = b'id,text\n1,"I love\tthis"\n2,"so sad,\nreally"\n3,\n4,what a surprise\n5,"He said ""no"""\n'


@pytest.fixture
def job_id(ask, installation):
    made = ask.upload(CSV, filename="mine.csv")
    installation.run()
    return made


def put(ask, job_id, row, *labels, query=""):
    return ask("PUT", f"/jobs/{job_id}/corrections/{row}{query}", json={"labels": list(labels)})


def test_corrections_are_kept_replaced_listed_and_forgotten(ask, job_id):
    assert put(ask, job_id, 1, "joy").json["labels"] == ["joy"]
    assert put(ask, job_id, 1, "surprise", "joy").json["labels"] == ["joy", "surprise"], "in the taxonomy's order"
    put(ask, job_id, 4, "surprise")
    put(ask, job_id, 5, "anger")
    put(ask, job_id, 4, "negative", query="?taxonomy=sentiment")
    page = ask("GET", f"/jobs/{job_id}/corrections?limit=2").json
    assert [(one["row"], one["labels"]) for one in page["corrections"]] == [(1, ["joy", "surprise"]), (4, ["surprise"])]
    rest = ask("GET", f"/jobs/{job_id}/corrections?limit=2&cursor={page['next']}").json
    assert ([one["row"] for one in rest["corrections"]], rest["next"]) == ([5], None)
    other = ask("GET", f"/jobs/{job_id}/corrections?taxonomy=sentiment").json
    assert [(one["row"], one["labels"]) for one in other["corrections"]] == [(4, ["negative"])]
    for _ in range(2):
        assert ask("DELETE", f"/jobs/{job_id}/corrections/4").status_code == 204
    assert [one["row"] for one in ask("GET", f"/jobs/{job_id}/corrections").json["corrections"]] == [1, 5]


@pytest.mark.parametrize(
    ("row", "labels", "query", "status"),
    [
        (1, ["hungry"], "", 422),
        (1, ["positive"], "", 422),
        (1, ["joy"], "?taxonomy=colours", 422),
        (6, ["joy"], "", 404),
        (0, ["joy"], "", 404),
        (2**40, ["joy"], "", 404),
        (
            1,
            "admiration amusement anger annoyance approval caring confusion curiosity desire".split(),
            "?taxonomy=goemotions",
            422,
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(ask, job_id, row, labels, query, status):
    assert put(ask, job_id, row, *labels, query=query).status_code == status
    assert ask("GET", f"/jobs/{job_id}/corrections").json["corrections"] == []


def test_training_reads_them(ask, job_id, tmp_path):
    query = "?taxonomy=goemotions"
    put(ask, job_id, 1, "love", "joy", query=query)
    put(ask, job_id, 2, "sadness", query=query)
    put(ask, job_id, 3, "neutral", query=query)  # no text: nothing to learn from
    put(ask, job_id, 4, query=query)  # none of the 28
    put(ask, job_id, 5, "disapproval", query=query)
    answer = ask("GET", f"/jobs/{job_id}/corrections.tsv{query}")
    assert answer.headers["Content-Disposition"] == "attachment; filename=mine.corrections.tsv"
    (tmp_path / "mine.tsv").write_bytes(answer.data)
    labels = ModelDirectory.load(shipped_model_path()).taxonomies["goemotions"].labels
    rows = read_tsv(tmp_path / "mine.tsv")
    assert rows.texts == ["I love this", "so sad, really", 'He said "no"']
    said = [[label for label, true in zip(labels, row, strict=True) if true] for row in rows.gold]
    assert said == [["joy", "love"], ["sadness"], ["disapproval"]]


def test_the_domain_evaluation_reads_them(ask, job_id, tmp_path):
    put(ask, job_id, 1, "joy", "surprise")
    put(ask, job_id, 2, "sadness")
    for ending in ("csv", "toml"):
        (tmp_path / f"mine.corrections.{ending}").write_bytes(ask("GET", f"/jobs/{job_id}/corrections.{ending}").data)
    labels = ModelDirectory.load(shipped_model_path()).taxonomies["ekman"].labels
    domain = read_domain(tmp_path / "mine.corrections.toml", labels, tmp_path)
    assert (domain.taxonomy, domain.texts) == ("ekman", ["I love\tthis", "so sad,\nreally"])
    assert [[labels[at] for at in row.nonzero()[0]] for row in domain.gold] == [["joy", "surprise"], ["sadness"]]


def test_a_download_without_corrections_is_empty(ask, job_id):
    assert ask("GET", f"/jobs/{job_id}/corrections.tsv").data == b""
    assert ask("GET", f"/jobs/{job_id}/corrections.csv").data == b"text,label\r\n"


def test_a_download_has_them_as_its_last_column_if_asked(ask, job_id):
    before = ask("GET", f"/jobs/{job_id}/results.csv").data
    put(ask, job_id, 1, "surprise", "joy")
    put(ask, job_id, 3, "neutral")
    put(ask, job_id, 4)
    put(ask, job_id, 5, "negative", query="?taxonomy=sentiment")
    assert ask("GET", f"/jobs/{job_id}/results.csv").data == before, "nobody's columns change by themselves"
    plain = list(csv.reader(io.StringIO(before.decode(), newline="")))
    table = list(csv.reader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?corrections=yes").text, newline="")))
    assert [row[:-1] for row in table] == plain
    assert [row[-1] for row in table] == ["corrected_emotion", "joy|surprise", "", "neutral", "none", ""]
    query = "taxonomy=sentiment&corrections=yes&scores=all"
    other = list(csv.reader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?{query}").text, newline="")))
    assert [row[-1] for row in other] == ["corrected_sentiment", "", "", "", "", "negative"]
    lines = [json.loads(line) for line in ask("GET", f"/jobs/{job_id}/results.jsonl?corrections=yes").text.splitlines()]
    assert [line["corrected_emotion"] for line in lines] == [["joy", "surprise"], None, ["neutral"], [], None]


def test_every_format_has_them(ask, job_id):
    put(ask, job_id, 1, "surprise", "joy")
    put(ask, job_id, 4)

    def get(form):
        return ask("GET", f"/jobs/{job_id}/results.{form}corrections=yes").data

    table = pq.read_table(io.BytesIO(get("parquet?")))
    assert table["corrected_emotion"].to_pylist() == [["joy", "surprise"], None, None, [], None]
    said = ["corrected_emotion", "joy|surprise", "", "", "none", ""]
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(get("xlsx?"))).get_sheet_by_name("labelled")
    assert [row[-1] for row in sheet.to_python()] == said
    text = get("csv?spreadsheet=yes&").decode("utf-8-sig")
    assert [row[-1] for row in csv.reader(io.StringIO(text, newline=""))] == said


def test_a_group_called_none_is_not_none_of_them(ask, job_id):
    ask("POST", "/taxonomies", json={"name": "two", "groups": GROUPS})
    query = "taxonomy=two&corrections=yes"
    put(ask, job_id, 1, "none", query="?taxonomy=two")
    put(ask, job_id, 2, query="?taxonomy=two")
    text = ask("GET", f"/jobs/{job_id}/results.csv?{query}").text
    assert [row[-1] for row in csv.reader(io.StringIO(text, newline=""))][1:] == ["none", "none of them", "", "", ""]
    table = pq.read_table(io.BytesIO(ask("GET", f"/jobs/{job_id}/results.parquet?{query}").data))
    assert table["corrected_emotion"].to_pylist() == [["none"], [], None, None, None]


def test_such_a_download_goes_on_as_long_as_nobody_says_more(ask, job_id):
    put(ask, job_id, 1, "joy")
    path = f"/jobs/{job_id}/results.csv?corrections=yes"
    whole = ask("GET", path)
    asked = {"Range": "bytes=30-", "If-Range": whole.headers["ETag"]}
    assert whole.headers["ETag"] != ask("GET", f"/jobs/{job_id}/results.csv").headers["ETag"]
    part = ask("GET", path, headers=asked)
    assert (part.status_code, part.data) == (206, whole.data[30:])
    put(ask, job_id, 2, "joy")
    assert ask("GET", path, headers=asked).status_code == 200


def test_a_column_of_that_name_is_kept(ask, installation):
    job_id = ask.upload(b"text,corrected_emotion\nfine,mine\n", text_column="text")
    installation.run()
    put(ask, job_id, 1, "joy")
    rows = list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?corrections=yes").text)))
    assert (rows[0]["corrected_emotion"], rows[0]["corrected_emotion_2"]) == ("mine", "joy")
