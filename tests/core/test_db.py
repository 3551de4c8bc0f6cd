"""Connections of the pool: used again at once without asking, tested after a rest, replaced when the server let go."""

from __future__ import annotations

import math
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

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


def test_a_glance_is_in_no_transaction_and_the_next_one_on_its_connection_is(one: Database):
    account_id = uuid.uuid4()
    state = text(
        "SELECT pg_backend_pid(), xact_start = query_start, current_setting('emobatch.account_id', true) "
        "FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    )
    with one.transaction(account_id) as session:
        session.execute(text("SELECT pg_sleep(0.001)"))
        pid, began_with_it, account = session.execute(state).one()
        assert (began_with_it, account) == (False, str(account_id))
    with one.glance() as session:
        session.execute(text("SELECT 1"))
        assert session.execute(state).one() == (pid, True, "")
    with one.transaction() as session:
        session.execute(text("SELECT 1"))
        assert session.execute(state).one() == (pid, False, "")


def test_a_glance_at_a_server_that_is_away_is_an_outage(one: Database, other: Database, monkeypatch):
    monkeypatch.setattr(core.db, "RESTED_S", 60.0)
    end(other, backend(one))
    with pytest.raises(Unavailable), one.glance() as session:
        session.execute(text("SELECT 1"))


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
