"""Files that nobody sends by accident: refused in plain words, or labelled like any other; nothing else happens."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.web.conftest import TOKEN, Asker
from worker.sweeper import sweep

ROWS = b"id,text\n1,a good day\n2,a bad day\n"
MIB = 1024 * 1024


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


class Evil:
    """What runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch /tmp/emobatch-was-here",)


REFUSED = {
    "nothing": b"",
    "a mark and nothing": b"\xef\xbb\xbf",
    "blank lines": b"\n\r\n\r\n\n" * 50,
    "a header alone": b"id,text\n",
    "numbers alone": b"1,2\n3,4\n",
    "NULs": bytes(4096),
    "a picture": b"\x89PNG\r\n\x1a\n" + os.urandom(4096),
    "a JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + os.urandom(4096),
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + os.urandom(4096),
    "a program": b"\x7fELF\x02\x01\x01" + bytes(9) + os.urandom(4096),
    "a Windows program": b"MZ\x90\x00\x03\x00\x00\x00" + os.urandom(4096),
    "a database": b"SQLite format 3\x00" + os.urandom(4096),
    "an old workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + os.urandom(4096),
    "a sound": b"RIFF\x24\x08\x00\x00WAVEfmt " + os.urandom(4096),
    "a pickle": pickle.dumps(Evil(), protocol=4) + bytes(2000),
    "an archive that climbs": zipped(**{"../../../../tmp/emobatch-was-here": b"x"}),
    "an archive with a CSV": zipped(**{"a.csv": ROWS}),
    "a tar that climbs": tarred("../../tmp/emobatch-was-here", ROWS),
    "a picture, gzipped": gzip.compress(b"\x89PNG\r\n\x1a\n" + os.urandom(4096)),
    "gzip in gzip": gzip.compress(gzip.compress(ROWS * 100)),
    "gzip cut off": gzip.compress(ROWS * 1000)[:-20],
    "gzip with another checksum": gzip.compress(ROWS)[:-8] + b"\0" * 8,
    "the head of gzip alone": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "a quote that is never closed": b'id,text\n1,"' + b"x" * (2 * MIB),
    "a line without an end": b"id,text\n1," + b"x" * (2 * MIB),
    "twenty thousand columns": b",".join(b"c%d" % n for n in range(20_000)) + b"\n" + b"hello world," * 20_000 + b"\n",
    "noise": os.urandom(64 * 1024),
}

LABELLED = {
    "markup": b'id,text\n1,"<script>alert(1)</script><img src=x onerror=alert(1)>"\n2,hello there\n',
    "a template": b"id,text\n1,{{ 7*7 }} ${7*7} {% raw %} %s %n\n2,hello there\n",
    "SQL": b'id,text\n1,"\'); DROP TABLE job; --"\n2,hello there\n',
    "formulas": b"id,text\n1,=cmd|' /C calc'!A0\n2,@SUM(1+1)*cmd|' /C calc'!A0\n",
    "a terminal's commands": b"id,text\n1,\x1b]0;owned\x07\x1b[2J hello\n2,hello there\n",
    "text that turns around": "id,text\n1,\u202egnp.exe hello\u202c\n2,hello there\n".encode(),
    "marks upon marks": ("id,text\n1,h" + "\u0301" * 5000 + "ello\n2,hello there\n").encode(),
    "NULs in cells": b"id,text\n1,he\x00llo\n2,hello there\n",
    "a header with markup": b'id,"text<script>alert(1)</script>"\n1,hello there\n2,hello again\n',
    "ragged to the extreme": b"id,text\n1,hello there" + b"," * 5000 + b"\n2,hello again\n",
    "UTF-7": b"id,text\n1,+ADw-script+AD4-alert(1)+ADw-/script+AD4-\n2,hello there\n",
}


def stored_in(installation) -> list[Path]:
    """Every file of the store."""
    root = Path(installation.settings.storage_url.removeprefix("file://"))
    return [path for path in root.rglob("*") if path.is_file()]


