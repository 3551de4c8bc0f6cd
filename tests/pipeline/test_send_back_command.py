"""Failed rows fetched, fixed and sent back by commands and by a program, on the real stack."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from core.errors import Conflict, NotAFailedRow
from emobatch.cli import main
from emobatch.client import Client
from emobatch.job import Job

FILE = b'id,text\n1,I love this so much\n2,broken\n3,I am so sad today\n4,"also broken, really"\n5,fine\n'


@pytest.fixture(scope="module")
def client(local_stack):
    with Client(local_stack.url, local_stack.token) as client:
        yield client


@pytest.fixture
def job(client, fail_rows) -> Job:
    """A job of which rows 2 and 4 failed."""
    job = client.wait(client.create_job(io.BytesIO(FILE), filename="mine.csv").id)
    fail_rows(job.id, 2, 4)
    return job


@pytest.fixture
def run(local_stack, tmp_path, monkeypatch, capfd):
    """Runs a command in a folder of its own; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--server", local_stack.url, "--token", local_stack.token])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_commands_fetch_fix_and_send_back(run, job, client, tmp_path):
    code, out, err = run("failed", job.id)
    path = tmp_path / "mine.failed.csv"
    assert (code, out) == (0, "")
    assert f"Wrote {path}" in err
    assert f"emobatch send-back {job.id} {path} --server " in err
    rows = read(path)
    assert [(row["row_number"], row["row_status"], row["text"]) for row in rows] == [
        ("2", "failed: crashed the model", "broken"),
        ("4", "failed: crashed the model", "also broken, really"),
    ]

    rows[0]["text"] = "what a wonderful surprise"
    write(path, rows[:1])
    code, out, err = run("send-back", job.id, path.name)
    assert code == 3, "one has still failed"
    assert "rows    5: 4 ok, 0 skipped (empty), 1 failed" in out
    assert f"emobatch download {job.id}" in err

    rows[1]["text"] = "I hate this"
    write(path, rows[1:])
    code, out, _ = run("send-back", job.id, path.name, "--json")
    assert (code, json.loads(out)["state"]) == (0, "completed")
    client.download_to(job.id, tmp_path / "out.csv")
    labelled = read(tmp_path / "out.csv")
    assert [row["text"] for row in labelled][1::2] == ["what a wonderful surprise", "I hate this"]
    assert [row["row_status"] for row in labelled] == ["ok"] * 5
    code, _, err = run("failed", job.id)
    assert (code, "No row of this job has failed" in err) == (2, True)


def test_a_wrong_file_says_where_it_is_wrong(run, job, tmp_path):
    run("failed", job.id, "-o", "bad.csv")
    rows = read(tmp_path / "bad.csv")
    write(tmp_path / "bad.csv", [rows[0], rows[1] | {"row_number": "3"}])
    code, out, err = run("send-back", job.id, "bad.csv")
    assert (code, out) == (2, "")
    assert "Row 3 of the job has not failed" in err
    assert "data row 2 (file line 3)" in err


def test_a_program_mends_too(client, job, tmp_path):
    client.failed_to(job.id, tmp_path / "failed.csv")
    rows = read(tmp_path / "failed.csv")
    write(tmp_path / "failed.csv", [row | {"text": "such a joy"} for row in rows])
    made = {client.send_back(job.id, tmp_path / "failed.csv", idempotency_key=f"of {job.id}").id for _ in range(2)}
    assert len(made) == 1, "asked twice, it is one job"
    assert client.wait(made.pop()).with_result().rows_ok == 2
    assert client.status(job.id).state == "completed"
    with pytest.raises(Conflict):
        client.send_back(job.id, tmp_path / "failed.csv")


def test_rows_that_have_not_failed_are_refused(client, job):
    with pytest.raises(NotAFailedRow) as caught:
        client.send_back(job.id, io.BytesIO(b"row_number,id,text\n5,5,fine\n"))
    assert caught.value.row == 1
