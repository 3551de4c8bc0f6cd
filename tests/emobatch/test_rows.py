"""Rows through the client and `emobatch rows`: asked for page by page, written as CSV, JSON Lines or a table."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from core.errors import Unavailable
from emobatch import cli
from emobatch.client import Client
from emobatch.job import View
from emobatch.retry import Patience
from emobatch.rows import RowFilter, table_of, write_csv
from tests.emobatch.fake_api import TOKEN, fake_api, problem

JOB = "4f0c"


@pytest.fixture
def api():
    with fake_api() as api:
        yield api


@pytest.fixture
def client(api):
    with Client(api.url, TOKEN, patience=Patience(known_s=1), sleep=lambda seconds: None) as client:
        yield client


def row(number: int, **changes: Any) -> dict[str, Any]:
    said = {"emotion": "joy", "emotion_score": 0.5, "emotions": ["joy", "fear"], "sentiment": "positive"}
    text = f"text {number}, so long that nobody would want to read all of it in one line of a terminal"
    cells = {"emotion": "mine", "text": text}
    more = {"sentiment_score": None, "row_status": "ok", "cells": cells}
    return {"row": number, "line": number + 1, "text": text, **said, **more, **changes}


@pytest.fixture
def rows(api) -> list[dict[str, Any]]:
    api.rows = [row(number) for number in range(1, 6)]
    return api.rows


def test_every_page_is_asked_for_as_it_is_needed(api, client, rows):
    where = RowFilter(label="joy", min_score=0.5, search="so long", whole_word=True, sort="score")
    found = client.each_row(JOB, View("goemotions", 0.4), where)
    assert next(found)["row"] == 1
    assert len(api.asked) == 1
    assert [one["row"] for one in found] == [2, 3, 4, 5]
    assert api.asked[0].query == {
        "limit": "500",
        "label": "joy",
        "min_score": "0.5",
        "search": "so long",
        "whole_word": "yes",
        "sort": "score",
        "taxonomy": "goemotions",
        "threshold": "0.4",
    }
    assert [asked.query.get("cursor") for asked in api.asked] == [None, "2", "4"]
    page = client.rows(JOB, cursor="2")
    assert (page.next, page.previous, page.total) == ("4", None, 5)


def test_one_row_and_its_words(api, client):
    assert client.row(JOB, 7)["scores"] == {"joy": 0.9}
    assert client.words(JOB, 7, label="fear")["label"] == "fear"
    api.faults["words"] = [problem(503, "unavailable")] * 50
    with pytest.raises(Unavailable):
        client.words(JOB, 7)


def test_a_csv_keeps_the_files_own_columns(rows):
    text = io.StringIO()
    write_csv([row(1), row(2, cells={"emotion": "a,b"}, scores={"joy": 0.25})], text)
    header, first, second = csv.reader(io.StringIO(text.getvalue()))
    assert header == ["row", "emotion", "text", "emotion_2", *"emotion_score emotions".split(), *header[6:]]
    assert header[6:] == ["sentiment", "sentiment_score", "row_status"]
    assert first == ["1", "mine", rows[0]["text"], "joy", "0.5000", "joy|fear", "positive", "", "ok"]
    assert second[:3] == ["2", "a,b", ""]


def test_a_table_is_short():
    table = table_of([row(1)])
    assert [column.header for column in table.columns][:3] == ["row", "text", "emotion"]
    assert len(next(iter(table.columns[1].cells)).plain) == 60


def command(api, *words: str) -> int:
    return cli.main(["rows", JOB, *words, "--server", api.url, "--token", TOKEN])


def test_the_command_writes_a_csv_into_a_pipe(api, rows, capfdbinary):
    assert command(api, "--label", "anger", "--sort", "score") == 0
    written = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert [line["row"] for line in written] == ["1", "2", "3", "4", "5"]
    assert api.asked[0].query == {"limit": "500", "label": "anger", "sort": "score"}


def test_the_command_writes_json_lines_into_a_file(api, rows, tmp_path):
    assert command(api, "--limit", "3", "--format", "jsonl", "-o", str(tmp_path / "rows.jsonl")) == 0
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [1, 2, 3]
    assert api.asked[0].query["limit"] == "3"


def test_the_command_shows_a_table(api, rows, capsys):
    assert command(api, "--format", "table", "--limit", "2") == 0
    shown = capsys.readouterr()
    assert "text 2, so long" in shown.out
    assert "There may be more" in shown.err


def test_what_makes_no_sense_is_refused(api, capsys):
    assert command(api, "--format", "table", "--min-score", "2") == 2
    assert "--min-score" in capsys.readouterr().err
    assert command(api, "--format", "table", "-o", "x.csv") == 2
