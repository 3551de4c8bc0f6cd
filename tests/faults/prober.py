"""A client that asks web again and again and notes what it is told: 503 with Retry-After is fine, 500 never is."""

from __future__ import annotations

from collections import Counter

import httpx

from benchmarks.background import Background
from tests.faults.ground import Ground

EVERY_S = 0.1


class Prober(Background):
    """Asks on a thread of its own. Use it as a context manager."""

    patience_s = 70.0

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground = ground
        self.answers: Counter[str] = Counter()
        """By status; ``503`` without Retry-After is ``503 bare``, no answer at all ``none``."""
        self.slowest_s = 0.0
        """The longest until an answer."""

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self._ground.token}"}
        with httpx.Client(base_url=self._ground.url, headers=headers, timeout=60) as client:
            turn = 0
            while not self._over.wait(EVERY_S):
                turn += 1
                try:
                    if turn % 10:
                        answer = client.get("/api/v1/jobs", params={"limit": 3})
                    else:
                        answer = client.post(
                            "/api/v1/jobs", content=b"\xff\xfe no CSV", headers={"Content-Type": "text/csv"}
                        )
                except httpx.HTTPError:
                    self.answers["none"] += 1
                    continue
                bare = answer.status_code == 503 and "Retry-After" not in answer.headers
                self.answers[f"{answer.status_code}{' bare' if bare else ''}"] += 1
                self.slowest_s = max(self.slowest_s, answer.elapsed.total_seconds())

    @property
    def wrong(self) -> int:
        """Answers that must not be: a fault of the database's told as one of our own, or without when to come back."""
        return self.answers["500"] + self.answers["502"] + self.answers["503 bare"]
