"""The synchronous lane as web sees it: texts in, the model's answer out, while the request waits.

A worker answers between two chunks, so the wait is the model's time on an idle installation and a chunk's more on a
busy one. Where no worker can answer, the asker hears so at once.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

from celery import Celery

from core import classify_requests, quotas
from core.classify_requests import Answer
from core.db import Database
from core.errors import BadOption, EmobatchError, Unavailable
from core.listener import Listener
from core.model_directory import ModelDirectory
from core.queue import ring
from core.settings import Settings
from core.workers import live_slots

LOOK_S = 1.0
"""How often a waiting request looks for its answer, should a notification be lost."""

_COME_BACK = "Try again in a few seconds."


class Lane:
    """One per web process."""

    def __init__(self, db: Database, settings: Settings, model: ModelDirectory, ringer: Celery) -> None:
        self._db = db
        self._settings = settings
        self._model = model
        self._ringer = ringer
        self._listener = Listener(db, classify_requests.CHANNEL)
        # Those who wait hold a thread each: some threads are always left for everything else.
        self._places = threading.BoundedSemaphore(max(1, settings.web_threads - 2))

    def classify(self, account_id: uuid.UUID, texts: Sequence[str]) -> Answer:
        """What the model says of some texts.

        Raises:
            BadOption: too many, or too long together.
            TooMany: the account had as many rows as it may today.
        Unavailable: no worker is alive or none had time; or too many wait already.
        """
        self._check(texts)
        if not self._places.acquire(blocking=False):
            raise Unavailable("Too many requests are waiting for a worker.", next_step=_COME_BACK)
        try:
            return self._wait(account_id, texts)
        finally:
            self._places.release()

    def close(self) -> None:
        """Stops listening for answers."""
        self._listener.close()

    def fitting(self, texts: Sequence[str]) -> list[int]:
        """Which of these texts fit into one request: indices, taking each in turn that still has room."""
        left = self._settings.chunk_text_bytes
        chosen: list[int] = []
        for index, wanted in enumerate(texts):
            if len(wanted) <= left and len(chosen) < self._settings.classify_texts:
                chosen.append(index)
                left -= len(wanted)
        return chosen

    def _check(self, texts: Sequence[str]) -> None:
        most, room = self._settings.classify_texts, self._settings.chunk_text_bytes
        if not 1 <= len(texts) <= most:
            raise BadOption(f"There are {len(texts)} texts; send 1 to {most}.", next_step="Upload a file for more.")
        if sum(map(len, texts)) > room:
            raise BadOption(
                f"The texts have more than {room:,} characters together.",
                next_step="Send fewer at a time, or upload a file.",
            )

    def _wait(self, account_id: uuid.UUID, texts: Sequence[str]) -> Answer:
        wait_s = self._settings.classify_wait_s
        until = time.monotonic() + wait_s
        request_id = uuid.uuid4()
        with self._listener.expecting(str(request_id)) as answered:
            with self._db.transaction(account_id) as session:
                if not live_slots(session, self._model.sha256):
                    raise Unavailable("No worker is alive that could answer.", next_step="Start one, or try again.")
                quotas.admit_rows(session, self._settings, account_id)
                quotas.note_rows(session, account_id, len(texts))
                classify_requests.submit(
                    session, request_id, account_id, model_sha256=self._model.sha256, texts=texts, keep_s=wait_s
                )
            try:
                ring(self._ringer)
                while (left := until - time.monotonic()) > 0:
                    answered.wait(min(left, LOOK_S))
                    answered.clear()
                    with self._db.transaction(account_id) as session:
                        if found := classify_requests.take(session, request_id):
                            return found
            except BaseException:
                self._withdraw(account_id, request_id)
                raise
        self._withdraw(account_id, request_id)
        raise Unavailable(f"No worker had time within {wait_s:g} seconds.", next_step=_COME_BACK)

    def _withdraw(self, account_id: uuid.UUID, request_id: uuid.UUID) -> None:
        with suppress(EmobatchError), self._db.transaction(account_id) as session:
            classify_requests.withdraw(session, request_id)
