"""Asking again: what a client does when a server is away for a moment, and when it gives up.

A server that has never answered is probably a wrong address, so the user hears of it soon; one that has answered
before is probably restarting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.errors import EmobatchError

T = TypeVar("T")


class TryAgain(Exception):
    """Raised by an attempt that may succeed later; `error` is what to raise if it never does."""

    def __init__(self, error: EmobatchError, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s
        """Seconds that the server asked us to wait."""


@dataclass(frozen=True)
class Patience:
    """How long an outage is borne, counted from its first failure; times in seconds."""

    stranger_s: float = 3.0
    """With a server that has not answered yet."""
    known_s: float = 120.0
    """With one that has. Longer than the lease of an upload whose connection broke."""
    tries: int = 4
    """At least this many: one attempt at a large upload may outlast any patience."""
    first_s: float = 0.2
    longest_s: float = 5.0

    def delay(self, failures: int) -> float:
        """How long to wait after the given number of failures: doubling, and spread, so that clients do not march."""
        return min(self.longest_s, self.first_s * 2 ** (failures - 1)) * random.uniform(0.5, 1)  # noqa: S311


def persist(
    attempt: Callable[[], T], patience: Patience, is_known: Callable[[], bool], sleep: Callable[[float], None]
) -> T:
    """Calls `attempt` until it does not raise `TryAgain`.

    Args:
        attempt: must be harmless to repeat.
        patience: when to give up.
        is_known: whether the server has ever answered.
        sleep: waits that many seconds.

    Raises:
        EmobatchError: the last attempt's, once patience is over.
    """
    failures = 0
    began = 0.0
    while True:
        try:
            return attempt()
        except TryAgain as again:
            failures += 1
            began = began or time.monotonic()
            delay = patience.delay(failures) if again.after_s is None else again.after_s
            limit = patience.known_s if is_known() else patience.stranger_s
            if failures >= patience.tries and time.monotonic() - began + delay > limit:
                raise again.error from again
            sleep(delay)
