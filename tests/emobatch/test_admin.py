"""`emobatch admin` on a real ledger: what it lists, what it changes, and that it finds what is broken."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from core.jobs import cancel
from core.storage import open_storage
from emobatch.cli import main
from tests.factories import claim, make_cut_job

ROOT = Path(__file__).parents[2]
FILE = b"text\n" + b"".join(b"a fine day %d\n" % n for n in range(12))


@pytest.fixture
def admin(settings, monkeypatch, capsys):
    """Runs a command; its exit code, and what it printed."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("STORAGE_URL", settings.storage_url)

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["admin", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture
def finished(installation) -> uuid.UUID:
    job_id = installation.accept(FILE)
    installation.run(chunk_records=3)
    return job_id


def spoil(db, statement: str) -> None:
    with db.transaction() as session:
        session.execute(text(statement))


def test_help_lists_the_commands_and_the_client_needs_none_of_it(admin):
    code, said = admin("--help")
    assert code == 0
    assert {"jobs", "requeue", "workers", "drain", "retention", "check"} <= set(said.split())
    block = "import sys; sys.modules['sqlalchemy'] = None; from emobatch.cli import main; "
    for words, wanted in ((["admin", "jobs"], 2), (["--help"], 0)):
        code = f"{block}sys.exit(main({words}))"
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
        )
        assert ran.returncode == wanted, ran.stderr
    assert "pip install" not in ran.stderr


def test_jobs_are_listed_without_what_is_in_them(admin, finished, db):
    with db.transaction() as session:
        other = make_cut_job(session, 2)
    code, said = admin("jobs", "--json")
    listed = {job["id"]: job for job in json.loads(said)}
    assert code == 0
    assert listed.keys() == {str(finished), str(other.job_id)}
    assert listed[str(finished)]["rows_done"] == 12
    assert "reviews" not in said
    assert str(other.job_id) not in admin("jobs", "--state", "completed")[1]
    assert str(finished) not in admin("jobs", "--account", str(other.account_id))[1]


def test_requeue_gives_leased_work_back(admin, db):
    with db.transaction() as session:
        made = make_cut_job(session, 3)
        (lease,) = claim(session)
        session.execute(text("UPDATE chunk SET not_before = now() + interval '1 h' WHERE chunk_no = 2"))
    assert admin("requeue", str(made.job_id)) == (0, "3 chunks and files can be claimed.\n")
    with db.transaction() as session:
        again = claim(session, limit=9)
    assert [one.chunk_no for one in again] == [0, 1, 2]
    assert again[0].token > lease.token


def test_requeue_opens_a_cancelled_job_which_then_ends_whole(admin, installation):
    job_id = installation.accept(FILE)
    shift = installation.shift(chunk_records=3)
    shift._ingest_once()
    with installation.db.transaction() as session:
        cancel(session, installation.account_id, job_id)
    assert installation.status(job_id).rows_failed == 12
    assert admin("requeue", str(job_id))[0] == 0
    installation.run()
    status = installation.status(job_id)
    assert (status.state, status.rows_ok, status.rows_failed) == ("completed", 12, 0)
    assert installation.csv(job_id).count(b"\n") == 13


@pytest.mark.parametrize("job", ["finished", "unknown", "expired"])
def test_requeue_says_why_not(admin, finished, db, job):
    if job == "expired":
        spoil(db, "UPDATE job SET state = 'expired'")
    code, said = admin("requeue", str(uuid.uuid4() if job == "unknown" else finished))
    assert code == 2
    assert ("no such job" if job == "unknown" else "nothing of it is left") in said.lower()


def test_workers_are_listed_and_drained(admin, db):
    with db.transaction() as session:
        make_cut_job(session, 2)
        session.execute(
            text(
                "INSERT INTO worker (id, models, slots) VALUES ('host:1:a', ARRAY[:m], 2), ('other:1:b', ARRAY[:m], 1)"
            ),
            {"m": "m" * 64},
        )
        claim(session, "host:1:a/11")
    listed = {worker["id"]: worker for worker in json.loads(admin("workers", "--json")[1])}
    assert (listed["host:1:a"]["leases"], listed["other:1:b"]["leases"]) == (1, 0)
    assert listed["host:1:a"]["models"] == "test"
    assert admin("drain", "host")[1] == "host:1:a\n"
    listed = {worker["id"]: worker["draining"] for worker in json.loads(admin("workers", "--json")[1])}
    assert listed == {"host:1:a": True, "other:1:b": False}
    code, said = admin("drain", "host", "--wait", "0.1")
    assert (code, "1 of them still hold work" in said) == (1, True)
    assert admin("drain", "host", "--undo")[0] == 0
    assert admin("drain", "nobody")[0] == 2


def test_retention_lists_and_then_expires(admin, finished, installation, db):
    assert admin("retention", "--older-than", "1")[1] == "0 jobs, 0 bytes. With --yes they expire.\n"
    spoil(db, "UPDATE job SET finished_at = now() - interval '40 days'")
    assert str(finished) in admin("retention", "--older-than", "30")[1]
    assert installation.status(finished).state == "completed"
    assert "1 jobs have expired" in admin("retention", "--older-than", "30", "--yes")[1]
    assert installation.status(finished).state == "expired"


def test_a_whole_installation_has_no_findings(admin, finished, installation):
    cancelled = installation.accept(FILE)
    installation.shift(chunk_records=3)._ingest_once()
    with installation.db.transaction() as session:
        cancel(session, installation.account_id, cancelled)
    installation.accept(FILE)
    assert admin("check", "--contents") == (0, "Everything agrees.\n")


BROKEN = {
    "tiling": "DELETE FROM chunk WHERE chunk_no = 1",
    "counters": "UPDATE job SET rows_ok = rows_ok - 1, rows_failed = rows_failed + 1",
    "results": "DELETE FROM result_chunk WHERE chunk_no = 3",
    "missing file": None,
    "orphan file": None,
    "hash mismatch": None,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_found(admin, finished, db, settings, kind):
    storage = open_storage(settings.storage_url)
    (entry,) = storage.list("uploads/")
    if statement := BROKEN[kind]:
        spoil(db, statement)
    elif kind == "missing file":
        storage.delete(entry.key)
    else:
        key = f"uploads/{uuid.uuid4()}" if kind == "orphan file" else entry.key
        with storage.stage(key) as staged:
            staged.write(FILE.replace(b"fine", b"fire"))
            storage.commit(staged)
    code, said = admin("check", "--contents", "--json")
    findings = json.loads(said[: said.rindex("]") + 1])
    assert code == 1
    assert kind in {finding["kind"] for finding in findings}
    about = {finding["job_id"] for finding in findings}
    assert about == ({None} if kind == "orphan file" else {str(finished)})


def test_without_servers_it_says_what_to_set(admin, monkeypatch, tmp_path):
    monkeypatch.setenv("STORAGE_URL", "")
    monkeypatch.delenv("REDIS_URL")
    code, said = admin("workers")
    assert (code, "REDIS_URL" in said) == (2, True)
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("EMOBATCH_HOME", str(tmp_path / "none"))
    assert "No local stack is running" in admin("jobs")[1]
