"""How often: requests of an account, sign-ins that fail from an address, guesses at one person's password.

Counted in Redis, for all processes together. While Redis is away each process counts by itself, so that a limit holds
there too, for as many times as there are processes.
"""

from __future__ import annotations

import hmac
import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from core.errors import TooMany
from core.settings import Settings

AWAY_S = 5.0
"""How long Redis is left alone after it failed: a request must not wait for it each time."""

TIMEOUT_S = 0.25

KNOWN_S = 30.0
"""How long a process goes by what it knows of an account's limit, which hardly ever changes."""

CLEAN_S = 1.0
"""How long a process goes by an address having been let through; a failure that it sees itself counts at once."""

MOST_KNOWN = 10_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Refused:
    """What is said when a limit is reached."""

    what: str
    limit: str
    next_step: str

    def error(self, retry_after_s: float) -> TooMany:
        """The error for a request that came too soon."""
        return TooMany(self.what, limit=self.limit, next_step=self.next_step, retry_after_s=retry_after_s)


_REQUESTS = Refused(
    "This account has sent more requests than are allowed in a minute.",
    "requests_a_minute",
    "Wait as long as Retry-After says; ask for a job's state less often.",
)
_FAILURES = Refused(
    "Too many requests without a valid sign-in came from this address.",
    "failures_a_minute",
    "Wait as long as Retry-After says, then sign in with a valid token, key or password.",
)
_GUESSES = Refused(
    "There were too many wrong passwords for this e-mail address.",
    "guesses_a_quarter",
    "Wait as long as Retry-After says. Browsers that are signed in stay so.",
)


class RateLimits:
    """One per web process; safe to share between threads. A limit of 0 is none."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret_key.get_secret_value().encode()
        self._failures = settings.failures_a_minute
        self._guesses = settings.guesses_a_quarter
        self._redis = SlidingWindowCounterRateLimiter(
            RedisStorage(
                settings.redis_url.get_secret_value(),
                key_prefix="emobatch.limits",
                wrap_exceptions=True,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
            )
        )
        self._memory = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._known: dict[uuid.UUID, tuple[int, float]] = {}
        self._clean: dict[str, float] = {}
        self._away_until = 0.0
        self._lock = threading.Lock()

    def count_request(self, account_id: uuid.UUID, look_up: Callable[[], int]) -> None:
        """Counts a request of an account.

        Args:
            account_id: whose.
            look_up: says how many a minute it may send; asked now and then.

        Raises:
            TooMany: there were as many as are allowed.
        """
        if a_minute := self._allowed(account_id, look_up):
            item = RateLimitItemPerMinute(a_minute)
            if not self._ask("hit", item, "account", str(account_id)):
                raise _REQUESTS.error(self._wait_s(item, "account", str(account_id)))

    def _allowed(self, account_id: uuid.UUID, look_up: Callable[[], int]) -> int:
        known, until = self._known.get(account_id, (0, 0.0))
        if time.monotonic() < until:
            return known
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        found = look_up()
        self._known[account_id] = (found, time.monotonic() + KNOWN_S)
        return found

    def check_address(self, address: str) -> None:
        """Refuses an address from which too many sign-ins failed, before its credentials are looked at.

        Raises:
            TooMany: so it is.
        """
        if self._failures and time.monotonic() >= self._clean.get(address, 0.0):
            self._check(RateLimitItemPerMinute(self._failures), _FAILURES, "address", address)
            if len(self._clean) > MOST_KNOWN:
                self._clean.clear()
            self._clean[address] = time.monotonic() + CLEAN_S

    def count_failure(self, address: str) -> None:
        """Counts a request with no right sign-in."""
        if self._failures:
            self._clean.pop(address, None)
            self._ask("hit", RateLimitItemPerMinute(self._failures), "address", address)

    def check_guesses(self, email: str) -> None:
        """Refuses further passwords for an e-mail address, whoever sends them.

        Raises:
            TooMany: there were too many wrong ones.
        """
        if self._guesses:
            self._check(RateLimitItemPerMinute(self._guesses, 15), _GUESSES, "email", self._hidden(email))

    def count_guess(self, email: str) -> None:
        """Counts a wrong password."""
        if self._guesses:
            self._ask("hit", RateLimitItemPerMinute(self._guesses, 15), "email", self._hidden(email))

    def _check(self, item: RateLimitItem, refused: Refused, *key: str) -> None:
        if not self._ask("test", item, *key):
            raise refused.error(self._wait_s(item, *key))

    def _wait_s(self, item: RateLimitItem, *key: str) -> int:
        stats = self._ask("get_window_stats", item, *key)
        return max(1, math.ceil(stats.reset_time - time.time()))

    def _ask(self, what: str, item: RateLimitItem, *key: str):  # type: ignore[no-untyped-def]
        """The same question to Redis, or to this process where Redis does not answer."""
        if time.monotonic() >= self._away_until:
            try:
                return getattr(self._redis, what)(item, *key)
            except StorageError as error:
                with self._lock:
                    if time.monotonic() >= self._away_until:
                        log.warning("rate limits are counted here: no Redis", reason=type(error.storage_error).__name__)
                    self._away_until = time.monotonic() + AWAY_S
        return getattr(self._memory, what)(item, *key)

    def _hidden(self, email: str) -> str:
        """An address as Redis may know it."""
        return hmac.digest(self._secret, email.strip().lower().encode("utf-8", "replace"), "sha256").hex()[:32]
