"""Waiting for Postgres' notifications: one connection for a whole process, however many of its threads wait.

A notification only says "look again", and may be lost: when the connection breaks everybody is woken, and whoever
waits looks by itself now and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import text

from core.db import Database
from core.errors import Unavailable

log = structlog.get_logger(__name__)

RECONNECT_S = 1.0
LOOK_UP_S = 5.0
"""How often the thread looks whether the connection still holds."""
IDLE_S = 60.0
"""A connection on which nobody has waited for so long is closed."""


class Listener:
    """Hands notifications on one channel to those who wait for their payload. Safe for many threads.

    The connection is opened by the first who waits, in the process that uses it, and kept until nobody does.
    """

    def __init__(self, db: Database, channel: str) -> None:
        self._db = db
        self._channel = channel
        self._waiting: dict[str, threading.Event] = {}
        self._used = 0.0
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def expecting(self, payload: str) -> Iterator[threading.Event]:
        """An event that is set by a notification with this payload, and when one may have been missed."""
        event = threading.Event()
        with self._lock:
            self._waiting[payload] = event
            self._used = time.monotonic()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name=f"listen-{self._channel}", daemon=True)
                self._thread.start()
        try:
            yield event
        finally:
            with self._lock:
                self._waiting.pop(payload, None)

    def close(self) -> None:
        """Closes the connection, for good. Whoever still waits must look by itself."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread:
            with suppress(Unavailable), self._db.transaction() as session:
                session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": self._channel})
            thread.join(LOOK_UP_S)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            wait_s = 0.0
            try:
                self._listen()
            except (psycopg.Error, Unavailable) as error:
                wait_s = RECONNECT_S
                log.warning("listening was interrupted", channel=self._channel, reason=type(error).__name__)
            with self._lock:
                if self._closed or not self._waiting:  # not needed any more, or broken while nobody cared
                    self._thread = None
                    return
            pause.wait(wait_s)

    def _listen(self) -> None:
        with self._db.dedicated() as connection:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            self._wake_all()
            while not self._is_idle():
                for notification in connection.notifies(timeout=LOOK_UP_S):
                    with self._lock:
                        event = self._waiting.get(notification.payload)
                    if event:
                        event.set()
                    if self._closed:
                        return
                connection.execute("SELECT 1")  # a server that vanished without a word is noticed

    def _is_idle(self) -> bool:
        with self._lock:
            return self._closed or (not self._waiting and time.monotonic() - self._used > IDLE_S)

    def _wake_all(self) -> None:
        with self._lock:
            for event in self._waiting.values():
                event.set()
