"""A worker is killed with -9 in the middle of a job: no row is lost, none comes twice, and the labels are the same."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from core.models import Chunk
from core.states import JobState
from tests.fixtures import Installation

N = 3_000


def file_of(n: int) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["id", "text"])
    moods = ["so happy", "really angry", "rather sad", "quite surprised", "a bit scared", "not interested"]
    for number in range(n):
        writer.writerow(
            [number, f"Day {number}: I am {moods[number % 6]} with\nthe service, as I said {number % 7} times."]
        )
    return out.getvalue().encode()


@contextmanager
def worker(
    installation: Installation, tmp_path: Path, lease_s: int = 3, log: Path | None = None
) -> Iterator[subprocess.Popen]:
    """A real Celery worker of this installation, as the stack runs it."""
    settings = installation.settings
    environment = os.environ | {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "STORAGE_URL": settings.storage_url,
        "EMOBATCH_LEASE_S": str(lease_s),
        "EMOBATCH_TEXT_MEMORY": "0",
    }
    environment.pop("EMOBATCH_WORKER_NODE", None)
    command = [sys.executable, "-m", "celery", "--app", "worker.app", "worker", "--concurrency", "1"]
    with (log or tmp_path / f"worker-{time.monotonic_ns()}.log").open("w") as lines:
        process = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle"], env=environment, stderr=lines, stdout=lines
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def child_of(installation: Installation, parent: int) -> int:
    """The pid of the child that holds a lease now."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with installation.db.transaction() as session:
            holder = session.scalars(
                text("SELECT worker_id FROM chunk WHERE state = 'leased' AND worker_id LIKE :node LIMIT 1"),
                {"node": f"%:{parent}:%"},
            ).first()
            done = session.scalars(text("SELECT sum(chunks_done) FROM job")).one()
        if holder and done >= 2:
            return int(holder.rsplit("/", 1)[1])
        time.sleep(0.02)
    raise AssertionError("no child took a chunk")


def wait(installation: Installation, job_id, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while installation.status(job_id).state.active:
        assert time.monotonic() < until, installation.status(job_id)
        time.sleep(0.1)


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.fixture
def undisturbed(installation: Installation, tmp_path) -> list[dict[str, str]]:
    """What comes out when nothing happens."""
    job_id = installation.accept(file_of(N))
    with worker(installation, tmp_path):
        wait(installation, job_id)
    return rows_of(installation.csv(job_id))


@pytest.mark.parametrize("who", ["child", "whole worker"])
def test_no_row_is_lost_or_doubled(installation: Installation, undisturbed, tmp_path, who):
    job_id = installation.accept(file_of(N))
    with worker(installation, tmp_path) as first:
        child = child_of(installation, first.pid)
        if who == "child":
            os.kill(child, signal.SIGKILL)
            wait(installation, job_id)
        else:
            os.kill(first.pid, signal.SIGKILL)
            os.kill(child, signal.SIGKILL)
    if who != "child":
        with worker(installation, tmp_path):
            wait(installation, job_id)
    status = installation.status(job_id)
    assert (status.state, status.rows_ok, status.rows_failed) == (JobState.COMPLETED, N, 0)
    assert status.rows_total == N
    with installation.db.transaction() as session:
        attempts = session.scalars(text("SELECT max(attempt) FROM chunk WHERE job_id = :id"), {"id": job_id}).one()
        assert session.query(Chunk).filter_by(job_id=job_id).count() > 2
    assert attempts > 1, "the kill missed"
    same_labels(undisturbed, rows_of(installation.csv(job_id)))


def test_a_worker_starts_and_works_while_the_disk_of_its_log_is_full(installation: Installation, tmp_path):
    job_id = installation.accept(file_of(100))
    with worker(installation, tmp_path, log=Path("/dev/full")):
        wait(installation, job_id)
    assert installation.status(job_id).state is JobState.COMPLETED


def same_labels(before: list[dict[str, str]], after: list[dict[str, str]]) -> None:
    """Cells equal, scores within 1e-3, and the top label equal except in a tie."""
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert (old["id"], old["text"], old["row_status"]) == (new["id"], new["text"], new["row_status"])
        for score in ("emotion_score", "sentiment_score"):
            assert float(old[score]) == pytest.approx(float(new[score]), abs=1e-3)
        tie = abs(float(old["emotion_score"]) - float(new["emotion_score"])) < 1e-3
        assert old["emotion"] == new["emotion"] or tie
