"""Results over the API: files, pages of rows, counts, in any taxonomy, also of a job that is not finished."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest

import core.results.walk
from web.downloads import attachment

ROWS = 5_000


def many(n: int = ROWS) -> bytes:
    return "".join(["id,text\n", *(f"{i},text number {i}\n" for i in range(1, n + 1))]).encode()


@pytest.fixture
def job_id(ask, installation):
    """A finished job of many chunks."""
    made = ask.upload(many(), filename="many.csv")
    installation.run(chunk_records=100)
    return made


def test_rows_are_paged_by_key_to_the_end(ask, job_id):
    seen, cursor = [], ""
    while cursor is not None:
        page = ask("GET", f"/jobs/{job_id}/rows?limit=500&cursor={cursor}").json
        seen += [row["row"] for row in page["rows"]]
        cursor = page["next"]
    assert seen == list(range(1, ROWS + 1))


def test_rows_files_and_counts_agree(ask, job_id):
    table = list(csv.DictReader(io.StringIO(ask("GET", f"/jobs/{job_id}/results.csv?taxonomy=goemotions").text)))
    lines = [json.loads(x) for x in ask("GET", f"/jobs/{job_id}/results.jsonl?taxonomy=goemotions").text.splitlines()]
    page = ask("GET", f"/jobs/{job_id}/rows?taxonomy=goemotions&limit=20").json["rows"]
    counts = ask("GET", f"/jobs/{job_id}/summary").json
    assert [row["emotion"] for row in table] == [line["emotion"] for line in lines]
    assert page == lines[:20]
    assert counts["rows"]["total"] == len(table) == len(lines) == ROWS
    assert counts["taxonomies"]["goemotions"]["joy"] == sum(row["emotion"] == "joy" for row in table)
    assert sum(counts["taxonomies"]["ekman"].values()) == ROWS


def test_a_label_filter_finds_every_row_with_it(ask, job_id):
    counts = ask("GET", f"/jobs/{job_id}/summary").json["taxonomies"]["ekman"]
    label = min(counts, key=counts.get)
    found, cursor = [], ""
    while cursor is not None:
        page = ask("GET", f"/jobs/{job_id}/rows?label={label}&cursor={cursor}&limit=100").json
        found += page["rows"]
        cursor = page["next"]
    assert len(found) == counts[label]
    assert {row["emotion"] for row in found} == {label}


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("", ["emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags"]),
        ("scores=none", ["emotion", "emotions", "sentiment", "row_status", "flags"]),
        ("taxonomy=sentiment", ["sentiment", "sentiment_score", "row_status", "flags"]),
        (
            "taxonomy=&threshold=&scores=",
            ["emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags"],
        ),
    ],
)
def test_options_choose_the_columns(ask, job_id, query, columns):
    header = ask("GET", f"/jobs/{job_id}/results.csv?{query}").text.splitlines()[0]
    assert header.split(",")[2:] == columns


def test_all_scores_are_28_more(ask, job_id):
    header = ask("GET", f"/jobs/{job_id}/results.csv?scores=all").text.splitlines()[0]
    assert len([name for name in header.split(",") if name.startswith("score_")]) == 28
    row = ask("GET", f"/jobs/{job_id}/rows?scores=all&limit=1").json["rows"][0]
    assert len(row["scores"]) == 28


def test_a_threshold_replaces_the_fitted_ones(ask, job_id):
    everything = ask("GET", f"/jobs/{job_id}/rows?threshold=0&limit=1").json["rows"][0]
    nothing = ask("GET", f"/jobs/{job_id}/rows?threshold=1&limit=50").json["rows"]
    fitted = ask("GET", f"/jobs/{job_id}/rows?threshold=auto&limit=1").json["rows"][0]
    assert len(everything["emotions"]) == 7
    assert sum(len(row["emotions"]) for row in nothing) < 50
    assert fitted == ask("GET", f"/jobs/{job_id}/rows?limit=1").json["rows"][0]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("results.csv?taxonomy=colours", "taxonomy"),
        ("results.csv?threshold=2", "threshold"),
        ("results.csv?threshold=nan", "threshold"),
        ("results.csv?threshold=high", "threshold"),
        ("results.csv?scores=some", "scores"),
        ("results.csv?output_encoding=klingon", "output_encoding"),
        ("results.csv?partial=perhaps", "partial"),
        ("results.jsonl?output_encoding=same", "output_encoding"),
        ("rows?label=hungry", "label"),
        ("rows?status=good", "status"),
        ("rows?limit=0", "limit"),
        ("rows?limit=501", "limit"),
        ("rows?after=-1", "after"),
        ("rows?after=99999999999", "after"),
        ("rows?tresh=1", "tresh"),
    ],
)
def test_a_bad_option_is_named(ask, job_id, path, word):
    refused = ask("GET", f"/jobs/{job_id}/{path}")
    assert (refused.status_code, refused.json["code"]) == (422, "bad_option"), refused.text
    assert refused.json["detail"].startswith(word)


def test_an_unfinished_job_gives_what_is_done_if_asked(ask, installation):
    job_id = ask.upload(many())
    nothing = ask("GET", f"/jobs/{job_id}/rows").json
    assert (nothing["rows"], nothing["total"], nothing["next"]) == ([], 0, None)
    shift = installation.shift(chunk_records=100, claim_chunks=1, tick_s=0.001)
    for _ in range(4):  # one turn each: the file is cut, then a chunk at a time is labelled
        shift.tick()
    refused = ask("GET", f"/jobs/{job_id}/results.csv")
    assert (refused.status_code, refused.json["code"]) == (409, "not_ready")
    assert "partial=yes" in refused.json["next_step"]
    part = ask("GET", f"/jobs/{job_id}/results.csv?partial=yes").text.splitlines()
    done = ask("GET", f"/jobs/{job_id}").json["rows_done"]
    assert 0 < done < ROWS
    assert len(part) == done + 1


def test_the_same_encoding_comes_back_if_asked(ask, installation):
    job_id = ask.upload("text;ort\r\nschön;Köln\r\n".encode("cp1252"))
    installation.run()
    assert "schön;Köln".encode("cp1252") in ask("GET", f"/jobs/{job_id}/results.csv?output_encoding=same").data
    assert "schön;Köln".encode() in ask("GET", f"/jobs/{job_id}/results.csv").data


def test_a_download_that_breaks_off_is_not_a_whole_one(ask, job_id, monkeypatch):
    """The connection is cut: nothing after the break, above all no error message within the CSV."""
    read, calls = core.results.walk.RecordReader, []

    def fail_later(*given, **named):
        calls.append(given)
        if len(calls) > 20:  # in the second block
            raise RuntimeError("storage went away")
        return read(*given, **named)

    monkeypatch.setattr(core.results.walk, "RecordReader", fail_later)
    answer = ask("GET", f"/jobs/{job_id}/results.csv", buffered=False)
    assert answer.status_code == 200
    with pytest.raises(RuntimeError):
        answer.get_data()


def test_a_download_that_cannot_begin_is_an_error_of_its_own(ask, job_id, installation):
    for entry in list(installation.storage.list()):
        installation.storage.delete(entry.key)
    refused = ask("GET", f"/jobs/{job_id}/results.csv")
    assert (refused.status_code, refused.json["code"]) == (500, "storage_missing")
    assert "Content-Disposition" not in refused.headers


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("a.csv", "attachment; filename=a.csv"),
        ('a "b".csv', 'attachment; filename="a \\"b\\".csv"'),
        ("größe.csv", "attachment; filename=groe.csv; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv"),
        ("評価.csv", "attachment; filename=.csv; filename*=UTF-8''%E8%A9%95%E4%BE%A1.csv"),
    ],
)
def test_file_names_of_all_languages_survive(filename, header):
    assert attachment(filename) == header


def test_rows_are_filtered_by_status(ask, installation):
    job_id = ask.upload(b"id,text\n1,fine\n2,\n3,good\n")
    installation.run()
    assert [row["row"] for row in ask("GET", f"/jobs/{job_id}/rows?status=empty").json["rows"]] == [2]
    assert [row["row"] for row in ask("GET", f"/jobs/{job_id}/rows?status=ok").json["rows"]] == [1, 3]
    assert ask("GET", f"/jobs/{job_id}/rows?status=failed").json["rows"] == []


@pytest.mark.parametrize(
    ("ending", "kind", "begins"),
    [
        ("csv", "text/csv", b"id,text,emotion"),
        ("csv?spreadsheet=yes", "text/csv", b'\xef\xbb\xbf"id","text","emotion"'),
        ("jsonl", "application/jsonl", b'{"row":1,"line":2,'),
        ("parquet", "application/vnd.apache.parquet", b"PAR1"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x03\x04"),
    ],
)
def test_every_format_is_a_file_named_after_the_upload(ask, job_id, ending, kind, begins):
    answer = ask("GET", f"/jobs/{job_id}/results.{ending}")
    assert answer.status_code == 200
    assert answer.mimetype == kind
    assert answer.data.startswith(begins)
    name = "many.labelled.spreadsheet.csv" if "yes" in ending else f"many.labelled.{ending}"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"


def test_a_csv_for_spreadsheets_has_one_encoding(ask, job_id):
    answer = ask("GET", f"/jobs/{job_id}/results.csv?spreadsheet=yes&output_encoding=same")
    assert answer.status_code == 422


@pytest.mark.parametrize("module", ["pyarrow", "xlsxwriter"])
def test_a_format_whose_library_is_missing_says_so(ask, job_id, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    answer = ask("GET", f"/jobs/{job_id}/results.{'parquet' if module == 'pyarrow' else 'xlsx'}")
    assert answer.status_code == 422
    assert "not installed" in answer.json["detail"]
    assert ask("GET", f"/jobs/{job_id}/results.csv").status_code == 200
