"""The second wall: what a query without its account finds, on every table there is."""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Column, insert, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from core import accounts, jobs, keys, quotas, sessions, users
from core.errors import NotFound
from core.models import Job
from core.states import Role, Scope
from core.tables import Base
from tests.factories import claim, commit, make_cut_job, make_job

NOBODYS = {"model", "worker"}
"""Tables whose rows belong to no account: which models there are, and which workers are alive."""


@pytest.fixture
def two_accounts(db, settings, password_hash):
    """Two accounts with at least one row in every table that has an owner."""
    made = []
    with db.transaction() as session:
        for name in ("ours", "theirs"):
            job = make_cut_job(session, 1)
            (lease,) = claim(session)
            commit(session, lease)
            account_id = job.account_id
            user_id = users.create(session, account_id, f"{name}@example.org", "", role=Role.ADMIN)
            accounts.issue_key(session, settings, account_id, name, scope=Scope.ADMIN, user_id=user_id)
            principal = accounts.Principal(account_id, Scope.ADMIN, user_id=user_id)
            sessions.begin(session, settings, principal, "A browser")
            quotas.set_quota(session, account_id, uploads=3)
            _fill(session, account_id)
            made.append(account_id)
    return made


@pytest.fixture
def password_hash(monkeypatch):
    """Passwords are not what this is about, and take their time."""
    monkeypatch.setattr("core.passwords.hash_password", lambda _: "$argon2id$none")


def _fill(session, account_id) -> None:
    """Puts a row into every table that nothing above has written to, whatever tables there are by now."""
    for table in Base.metadata.sorted_tables:  # what others refer to comes first
        owner = table.columns.get("account_id")
        if owner is None or session.execute(select(table).where(owner == account_id)).first():
            continue
        values = {column.name: _value(session, column, account_id) for column in table.columns if _is_needed(column)}
        session.execute(insert(table).values(values | {"account_id": account_id}))


def _is_needed(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and column.name != "account_id"


def _value(session, column: Column[Any], account_id) -> Any:
    """Something that may stand in a column: for a reference the account's own row, for a choice the first one."""
    for key in column.foreign_keys:
        mine = key.column.table.columns.get("account_id")
        return session.scalars(select(key.column).where(True if mine is None else mine == account_id)).first()
    for constraint in column.table.constraints:
        if isinstance(constraint, CheckConstraint) and (
            choice := re.match(rf"{column.name} IN \('([^']*)'", str(constraint.sqltext))
        ):
            return choice.group(1)
    samples = ("x", 1, 0.5, b"x", True, {}, [], uuid.uuid4(), datetime.now(UTC), datetime.now(UTC).date())
    kind = column.type.python_type
    return {} if kind is object else next(sample for sample in samples if type(sample) is kind)  # object: JSON


def owned_tables(db) -> dict[str, str]:
    """Every table and view with rows of somebody: its name, and the column that says whose."""
    with db.transaction() as session:
        rows = session.execute(
            text("""
            SELECT c.relname, bool_or(a.attname = 'account_id') AS owned FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
                AND c.relname <> 'alembic_version'
            GROUP BY c.relname
            """)
        ).all()
    found = {row.relname: "account_id" if row.owned else "" for row in rows if row.relname not in NOBODYS}
    return found | {"account": "id"}


def test_every_table_has_an_owner_and_rows_in_this_test(db, two_accounts):
    tables = owned_tables(db)
    assert [name for name, column in tables.items() if not column] == []
    with db.transaction() as session:
        for name, column in tables.items():
            owners = set(session.scalars(text(f"SELECT {column} FROM {name}")))
            assert set(two_accounts) <= owners, name


def test_without_a_where_clause_web_sees_its_own_account_alone(db, web_db, two_accounts):
    for name, column in owned_tables(db).items():
        for account_id in two_accounts:
            with web_db.transaction(account_id) as session:
                assert set(session.scalars(text(f"SELECT {column} FROM {name}"))) == {account_id}, name
        for stranger in (None, uuid.uuid4()):
            with web_db.transaction(stranger) as session:
                assert session.scalars(text(f"SELECT {column} FROM {name}")).all() == [], name


def test_without_a_where_clause_web_changes_its_own_account_alone(db, web_db, two_accounts):
    ours, theirs = two_accounts

    def rows_of(name: str, column: str) -> list[str]:
        with db.transaction() as session:
            return sorted(session.scalars(text(f"SELECT t::text FROM {name} t WHERE {column} = :id"), {"id": theirs}))

    for name, column in owned_tables(db).items():
        before = rows_of(name, column)
        for verb in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"):
            with suppress(DBAPIError), web_db.transaction(ours) as session:
                session.execute(text(verb))
        assert rows_of(name, column) == before != [], name


def test_our_own_queries_asked_for_another_account_find_nothing(web_db, two_accounts):
    """The functions that web calls: their WHERE clause lets another account through, the policies do not."""
    ours, theirs = two_accounts
    with web_db.transaction(theirs) as session:
        job_id = session.scalars(text("SELECT id FROM job")).one()
        key_id = session.scalars(text("SELECT id FROM api_key")).one()
        user_id = session.scalars(text("SELECT id FROM app_user")).one()
    with web_db.transaction(ours) as session:
        assert session.get(Job, job_id) is None
        assert jobs.list_statuses(session, theirs) == []
        assert keys.list_keys(session, theirs) == []
        assert users.list_users(session, theirs) == []
        assert quotas.use_of(session, theirs).active_jobs == 0
        for ask in (
            lambda: jobs.get_status(session, theirs, job_id),
            lambda: keys.revoke(session, theirs, key_id),
            lambda: users.get(session, theirs, user_id),
        ):
            with pytest.raises(NotFound):
                ask()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret_hmac FROM api_key",
        "SELECT password_hash FROM app_user",
        "UPDATE api_key SET scope = 'admin'",
        "UPDATE app_user SET account_id = account_id",
        "UPDATE session SET user_id = user_id",
        "UPDATE quota SET uploads = 99",
        "DELETE FROM usage",
        "DELETE FROM app_user",
    ],
)
def test_web_cannot_read_a_secret_or_give_itself_more(web_db, two_accounts, statement):
    with pytest.raises(ProgrammingError, match="permission denied"), web_db.transaction(two_accounts[0]) as session:
        session.execute(text(statement))


def test_a_new_row_cannot_be_anothers(web_db, two_accounts):
    ours, theirs = two_accounts
    with pytest.raises(ProgrammingError, match="row-level security"), web_db.transaction(ours) as session:
        make_job(session, theirs)
