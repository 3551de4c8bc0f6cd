"""An installation of the first release, upgraded with its data in it, and taken back.

`first_release.jsonl` holds rows as that release wrote them (revision 0003): a finished job, one in the middle of its
work, an API key, an answered request. `first_release.csv` is what that release gave for the finished one.
"""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from core import accounts
from core.db import Database
from core.integrity import check
from core.jobs import list_statuses
from core.model_directory import ModelDirectory, shipped_model_path
from core.models import DEFAULT_ACCOUNT_ID
from core.storage import open_storage
from migrations.run import downgrade, upgrade
from tests.fixtures import Installation

HERE = Path(__file__).parent
ROWS = [json.loads(line) for line in (HERE / "first_release.jsonl").read_text().splitlines()]
FIRST_RELEASE = "0003"
FILE = b'id,text\r\n1,I love this\r\n2,"so sad, really"\r\n3,\r\n4,what a surprise\r\n5,fine\r\n'
FINISHED, UNFINISHED = (uuid.UUID(f"20000000-0000-0000-0000-00000000000{last}") for last in "ab")
KEY = f"emo_{uuid.UUID('30000000-0000-0000-0000-00000000000a').hex}_a-secret-of-the-first-release"


def content(owner: Database) -> list[dict]:
    """The rows of the fixture as they are in the database now, with the columns that the first release had."""
    found = []
    with owner.transaction() as session:
        for one in ROWS:
            named = " AND ".join(f"{name} = :{name}" for name in one["row"] if name in KEYS[one["table"]])
            values = {name: value for name, value in one["row"].items() if name in KEYS[one["table"]]}
            row = session.execute(text(f"SELECT to_jsonb(x) FROM {one['table']} x WHERE {named}"), values).scalar_one()
            found.append({"table": one["table"], "row": {name: row[name] for name in one["row"]}})
    return found


def as_it_was(labelled: bytes) -> bytes:
    """A download with the columns alone that the first release gave; later ones may add others."""
    had = (HERE / "first_release.csv").read_text().splitlines()[0].split(",")
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, had, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(csv.DictReader(io.StringIO(labelled.decode(), newline="")))
    return written.getvalue().encode()


KEYS = {
    "model": {"sha256"},
    "api_key": {"id"},
    "upload": {"id"},
    "job": {"id"},
    "chunk": {"job_id", "chunk_no"},
    "result_chunk": {"job_id", "chunk_no"},
    "idempotency": {"account_id", "key"},
}


@pytest.fixture
def owner(empty_database_url) -> Iterator[Database]:
    """A database of the first release, with its data."""
    upgrade(empty_database_url, FIRST_RELEASE)
    opened = Database(empty_database_url, None, pool_size=1)
    with opened.transaction() as session:
        for one in ROWS:
            session.execute(
                text(f"INSERT INTO {one['table']} SELECT * FROM jsonb_populate_record(NULL::{one['table']}, :row)"),
                {"row": json.dumps(one["row"])},
            )
    yield opened
    opened.close()


@pytest.fixture
def upgraded(owner, empty_database_url, make_settings) -> Iterator[Installation]:
    upgrade(empty_database_url)
    settings = make_settings(database_url=empty_database_url)
    storage = open_storage(settings.storage_url)
    for one in ROWS:
        if one["table"] == "upload":
            with storage.stage(one["row"]["key"]) as staged:
                staged.write(FILE)
                storage.commit(staged)
    worker, web = (Database(empty_database_url, role) for role in ("emobatch_worker", "emobatch_web"))
    # A worker that has the first release's model still; the null engine stands for its weights.
    sha256 = next(one["row"]["sha256"] for one in ROWS if one["table"] == "model")
    model = replace(ModelDirectory.load(shipped_model_path()), sha256=sha256)
    yield Installation(settings, worker, web, storage, model)
    worker.close()
    web.close()


def test_nothing_of_the_first_release_is_changed_by_the_upgrade(owner, upgraded):
    before = [{"table": one["table"], "row": one["row"]} for one in ROWS]
    for was, now in zip(before, content(owner), strict=True):
        for name, value in was["row"].items():
            if not name.endswith(("_at", "_until", "not_before")):  # the same moments, written otherwise
                assert now["row"][name] == value, (was["table"], name)


def test_results_of_the_first_release_are_read_as_they_were(upgraded):
    assert as_it_was(upgraded.csv(FINISHED)) == (HERE / "first_release.csv").read_bytes()
    with upgraded.web_db.transaction(DEFAULT_ACCOUNT_ID) as session:
        listed = {status.id: status.state for status in list_statuses(session, DEFAULT_ACCOUNT_ID)}
    assert listed == {FINISHED: "completed", UNFINISHED: "running"}
    assert list(check(upgraded.db, upgraded.storage, contents=True)) == []


def test_a_job_that_the_first_release_had_begun_is_ended(upgraded):
    with upgraded.db.transaction() as session:
        session.execute(text("UPDATE chunk SET state = 'ready', lease_until = NULL WHERE state = 'leased'"))
    upgraded.run()
    status = upgraded.status(UNFINISHED)
    assert (status.state, status.rows_ok, status.rows_skipped) == ("completed", 4, 1)
    assert as_it_was(upgraded.csv(UNFINISHED)) == (HERE / "first_release.csv").read_bytes()


def test_a_key_of_the_first_release_still_signs_in(upgraded):
    assert accounts.authenticate(upgraded.web_db, upgraded.settings, KEY).account_id == DEFAULT_ACCOUNT_ID


def test_the_way_back_and_forth_again_loses_nothing(owner, empty_database_url):
    before = content(owner)
    upgrade(empty_database_url)
    downgrade(empty_database_url, FIRST_RELEASE)
    assert content(owner) == before
    upgrade(empty_database_url)
    assert content(owner) == before


TAKES_AWAY = re.compile(r"\b(DROP (TABLE|COLUMN)|RENAME|ALTER COLUMN \w+ (TYPE|SET NOT NULL))\b", re.IGNORECASE)


@pytest.mark.parametrize("path", sorted(HERE.parents[1].glob("migrations/versions/0*.py")), ids=lambda path: path.stem)
def test_a_migration_takes_nothing_from_the_release_before(path):
    up = path.read_text().split("def downgrade")[0]
    assert not TAKES_AWAY.search(up) or "contract:" in up, (
        "Old processes run beside new ones: add first, take away one release later (CONTRIBUTING.md, Migrations), and"
        " say in the migration's docstring what it takes away, after 'contract:'."
    )
