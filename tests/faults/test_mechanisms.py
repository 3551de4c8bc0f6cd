"""Three mechanisms taken away, one after another: each time the oracle finds what they keep from happening."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core import ledger
from core.db import Database
from core.ledger import ChunkLease, StaleLease, commits
from core.storage import open_storage
from emobatch.stack.postgres import Postgres
from migrations.run import upgrade
from tests.factories import result_of
from tests.faults.corpus import corpus
from tests.faults.oracle import Verdict, judge
from tests.faults.test_oracle import admin
from tests.fixtures import Installation
from worker.sweeper import sweep

MADE = corpus(60)


@pytest.fixture
def scratch(installation: Installation, empty_database_url: str, make_settings) -> Iterator[Installation]:
    """An installation on a database of its own, whose schema a test may harm."""
    upgrade(empty_database_url)
    settings = make_settings(database_url=empty_database_url)
    db, web_db = (Database(empty_database_url, role, pool_size=2) for role in ("emobatch_worker", "emobatch_web"))
    yield Installation(settings, db, web_db, open_storage(settings.storage_url), installation.model)
    db.close()
    web_db.close()


def half_done(installation: Installation) -> tuple[uuid.UUID, ChunkLease]:
    """A job of six chunks, the first of them leased by somebody who froze; the lease is over."""
    job_id = installation.accept(MADE.data, text_column="text")
    installation.shift(chunk_records=10)._ingest_once()
    with installation.db.transaction() as session:
        (lease,) = ledger.claim_chunks(
            session, worker_id="frozen:1:a/1", models=[installation.model.sha256], lease_s=30, limit=1
        )
        session.execute(text("UPDATE chunk SET lease_until = now() - interval '1 s' WHERE state = 'leased'"))
    return job_id, lease


def taken_over(installation: Installation) -> tuple[uuid.UUID, ChunkLease, ChunkLease]:
    """The same job when somebody else has the frozen worker's chunk: its id, the old lease and the new one."""
    job_id, frozen = half_done(installation)
    with installation.db.transaction() as session:
        ledger.return_expired(session)
        (lease,) = ledger.claim_chunks(
            session, worker_id="awake:1:b/1", models=[installation.model.sha256], lease_s=30, limit=1
        )
    assert (lease.chunk_no, lease.token) == (frozen.chunk_no, frozen.token + 1)
    return job_id, frozen, lease


def commit(installation: Installation, lease: ChunkLease) -> None:
    """Whoever has, or had, this lease commits what it found."""
    with installation.db.transaction() as session:
        ledger.commit_chunks(session, [(lease, result_of(lease))])


def end(installation: Installation, postgres: Postgres, job_id: uuid.UUID) -> Verdict:
    """The rest of the job is done; what the oracle says of its ledger. Its first chunk's labels are made up."""
    installation.run()
    output = installation.csv(job_id, partial=True)
    with admin(postgres, installation) as database:
        return judge(ids=MADE.ids, output=output, reference=output, database=database, job_id=str(job_id))


def without_token_check() -> object:
    """The statement that marks chunks as done, believing whoever says so."""
    statement = commits._MARK_DONE.text
    assert "AND lease.token = c.lease_token" in statement
    assert "AND c.state = 'leased'" in statement
    return text(statement.replace("AND lease.token = c.lease_token", "").replace("AND c.state = 'leased'", ""))


def test_with_the_token_check_a_zombie_is_refused(installation: Installation, postgres: Postgres):
    job_id, frozen, lease = taken_over(installation)
    with pytest.raises(StaleLease):
        commit(installation, frozen)
    commit(installation, lease)
    assert end(installation, postgres, job_id).problems == []


def test_without_the_token_check_a_zombie_is_believed(installation: Installation, postgres: Postgres, monkeypatch):
    job_id, frozen, _ = taken_over(installation)
    monkeypatch.setattr(commits, "_MARK_DONE", without_token_check())
    commit(installation, frozen)
    assert end(installation, postgres, job_id).orphan_results == 1


def test_with_the_primary_key_no_result_comes_twice(scratch: Installation, postgres: Postgres, monkeypatch):
    job_id, frozen, lease = taken_over(scratch)
    commit(scratch, lease)
    monkeypatch.setattr(commits, "_MARK_DONE", without_token_check())
    with pytest.raises(IntegrityError):
        commit(scratch, frozen)
    assert end(scratch, postgres, job_id).problems == []


def test_without_the_primary_key_a_result_comes_twice(scratch: Installation, postgres: Postgres, monkeypatch):
    with admin(postgres, scratch) as database:
        database.execute("ALTER TABLE result_chunk DROP CONSTRAINT pk__result_chunk")
    job_id, frozen, lease = taken_over(scratch)
    commit(scratch, lease)
    monkeypatch.setattr(commits, "_MARK_DONE", without_token_check())
    commit(scratch, frozen)
    verdict = end(scratch, postgres, job_id)
    assert verdict.duplicated
    assert verdict.counters_off


def test_with_the_sweeper_a_job_goes_on(installation: Installation, postgres: Postgres):
    job_id, _ = half_done(installation)
    sweep(installation.db, installation.storage, installation.settings)
    verdict = end(installation, postgres, job_id)
    assert verdict.problems == []
    assert verdict.reclaimed == 1


def test_without_the_sweeper_a_job_stands_still(installation: Installation, postgres: Postgres):
    job_id, _ = half_done(installation)
    verdict = end(installation, postgres, job_id)
    assert (verdict.lost, verdict.leases_left, verdict.state) == (10, 1, "running")
