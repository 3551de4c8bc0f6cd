"""A live server with something of everything in it: web, worker, Postgres and Redis as `emobatch up` runs them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from emobatch import stack
from tests.pages.conftest import Workers
from tests.pages.states import COUNT_IT, FAIL_A_ROW

REVIEWS = (Path(__file__).parents[2] / "examples" / "reviews.csv").read_bytes()
HOOK = "http://127.0.0.1:9/hook"
"""Nobody listens there: messages to it fail at once."""
GROUPS = [{"label": "cross", "members": ["anger", "annoyance"]}, {"label": "glad", "members": ["joy", "love"]}]


@dataclass
class Live:
    """A server, asked by its owner."""

    url: str
    token: str
    home: Path

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One answer."""
        return self._http.request(method, path, **request)

    def make(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """What was made, or changed."""
        answer = self.ask(method, path, **request)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def job(self, data: bytes = REVIEWS, **options: str) -> str:
        """Labels a file; the id of its job."""
        made = self.make("POST", "/jobs", content=data, headers={"Content-Type": "text/csv"}, params=options)
        return self.wait(str(made["id"]))

    def wait(self, job_id: str) -> str:
        """Waits until a job and the counting of its figures are over; its id."""
        while self.make("GET", f"/jobs/{job_id}")["finished_at"] is None:
            time.sleep(0.1)
        while self.ask("GET", f"/jobs/{job_id}/summary").status_code == 202:
            time.sleep(0.1)
        return job_id

    def fail_a_row(self, job_id: str) -> None:
        """Its third row has failed, as if the model had died of it."""
        ledger = Workers(self.home)
        ledger.sql(FAIL_A_ROW, job_id)
        ledger.sql(COUNT_IT, job_id)

    def upload(self, length: int) -> str:
        """Begins a file that comes by pieces; its id."""
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length)}
        return self.ask("POST", "/uploads", headers=headers).headers["Location"].rpartition("/")[2]


@contextmanager
def serve() -> Iterator[Live]:
    """A server of its own, in a folder of its own, for the length of a block."""
    before = os.environ.get("EMOBATCH_WEBHOOK_PRIVATE")
    os.environ["EMOBATCH_WEBHOOK_PRIVATE"] = "true"  # what is called here is on this machine
    try:
        with tempfile.TemporaryDirectory() as home, stack.start(Path(home), quiet=True) as running:
            yield Live(running.url, running.token, Path(home))
    finally:
        if before is None:
            del os.environ["EMOBATCH_WEBHOOK_PRIVATE"]
        else:
            os.environ["EMOBATCH_WEBHOOK_PRIVATE"] = before


def fill(live: Live) -> dict[str, str]:
    """Makes something of everything; ids and names, by what the parts of an address are called."""
    job_id = live.job(filename="reviews.csv")
    other_id = live.wait(str(live.make("POST", f"/jobs/{job_id}/again")["id"]))
    live.fail_a_row(job_id)
    live.make("POST", "/taxonomies", json={"name": "moods", "groups": GROUPS})
    webhook = live.make("POST", "/webhooks", json={"url": HOOK})
    delivery = live.make("POST", f"/webhooks/{webhook['id']}/test")
    live.make("POST", f"/jobs/{job_id}/review", json={"size": 60})
    for row in live.make("GET", f"/jobs/{job_id}/review/rows?limit=20")["rows"]:
        live.make("PUT", f"/jobs/{job_id}/review/rows/{row['row']}", json={"labels": ["joy"]})
    live.make("PUT", f"/jobs/{job_id}/corrections/1", json={"labels": ["sadness"]})
    key = live.make("POST", "/keys", json={"name": "nightly", "scope": "read", "days": 90})
    return {
        "job_id": job_id,
        "other_id": other_id,
        "upload_id": live.upload(9),
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
        "key_id": key["id"],
        "name": "moods",
        "row": "7",
        "chart": "top",
    }
