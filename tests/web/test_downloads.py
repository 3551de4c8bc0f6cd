"""A part of a file of results is exactly that part of the whole, however it is cut; and a changed file is sent anew."""

from __future__ import annotations

import random
import uuid
from itertools import pairwise

import pytest
from sqlalchemy import text

from web import downloads

FORMS = ["csv", "csv?spreadsheet=yes", "csv?output_encoding=same", "jsonl", "parquet", "xlsx"]


@pytest.fixture
def job_id(ask, installation, monkeypatch):
    """A finished job of many chunks, in an encoding with a byte order mark."""
    monkeypatch.setattr(downloads, "MARK_EVERY", 1_000)
    monkeypatch.setattr(downloads, "_memory", downloads.Memory())
    rows = "".join(f"{n},nummer {n} ist schön,{'x' * (n % 50)}\n" for n in range(1, 1_501))
    made = ask.upload(f"id,text,note\n{rows}".encode("utf-16"), filename="many.csv")
    installation.run(chunk_records=50)
    return made


def get(ask, job_id, form, **headers):
    return ask("GET", f"/jobs/{job_id}/results.{form}", headers=headers)


@pytest.mark.parametrize("form", FORMS)
def test_random_parts_put_together_are_the_whole(ask, job_id, form):
    whole = get(ask, job_id, form)
    assert whole.headers["Accept-Ranges"] == "bytes"
    total = len(whole.data)
    seed = random.Random(form)
    cuts = sorted({0, total, *(seed.randrange(total) for _ in range(6))})
    parts = []
    for start, stop in pairwise(cuts):
        part = get(ask, job_id, form, Range=f"bytes={start}-{stop - 1}", **{"If-Range": whole.headers["ETag"]})
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{total}"
        assert int(part.headers["Content-Length"]) == len(part.data) == stop - start
        assert part.headers["ETag"] == whole.headers["ETag"]
        parts.append(part.data)
    assert b"".join(parts) == whole.data
    assert get(ask, job_id, form, Range=f"bytes={total // 2}-").data == whole.data[total // 2 :]
    assert get(ask, job_id, form, Range="bytes=-100").data == whole.data[-100:]
    assert get(ask, job_id, form, Range=f"bytes=10-{10 * total}").data == whole.data[10:]


def test_a_part_of_a_file_that_was_never_sent_is_made_all_the_same(ask, job_id):
    part = get(ask, job_id, "csv", Range="bytes=5000-5999")
    whole = get(ask, job_id, "csv")
    assert part.data == whole.data[5000:6000]
    assert int(whole.headers["Content-Length"]) == len(whole.data)


def test_a_late_part_is_written_from_a_late_chunk_on(ask, job_id, monkeypatch):
    whole = get(ask, job_id, "csv").data
    asked = []
    walk = downloads.ResultFile.blocks

    def watched(self, *, from_row=1, on_chunk=lambda row: None):
        asked.append(from_row)
        return walk(self, from_row=from_row, on_chunk=on_chunk)

    monkeypatch.setattr(downloads.ResultFile, "blocks", watched)
    assert get(ask, job_id, "csv", Range="bytes=-500").data == whole[-500:]
    assert len(asked) == 1
    assert asked[0] > 1_400


@pytest.mark.parametrize("asked", ["bytes=0-10,20-30", "rows=1-2", "bytes=9-2", "nonsense"])
def test_what_is_not_one_range_of_bytes_gets_the_whole(ask, job_id, asked):
    answer = get(ask, job_id, "csv", Range=asked)
    assert answer.status_code == 200


def test_a_range_behind_the_end_is_told_where_that_is(ask, job_id):
    total = len(get(ask, job_id, "csv").data)
    answer = get(ask, job_id, "csv", Range=f"bytes={total}-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{total}")


def test_a_file_that_is_known_is_not_sent_again_and_a_changed_one_as_a_whole(ask, job_id, db):
    first = get(ask, job_id, "csv")
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    assert get(ask, job_id, "csv", **{"If-None-Match": etag}).status_code == 304
    others = {
        get(ask, job_id, form).headers["ETag"]
        for form in (*FORMS, "csv?taxonomy=goemotions", "csv?threshold=0.4", "csv?scores=all")
    }
    assert len(others) == len(FORMS) + 3
    with db.transaction() as session:
        session.execute(text("UPDATE job SET revision = revision + 1 WHERE id = :id"), {"id": job_id})
    again = get(ask, job_id, "csv", Range="bytes=100-", **{"If-Range": etag})
    assert again.status_code == 200
    assert again.headers["ETag"] != etag


def test_a_file_of_a_job_that_goes_on_cannot_be_resumed(ask, installation):
    job_id = ask.upload(b"text\n" + b"a fine day\n" * 100)
    installation.shift(chunk_records=10)._ingest_once()
    answer = get(ask, job_id, "csv?partial=yes", Range="bytes=1-2")
    assert answer.status_code == 200
    assert "ETag" not in answer.headers
    assert "Accept-Ranges" not in answer.headers


def test_results_that_change_while_they_are_sent_are_no_whole_file(installation, db):
    from core.errors import NotReady
    from core.results import ResultOptions, Results

    made = installation.accept(b"text\n" + b"a fine day\n" * 1_000)
    installation.run(chunk_records=100)
    opened = Results(installation.web_db, installation.storage).open(installation.account_id, made, ResultOptions())
    blocks = opened.csv()
    next(blocks)
    with db.transaction() as session:
        session.execute(text("UPDATE job SET revision = revision + 1 WHERE id = :id"), {"id": made})
    with pytest.raises(NotReady, match="changed"):
        list(blocks)


def test_another_accounts_file_has_no_parts(other, job_id):
    assert get(other, job_id, "csv", Range="bytes=0-10").status_code == 404
    assert get(other, str(uuid.uuid4()), "csv", Range="bytes=0-10").status_code == 404
