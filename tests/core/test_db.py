"""Connections of the pool: used again at once without asking, tested after a rest, replaced when the server let go."""

from __future__ import annotations

import math
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError, ProgrammingError

import core.db
from core.db import Database
from core.errors import Unavailable


@pytest.fixture
def one(database_url: str) -> Iterator[Database]:
    opened = Database(database_url, None, pool_size=1)
    yield opened
    opened.close()


def backend(db: Database) -> int:
    with db.transaction() as session:
        return session.execute(text("SELECT pg_backend_pid()")).scalar_one()


@pytest.fixture
def other(database_url: str) -> Iterator[Database]:
    opened = Database(database_url, None, pool_size=1)
    yield opened
    opened.close()


def end(other: Database, pid: int) -> None:
    with other.transaction() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


def test_a_connection_is_kept(one: Database):
    assert backend(one) == backend(one)


STATE = """
SELECT pg_backend_pid() AS pid,
    current_setting('emobatch.account_id', true) AS account, current_setting('transaction_read_only') = 'on' AS reads
FROM pg_stat_activity WHERE pid = pg_backend_pid()
"""


def test_each_way_to_ask_is_what_it_says_on_one_connection(one: Database):
    account_id = uuid.uuid4()
    for _ in range(7):  # psycopg prepares what it is asked again and again
        with one.transaction(account_id) as session:
            pid, *rest = session.execute(text(STATE)).one()
            assert rest == [str(account_id), False]
        assert one.glance(STATE) == (pid, "", False)
        with one.look(account_id) as session:
            assert session.execute(text(STATE)).one() == (pid, str(account_id), True)
        assert one.glance(STATE) == (pid, "", False)
        with one.transaction() as session:
            assert session.execute(text(STATE)).one() == (pid, "", False)
    assert one.glance("SELECT 1 WHERE %(yes)s", yes=False) is None


ALONE = "SELECT xact_start = query_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"


def test_a_glance_is_in_no_transaction(one: Database):
    assert one.glance("SELECT 1") == (1,)
    assert one.glance(ALONE) == (True,)
    with one.transaction() as session:
        session.execute(text("SELECT 1"))
        assert session.execute(text(ALONE)).scalar_one() is False


def test_a_look_that_fails_leaves_nothing_behind(one: Database):
    with pytest.raises(ProgrammingError), one.look(uuid.uuid4()) as session:
        session.execute(text("SELECT nothing_like_it"))
    with pytest.raises(KeyError), one.look(uuid.uuid4()):
        raise KeyError
    with pytest.raises(InternalError), one.look(uuid.uuid4()) as session:
        session.execute(text("CREATE TABLE written (n int)"))
    assert one.glance(STATE)[1:] == ("", False)
    with one.transaction() as session:
        session.execute(text("SELECT 1"))
        assert session.execute(text(ALONE)).scalar_one() is False


def look(one: Database) -> int:
    with one.look(uuid.uuid4()) as session:
        return session.execute(text("SELECT pg_backend_pid()")).scalar_one()


@pytest.mark.parametrize("ask", [look, lambda one: one.glance("SELECT 1")], ids=["look", "glance"])
def test_a_server_that_is_away_is_an_outage(ask, one: Database, other: Database, monkeypatch):
    monkeypatch.setattr(core.db, "RESTED_S", 60.0)
    end(other, backend(one))
    with pytest.raises(Unavailable):
        ask(one)
    assert backend(one)


def test_a_mistake_in_a_statement_is_no_outage(one: Database):
    with pytest.raises(psycopg.errors.UndefinedTable):
        one.glance("SELECT * FROM nothing_like_it")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), one.look(uuid.uuid4()) as session:
        core.db._send(session.connection(), "SELECT 'x'::int")
    assert one.glance(STATE)[1:] == ("", False)


def test_an_interrupted_glance_leaves_no_connection_in_autocommit(one: Database, monkeypatch):
    before = backend(one)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(core.db.ImpatientConnection, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            one.glance("SELECT 1")
    assert backend(one) != before


def test_a_connection_that_was_cut_while_it_rested_is_replaced(one: Database, other: Database, monkeypatch):
    before = backend(one)
    end(other, before)
    monkeypatch.setattr(core.db, "RESTED_S", 0.0)
    assert backend(one) != before


def test_one_that_was_cut_while_busy_is_an_outage_once(one: Database, other: Database, monkeypatch):
    monkeypatch.setattr(core.db, "RESTED_S", 60.0)
    end(other, backend(one))
    with pytest.raises(Unavailable):
        backend(one)
    assert backend(one)


def test_a_frozen_server_is_an_outage(one: Database, other: Database, monkeypatch):
    """Its kernel still acknowledges what is sent, so nothing but the missing answer tells."""
    monkeypatch.setattr(core.db, "RESTED_S", 60.0)
    pid = backend(one)
    with one.transaction() as session:
        session.connection().connection.driver_connection.patience_s = 0.3
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            backend(one)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert backend(one) != pid


def test_a_listener_may_wait_for_ever(one: Database):
    with closing(one.dedicated()) as connection:
        connection.execute("LISTEN nothing")
        assert list(connection.notifies(timeout=0.1)) == []
        assert connection.patience_s == math.inf
