"""Jobs that arrive at random while others work, and when each of them starts."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from benchmarks.accounts import Tenant
from benchmarks.background import Background
from core.db import Database

LOOK_S = 0.05
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Arrival:
    """What became of one job, in seconds since it was accepted, by Postgres' clock.

    Attributes:
        started: until a worker claimed its first chunk.
        over: until its last row was labelled.
    """

    started: float
    over: float


class Starts(Background):
    """Notes when jobs start, for the length of a ``with`` block.

    A job keeps the time of its latest claim only, so the ledger is read every `LOOK_S`: what is seen first is the
    first claim, unless a job was claimed twice within that time.
    """

    def __init__(self, db: Database) -> None:
        super().__init__()
        self._db = db
        self._waiting: set[uuid.UUID] = set()
        self._started: dict[uuid.UUID, float] = {}
        self._lock = threading.Lock()

    def watch(self, job_id: uuid.UUID) -> None:
        """From now on this one too."""
        with self._lock:
            self._waiting.add(job_id)

    def wait(self, job_ids: Sequence[uuid.UUID]) -> list[Arrival]:
        """Waits until all of them are over, and says what became of each, in their order.

        Raises:
            TimeoutError: one is stuck.
            RuntimeError: one ended without all its rows labelled.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            with self._db.transaction() as session:
                rows = session.execute(
                    text("""
                    SELECT id, state, extract(epoch FROM finished_at - created_at)::float AS over FROM job
                    WHERE id = ANY(:ids)
                    """),
                    {"ids": list(job_ids)},
                ).all()
            if all(row.over is not None for row in rows):
                break
            if time.monotonic() > until:
                raise TimeoutError(f"{sum(row.over is None for row in rows)} jobs are stuck.")
            time.sleep(LOOK_S)
        if wrong := [row.state for row in rows if row.state != "completed"]:
            raise RuntimeError(f"{len(wrong)} jobs did not complete: {wrong[0]}.")
        with self._lock:
            over = {row.id: row.over for row in rows}
            return [Arrival(self._started.get(id_, over[id_]), over[id_]) for id_ in job_ids]

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            with self._lock:
                waiting = list(self._waiting)
            if not waiting:
                continue
            with self._db.transaction() as session:
                rows = session.execute(
                    text("""
                    SELECT id, extract(epoch FROM claimed_at - created_at)::float AS started FROM job
                    WHERE id = ANY(:ids) AND claimed_at IS NOT NULL
                    """),
                    {"ids": waiting},
                ).all()
            with self._lock:
                self._started.update({row.id: row.started for row in rows})
                self._waiting.difference_update(row.id for row in rows)


def times(count: int, window_s: float, seed: int) -> list[float]:
    """`count` moments between 0 and `window_s`, drawn evenly, in order: as jobs of strangers arrive."""
    random_ = random.Random(seed)
    return sorted(random_.uniform(0, window_s) for _ in range(count))


def arrive(
    db: Database, tenants: Sequence[Tenant], files: Sequence[Path], moments: Sequence[float], seed: int
) -> list[Arrival]:
    """Sends `files` at `moments`, each for a tenant drawn at random; returns when all of them are labelled.

    Raises:
        TimeoutError, RuntimeError: as `Starts.wait`.
    """
    random_ = random.Random(seed)
    began = time.monotonic()
    with Starts(db) as starts, ThreadPoolExecutor(16, "sender") as pool:

        def send(tenant: Tenant, file: Path) -> uuid.UUID:
            job_id = uuid.UUID(tenant.client.create_job(file, text_column="text").id)
            starts.watch(job_id)
            return job_id

        sent = []
        for moment, file in zip(moments, files, strict=True):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            sent.append(pool.submit(send, random_.choice(tenants), file))
        return starts.wait([one.result() for one in sent])
