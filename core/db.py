"""Connections to Postgres: one engine per process and role, short transactions, the account set inside each.

Three roles: the owner (migrations), ``emobatch_web`` (forced row-level security by account) and ``emobatch_worker``
(explicit policies across accounts). A process takes its role in the connection's start packet, so `RESET ROLE` leads
back to it. Give web a login that is a member of ``emobatch_web`` alone, and it can never be anything else.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, LiteralString, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

import core.arrays  # noqa: F401 - psycopg must know them before an engine is made
from core import metrics
from core.errors import Unavailable

T = TypeVar("T")

Role = Literal["emobatch_web", "emobatch_worker"]

SILENCE_S = 2.0
"""So long after its statement timeout a server is away that still says nothing: it is frozen, or no host any more."""

RESTED_S = 1.0
"""A connection that has rested so long is tested before it is used: the server may have been restarted meanwhile."""


_ACT_FOR = text("SELECT set_config('emobatch.account_id', :account_id, true)")


class Database:
    """An engine for one role.

    Args:
        url: ``postgresql://…`` (the driver is always psycopg 3).
        role: what this process is; None keeps the login's own rights (migrations, tests).
        pool_size: connections that ought to do; under load there are twice as many. They are opened as they are needed.
        statement_timeout_s: no statement of ours is meant to take this long. Postgres ends those that do; a server
            that does not even do that, `SILENCE_S` later, counts as away.
    """

    def __init__(self, url: str, role: Role | None, *, pool_size: int = 5, statement_timeout_s: int = 60) -> None:
        options = [
            f"-c statement_timeout={statement_timeout_s}s",
            f"-c lock_timeout={min(20, statement_timeout_s)}s",
            "-c idle_in_transaction_session_timeout=60s",
            "-c timezone=UTC",
        ]
        if role:
            options.append(f"-c role={role}")
        self.engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            # Kept once they are open: SQLAlchemy closes overflow as soon as it rests, and in a burst of short requests
            # Postgres would fork and check a password again and again.
            pool_size=2 * pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=10,
            connect_args={
                "options": " ".join(options),
                "connect_timeout": 5,
                "application_name": role or "emobatch",
                "keepalives_idle": 20,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 30_000,  # ms: a server that vanished in mid-statement is noticed
            },
        )
        _ping_after_a_rest(self.engine)
        _impatient(self.engine, statement_timeout_s + SILENCE_S)
        self._role = role or "owner"
        self._most = 2 * pool_size
        metrics.DB_CONNECTIONS_LIMIT.labels(self._role).inc(self._most)
        self._open = metrics.DB_TRANSACTIONS.labels(self._role)
        for trouble in (metrics.DB_POOL_TIMEOUTS, metrics.DB_OUTAGES):
            trouble.labels(self._role)  # there from the start, at 0
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._looks = sessionmaker(self.engine.execution_options(isolation_level="AUTOCOMMIT"))

    @contextmanager
    def transaction(self, account_id: uuid.UUID | None = None) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        Args:
            account_id: whose rows are visible (``SET LOCAL``), for the web role.

        Raises:
            Unavailable: Postgres does not answer, or went away. Whether the commit happened is then unknown.
        """
        with self._outages_told(), self._open.track_inprogress(), self._sessions() as session, session.begin():
            if account_id is not None:
                session.execute(_ACT_FOR, {"account_id": str(account_id)})
            yield session

    def glance(self, statement: LiteralString, **parameters: Any) -> Any:
        """The first row of one statement that only looks, and speaks for no account; None if there is none.

        In no transaction and past SQLAlchemy: every request begins with a glance, so it takes one round trip and as
        little else as can be.

        Args:
            statement: for psycopg, so with ``%(name)s`` where a parameter belongs.

        Raises:
            Unavailable: as `transaction`.
        """
        with self._outages_told(), self._open.track_inprogress():
            pooled = self.engine.raw_connection()
            try:
                driver = cast(ImpatientConnection, pooled.driver_connection)
                driver.autocommit = True
                found = driver.cursor(row_factory=namedtuple_row).execute(statement, parameters or None).fetchone()
                driver.autocommit = False
            except BaseException as error:
                pooled.invalidate(error)  # whoever came next would be in autocommit too
                raise
            finally:
                pooled.close()
            return found

    @contextmanager
    def look(self, account_id: uuid.UUID) -> Iterator[Session]:
        """A transaction that only reads what is an account's: begun, and the account set, in one round trip.

        For what is asked again and again. `transaction` takes two for that, and the ORM's time for one of them.

        Raises:
            Unavailable: as `transaction`.
        """
        with self._outages_told(), self._open.track_inprogress(), self._looks() as session:
            connection = session.connection()
            _send(connection, f"BEGIN READ ONLY; SET LOCAL emobatch.account_id = '{uuid.UUID(str(account_id))}'")
            yield session
            _send(connection, "COMMIT")

    @contextmanager
    def _outages_told(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout:
            metrics.DB_POOL_TIMEOUTS.labels(self._role).inc()
            raise
        except (DBAPIError, psycopg.Error) as error:
            if is_outage(error):
                metrics.DB_OUTAGES.labels(self._role).inc()
                raise Unavailable("The database does not answer.", next_step="Try again in a few seconds.") from error
            raise

    def dedicated(self) -> psycopg.Connection[Any]:
        """A connection of one's own, outside the pool, in autocommit: to listen on. The caller closes it.

        Raises:
            Unavailable: Postgres does not answer, or every connection is in use.
        """
        try:
            pooled = self.engine.raw_connection()
        except (psycopg.Error, DBAPIError, PoolTimeout) as error:
            raise Unavailable("The database does not answer.", next_step="Try again in a few seconds.") from error
        connection = cast(ImpatientConnection, pooled.driver_connection)
        connection.patience_s = math.inf  # silence is what a listener expects
        pooled.detach()
        connection.rollback()
        connection.autocommit = True
        return connection

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()
        metrics.DB_CONNECTIONS_LIMIT.labels(self._role).dec(self._most)
        self._most = 0


def _send(connection: Connection, statements: str) -> None:
    """Statements without parameters in one message, the simple protocol's: SQLAlchemy would have them prepared."""
    driver = cast(ImpatientConnection, connection.connection.driver_connection)
    try:
        driver.execute(statements, prepare=False)
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise


def _ping_after_a_rest(engine: Engine) -> None:
    """Tests a connection before it is used, unless it was just in use: in a busy process that is a wasted round trip.

    SQLAlchemy's own ``pool_pre_ping`` tests every time.
    """

    @event.listens_for(engine, "checkin")
    def note(connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, proxy: Any) -> None:
        if time.monotonic() - record.info.get("used", math.inf) < RESTED_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # the pool opens another one


class ImpatientConnection(psycopg.Connection[Any]):
    """Gives up on a server that takes a query and never answers.

    A frozen server's kernel acknowledges everything, so neither keepalives nor ``tcp_user_timeout`` notice it.
    """

    patience_s = math.inf

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """As the driver's own, but at most `patience_s` for one answer.

        Raises:
            psycopg.OperationalError: there was none; the connection is closed.
        """
        try:
            return super().wait(gen, interval, min(self.patience_s, math.inf if timeout is None else timeout))
        except psycopg.errors._WaitTimeout as error:
            if timeout is not None and timeout < self.patience_s:
                raise
            self.close()
            raise psycopg.OperationalError(f"The server gave no answer for {self.patience_s:.0f} s.") from error


def _impatient(engine: Engine, patience_s: float) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, parameters: Any) -> ImpatientConnection:
        made = ImpatientConnection.connect(*arguments, **parameters)
        made.patience_s = patience_s
        return made


# 08 connection exceptions, 57P01-03 shutdown and start-up, 53 out of resources, 55P03 lock and 57014 statement timeout.
_OUTAGE_STATES = ("08", "57P", "53", "55P03", "57014", "25P03")


def is_outage(error: DBAPIError | psycopg.Error) -> bool:
    """Whether SQLAlchemy's error, or psycopg's own, means "Postgres is away or overloaded", not a fault of ours."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state is None:  # psycopg raises OperationalError without a state when there was no server to give one
        return type(cause).__name__ in ("OperationalError", "ConnectionTimeout", "PoolTimeout")
    return state.startswith(_OUTAGE_STATES)
