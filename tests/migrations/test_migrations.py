"""Migrations and models agree; roles see what they may and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import ProgrammingError

import migrations.run
from core.accounts import issue_key
from core.db import Database
from core.models import Base
from migrations.run import config, downgrade, is_current, newest, upgrade
from tests.factories import claim, commit, make_cut_job


def test_models_and_migrations_agree(database_url):
    owner = Database(database_url, None)
    with owner.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    owner.close()
    assert differences == []


def test_every_migration_goes_down_and_up_again(empty_database_url):
    owner = Database(empty_database_url, None)
    for _ in range(2):
        upgrade(empty_database_url)
        assert inspect(owner.engine).has_table("job")
        downgrade(empty_database_url)
        assert inspect(owner.engine).get_table_names() == ["alembic_version"]
    owner.close()


def test_a_database_at_the_newest_revision_is_left_alone(empty_database_url, monkeypatch):
    assert newest() == ScriptDirectory.from_config(config()).get_current_head()
    assert not is_current(empty_database_url)
    upgrade(empty_database_url)
    assert is_current(empty_database_url.replace("postgresql:", "postgresql+psycopg:"))
    monkeypatch.setattr(migrations.run, "_run", lambda *_: pytest.fail("Alembic was asked"))
    upgrade(empty_database_url)


def test_two_releases_may_migrate_at_once(empty_database_url):
    environment = os.environ | {"DATABASE_URL": empty_database_url}
    command = [sys.executable, "-m", "migrations.run", "upgrade"]
    releases = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [release.wait(60) for release in releases] == [0, 0, 0]


def test_every_table_is_under_forced_row_level_security(database_url):
    owner = Database(database_url, None)
    with owner.transaction() as session:
        bare = session.scalars(
            text("""
            SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                AND relname <> 'alembic_version' AND NOT (relrowsecurity AND relforcerowsecurity)
            """)
        ).all()
        homeless = session.scalars(
            text("""
            SELECT relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                AND relname NOT IN ('alembic_version', 'account', 'model', 'worker')
                AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'account_id')
            """)
        ).all()
    owner.close()
    assert bare == homeless == []


@pytest.fixture
def two_accounts(db):
    """Two accounts with a finished chunk each."""
    with db.transaction() as session:
        mine, theirs = make_cut_job(session, 1), make_cut_job(session, 1)
        for _ in range(2):
            (lease,) = claim(session)
            commit(session, lease)
        for made in (mine, theirs):
            values = {"id": made.account_id, "job": made.job_id}
            session.execute(
                text("INSERT INTO idempotency (account_id, key, state, lease_until) VALUES (:id, 'k', 'done', now())"),
                values,
            )
            session.execute(
                text("INSERT INTO taxonomy (account_id, name, version, groups) VALUES (:id, 'moods', 1, '[]')"), values
            )
            session.execute(
                text(
                    "INSERT INTO figure (job_id, key, account_id, next_chunk, rows_done, complete, state)"
                    " VALUES (:job, 'k', :id, 1, 1, true, '')"
                ),
                values,
            )
            session.execute(
                text(
                    "INSERT INTO row_poison (job_id, row_no, account_id, code, crashes) VALUES (:job, 1, :id, 'x', 1)"
                ),
                values,
            )
    return mine, theirs


TABLES = ["upload", "job", "chunk", "result_chunk", "row_poison", "idempotency", "taxonomy", "figure", "result_row"]


@pytest.mark.parametrize("table", TABLES)
def test_web_sees_the_rows_of_the_account_it_speaks_for(web_db, two_accounts, table):
    mine, theirs = two_accounts
    for made in (mine, theirs):
        with web_db.transaction(made.account_id) as session:
            seen = session.scalars(text(f"SELECT DISTINCT account_id FROM {table}")).all()
        assert seen == [made.account_id]
    for stranger in (None, uuid.uuid4()):
        with web_db.transaction(stranger) as session:
            assert session.scalars(text(f"SELECT count(*) FROM {table}")).one() == 0


def test_the_account_does_not_outlive_its_transaction(web_db, two_accounts):
    with web_db.transaction(two_accounts[0].account_id) as session:
        assert session.scalars(text("SELECT count(*) FROM job")).one() == 1
    with web_db.transaction() as session:  # the same pooled connection
        assert session.scalars(text("SELECT count(*) FROM job")).one() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO upload (account_id, key, filename) VALUES (:theirs, 'k', 'f')",
        "UPDATE upload SET account_id = :theirs",
        "DELETE FROM job",
        "INSERT INTO chunk SELECT * FROM chunk",
        "UPDATE result_chunk SET n_rows = 0",
        "SELECT secret_hmac FROM api_key",
        "CREATE TABLE mine (id int)",
    ],
)
def test_web_cannot_write_elsewhere(web_db, two_accounts, statement):
    mine, theirs = two_accounts
    with pytest.raises(ProgrammingError), web_db.transaction(mine.account_id) as session:
        session.execute(text(statement), {"theirs": theirs.account_id} if ":theirs" in statement else {})


def test_web_resets_to_its_own_role(web_db):
    with web_db.transaction() as session:
        session.execute(text("RESET ROLE"))
        assert session.scalars(text("SELECT current_user")).one() == "emobatch_web"


def test_web_changes_only_its_own_jobs(web_db, db, two_accounts):
    mine, theirs = two_accounts
    with web_db.transaction(mine.account_id) as session:
        session.execute(text("UPDATE job SET filename = 'x'"))
    with db.transaction() as session:
        names = dict(session.execute(text("SELECT account_id, filename FROM job")).all())
    assert names == {mine.account_id: "x", theirs.account_id: "reviews.csv"}


def test_a_key_is_found_by_its_id_alone(web_db, db, settings, two_accounts):
    with db.transaction() as session:
        key = issue_key(session, settings, two_accounts[0].account_id, "ci")
    with web_db.transaction() as session:
        found = session.execute(text("SELECT * FROM find_api_key(:id)"), {"id": uuid.UUID(hex=key.split("_")[1])}).one()
    assert found.account_id == two_accounts[0].account_id


def test_the_view_has_a_row_for_every_input_row(db, two_accounts):
    mine, _ = two_accounts
    with db.transaction() as session:
        rows = session.execute(
            text("SELECT row_no, row_status, emotion FROM result_row WHERE job_id = :id ORDER BY row_no"),
            {"id": mine.job_id},
        ).all()
    assert rows == [(1, "ok", "joy"), (2, "ok", "joy"), (3, "ok", "joy")]