def refused(ask, installation, data: bytes) -> dict:
    answer = ask("POST", "/jobs", data=data, content_type="text/csv")
    assert answer.status_code in (413, 422), answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json["detail"]
    assert "Traceback" not in answer.text
    sweep(installation.db, installation.storage, installation.settings)
    assert stored_in(installation) == []
    assert ask("GET", "/jobs").json["jobs"] == []
    return answer.json


def test_there_are_thirty_of_them():
    assert len(REFUSED) + len(LABELLED) + len(WORKBOOKS) >= 30


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_a_hostile_file_is_refused_and_nothing_of_it_is_kept(ask, installation, data):
    refused(ask, installation, data)
    assert not Path("/tmp/emobatch-was-here").exists()


@pytest.mark.parametrize("data", LABELLED.values(), ids=LABELLED)
def test_hostile_text_is_text(ask, client, installation, data):
    """It is labelled, comes back as it was, and is markup nowhere."""
    job_id = ask.upload(data, text_column="2")
    installation.run()
    job = ask("GET", f"/jobs/{job_id}").json
    assert (job["state"], job["rows_done"]) == ("completed", 2), job
    client.get(f"/sign-in?token={TOKEN}")
    page = client.get(f"/jobs/{job_id}")
    assert page.status_code == 200
    for mark in ("<script>alert", "<img src=x", ">49<"):
        assert mark not in page.text
    for line in data.rstrip(b"\n").split(b"\n")[1:]:
        assert line.split(b",", 1)[0] in ask("GET", f"/jobs/{job_id}/results.csv").data


# --- bombs ------------------------------------------------------------------------------------------------------------


def packed(blocks: Iterator[bytes]) -> bytes:
    made = zlib.compressobj(9, wbits=31)
    return b"".join(map(made.compress, blocks)) + made.flush()


def repeated(block: bytes, mib: int) -> Iterator[bytes]:
    return (block * (MIB // len(block)) for _ in range(mib))


def workbook_bomb(mib: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for block in repeated(b"<row><c><v>1</v></c></row>", mib):
                sheet.write(block)
    return made.getvalue()


BOMBS = {
    "zeros": lambda: packed(repeated(b"\0", 64)),
    "one letter": lambda: b"" + packed(repeated(b"a", 64)),
    "rows": lambda: packed(repeated(b"a,hello there\n", 64)),
    "a header, then one letter": lambda: packed(iter([b"id,text\n1,", *repeated(b"x", 64)])),
    "rows, then zeros": lambda: packed(iter([ROWS * 1000, *repeated(b"\0", 64)])),
    "many small members": lambda: gzip.compress(b"a,hello there\n" * 70_000, 9) * 64,
    "a bomb in a bomb": lambda: gzip.compress(packed(repeated(b"\0", 64)), 9) * 8,
    "blank lines": lambda: packed(repeated(b"\n", 64)),
    "open quotes": lambda: packed(iter([b'id,text\n1,"', *repeated(b'""', 64)])),
}

# Looked at by a worker, and not while they come.
WORKBOOKS = {
    "cut off": lambda: zipped(**{"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"})[:-30],
    "a bomb": lambda: workbook_bomb(64),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_a_decompression_bomb_is_refused_before_it_unpacks(make_app, installation, make):
    """Of 64 MiB each; the caps are a fiftieth of that, as a real one is of theirs."""
    bomb = make()
    assert len(bomb) < MIB
    ask = Asker(make_app(max_unpacked_bytes=MIB, access_token=SecretStr(TOKEN)).test_client(), TOKEN)
    refused(ask, installation, bomb)


@pytest.mark.parametrize("make", WORKBOOKS.values(), ids=WORKBOOKS)
def test_a_hostile_workbook_fails_its_job_and_nothing_is_made_of_it(ask, client, installation, make):
    """More of them in tests/worker/test_inputs.py."""
    job_id = ask.upload(make())
    installation.run(max_unpacked_bytes=MIB)
    job = ask("GET", f"/jobs/{job_id}").json
    assert (job["state"], job["rows_done"]) == ("failed", 0)
    assert job["error"]["code"] in ("input_error", "limit_exceeded")
    assert job["error"]["next_step"]
    assert len(stored_in(installation)) == 1, "the upload itself, until its job is deleted"
