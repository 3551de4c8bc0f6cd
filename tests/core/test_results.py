"""Reading results: pages by key, filters, lines of JSON, and numbers that agree whichever way they are read."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import replace

import pytest

from core import jobs
from core.errors import BadOption, EncodingFailed, NotFound, NotReady
from core.results import ResultOptions, Results, RowQuery
from tests.fakes import NullScorer, null_logits
from tests.fixtures import Installation

TEXTS = [f"text number {n}" for n in range(250)]
FILE = ("id,text,id,\n" + "".join(f"{n},{text},{n}b,\n" for n, text in enumerate(TEXTS))).encode()


@pytest.fixture
def job_id(installation: Installation) -> uuid.UUID:
    made = installation.accept(FILE)
    installation.run(chunk_records=20)
    return made


def opened(installation: Installation, job_id: uuid.UUID, **options: str):
    results = Results(installation.web_db, installation.storage)
    return results.open(installation.account_id, job_id, ResultOptions.parse(**options))


def test_pages_follow_each_other_without_gap_or_overlap(installation, job_id):
    results, cursor, seen = opened(installation, job_id), "", []
    while cursor is not None:
        page = results.page(cursor=cursor, limit=33)
        seen += [row["row"] for row in page.rows]
        cursor = page.next
    assert seen == list(range(1, 251))


@pytest.mark.parametrize("taxonomy", ["ekman", "goemotions", "sentiment"])
def test_a_label_filter_finds_exactly_the_rows_with_that_label(installation, job_id, taxonomy):
    results = opened(installation, job_id, taxonomy=taxonomy)
    wanted = installation.model.taxonomies[taxonomy]
    index, _ = wanted.top(wanted.scores(null_logits(TEXTS)))
    for at, label in enumerate(wanted.labels):
        found, cursor = [], ""
        while cursor is not None:
            page = results.page(RowQuery(label=label), cursor=cursor, limit=7)
            found += [row["row"] for row in page.rows]
            cursor = page.next
        assert found == [row for row, top in enumerate(index, start=1) if top == at]


def test_summary_counts_what_the_file_says(installation, job_id):
    results = opened(installation, job_id)
    said: dict[str, int] = {}
    for line in b"".join(results.jsonl()).splitlines():
        emotion = json.loads(line)["emotion"]
        said[emotion] = said.get(emotion, 0) + 1
    summary = results.summary()
    assert summary["taxonomies"]["ekman"] == said
    counted = Counter(
        flag for block in results.jsonl() for line in block.splitlines() for flag in json.loads(line)["flags"]
    )
    assert summary["flags"] == counted
    assert counted["close"]
    assert summary["rows"] == {"total": 250, "ok": 250, "skipped": 0, "failed": 0, "identical": 0, "blank_lines": 0}


def test_a_line_of_json_keeps_every_cell(installation, job_id):
    first = json.loads(next(opened(installation, job_id, scores="all").jsonl()).splitlines()[0])
    assert first["cells"] == {"id": "0", "text": TEXTS[0], "id_2": "0b", "column_4": ""}
    assert (first["row"], first["line"], first["text"]) == (1, 2, TEXTS[0])
    assert len(first["scores"]) == 28


def test_status_filter(installation: Installation):
    def on_text(text: str) -> None:
        if text == "bad":
            raise RuntimeError("no")

    job_id = installation.accept(b"id,text\n1,good\n2,\n3,bad\n4,fine\n")
    installation.run(NullScorer(on_text))
    results = opened(installation, job_id)
    assert {
        status: [row["row"] for row in results.page(RowQuery(status=status)).rows]
        for status in ("ok", "empty", "failed")
    } == {
        "ok": [1, 4],
        "empty": [2],
        "failed": [3],
    }


@pytest.mark.parametrize(
    "options",
    [{"taxonomy": "nope"}, {"threshold": "2"}, {"threshold": "high"}, {"threshold": "nan"}, {"scores": "few"}],
)
def test_unknown_options_are_refused(installation, job_id, options):
    with pytest.raises(BadOption):
        opened(installation, job_id, **options)


def test_another_accounts_job_looks_like_an_unknown_one(installation, job_id):
    results = Results(installation.web_db, installation.storage)
    answers = []
    for account, job in ((uuid.uuid4(), job_id), (installation.account_id, uuid.uuid4())):
        with pytest.raises(NotFound) as caught:
            results.open(account, job, ResultOptions())
        answers.append(caught.value.to_dict())
    assert answers[0] == answers[1]


def test_a_job_without_a_row_has_nothing_to_read(installation: Installation):
    job_id = installation.accept(FILE)
    with installation.web_db.transaction(installation.account_id) as session:
        jobs.cancel(session, installation.account_id, job_id)
    with pytest.raises(NotReady):
        opened(installation, job_id)


@pytest.mark.parametrize(
    ("filename", "stem"),
    [("reviews.csv", "reviews"), ("a.b.csv.gz", "a.b"), ("../x.CSV", "x"), ("", "upload"), ("table.tsv", "table")],
)
def test_the_download_is_named_after_the_upload(installation: Installation, filename, stem):
    job_id = installation.accept(b"text\nfine day\n", filename=filename)
    installation.run()
    assert opened(installation, job_id).stem == f"{stem}.labelled"


@pytest.mark.parametrize("row", [1, 256, 257, 300, 520])
def test_a_character_that_the_output_lacks_is_laid_to_its_row(installation: Installation, row: int):
    texts = ["plain"] * 520
    texts[row - 1] = "snow \u2603 man"
    made = installation.accept(b"text\n" + "".join(f"{text}\n" for text in texts).encode())
    installation.run(chunk_records=400)
    reading = opened(installation, made)
    # No file of that encoding holds it; but some characters of old encodings cannot be written back as they were read.
    reading._source = replace(reading._source, format=replace(reading._source.format, encoding="ascii"))
    with pytest.raises(EncodingFailed) as raised:
        b"".join(reading.csv("same"))
    assert raised.value.row == row
