"""Whether the broker answers: the one reason for a job to stand still that the ledger cannot know."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from redis import Redis
from redis.exceptions import RedisError

from core.jobs import JobStatus

LOOK_S = 5.0
"""An answer is good for so long: many pages ask about jobs that wait."""

PATIENCE_S = 1.0
"""A broker that takes longer is away, as far as somebody is concerned who looks at a page."""

AWAY = "Waiting for Redis: it does not answer. Nothing is lost, and work goes on by itself once it does."


class Broker:
    """One per web process."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
        self._lock = threading.Lock()
        self._looked = -LOOK_S
        self._is_away = False

    def explain(self, status: JobStatus) -> JobStatus:
        """The same status, with the broker's absence as the reason why nothing moves, if that is it."""
        if status.waiting_for is None or not self.is_away():
            return status
        return replace(status, waiting_for=AWAY)

    def is_away(self) -> bool:
        """Whether it did not answer when it was last asked, some seconds ago at most."""
        # Who finds somebody asking takes the answer before: a broker that hangs must not hold every thread.
        if time.monotonic() - self._looked > LOOK_S and self._lock.acquire(blocking=False):
            try:
                self._is_away = not self._answers()
                self._looked = time.monotonic()
            finally:
                self._lock.release()
        return self._is_away

    def _answers(self) -> bool:
        try:
            return bool(self._redis.ping())
        except (RedisError, OSError):
            return False
