"""Sends what webhooks are to be told: a thread in each worker's parent, so that no chunk waits for a receiver.

At least once: an attempt is written down before it is made, and whoever dies in the middle is followed by another after
`core.deliveries.ATTEMPT_S`. The message keeps its id, so a receiver can tell that it has it already.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import orjson
import structlog
from standardwebhooks import Webhook as Signer

from core import deliveries, outbound, webhooks
from core.db import Database
from core.deliveries import Attempt, Due
from core.errors import EmobatchError, TargetRefused
from core.settings import Settings

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Between two looks for something to send."""

AT_ONCE = 8
"""Messages under way at a time."""

TIMEOUT_S = 15.0
"""What Standard Webhooks gives a receiver; what takes longer is better done after the answer."""

USER_AGENT = "emobatch-webhooks/1"


class Postman:
    """One per worker parent. Does nothing where there is no key to sign with."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        if self._settings.secret_key.get_secret_value():
            self._thread.start()
        else:
            log.warning("webhooks are not sent: EMOBATCH_SECRET_KEY is not set")

    def stop(self) -> None:
        """Ends the thread; what is under way is finished or taken over by another."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            sent = 0
            try:
                sent = self.round()
            except EmobatchError as error:
                log.warning("postman waits", code=error.code)
            except Exception:  # the thread must outlive any one fault
                log.exception("postman stumbled")
            if sent < AT_ONCE:
                self._stop.wait(LOOK_S)

    def round(self) -> int:
        """Sends what is due now, `AT_ONCE` at most, and writes down what came of it; how many.

        Raises:
            Unavailable: Postgres does not answer. What was sent meanwhile is sent again.
        """
        with self._db.transaction() as session:
            due = deliveries.claim(session, AT_ONCE)
        if not due:
            return 0
        with ThreadPoolExecutor(len(due), "letter") as pool:
            for letter, attempt in zip(due, pool.map(self._send, due), strict=True):
                with self._db.transaction() as session:
                    state = deliveries.record(session, letter, attempt)
                log.info(
                    "webhook called",
                    job_id=str(letter.job_id) if letter.job_id else None,
                    delivery=str(letter.id),
                    status=attempt.status,
                    ms=attempt.ms,
                    state=state.value,
                )
        return len(due)

    def _send(self, due: Due) -> Attempt:
        at, began = datetime.now(UTC), time.monotonic()
        body = orjson.dumps(due.payload)
        signer = Signer(webhooks.secret_of(self._settings, due.webhook_id, due.generation))
        message_id = f"msg_{due.id.hex}"
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signer.sign(message_id, at, body.decode()),
        }
        status, failure = None, None
        try:
            status = outbound.post(due.url, body, headers, timeout_s=TIMEOUT_S, private=self._settings.webhook_private)
            if not 200 <= status < 300:
                failure = f"The receiver answered {status}."
        except outbound.Unreached as error:
            failure = str(error)
        except TargetRefused as error:
            failure = error.what
        return Attempt(at, status, round(1000 * (time.monotonic() - began)), failure)
