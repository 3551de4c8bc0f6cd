"""Connections of the pool: used again at once without asking, tested after a rest, replaced when the server let go."""

from __future__ import annotations

from collections.abc import Iterator

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
