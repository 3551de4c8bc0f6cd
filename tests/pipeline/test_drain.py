"""A worker that is told to drain leaves tickets to others, and takes them again when it is told to."""

from __future__ import annotations

import os
import time

import pytest

from emobatch.cli import main
from emobatch.client import Client

HOST = os.uname().nodename


@pytest.fixture
def drained(local_stack, local_home, monkeypatch):
    """The stack's only worker, which takes no more work."""
    for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMOBATCH_HOME", str(local_home))
    log = local_home / "logs" / "worker.log"
    before = log.read_text().count("no more work is taken")
    until = time.monotonic() + 120
    while main(["admin", "drain", HOST, "--wait", "60"]):  # a stack is ready before its worker has spoken
        assert time.monotonic() < until, "there is no worker"
        time.sleep(0.5)
    while log.read_text().count("no more work is taken") == before:
        assert time.monotonic() < until, "the worker did not hear it"
        time.sleep(0.1)
    yield local_stack
    main(["admin", "drain", HOST, "--undo"])


def test_a_drained_worker_leaves_work_alone_until_it_is_told_otherwise(drained, tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("text\nI love this\n")
    with Client(drained.url, drained.token) as client:
        job = client.create_job(file)
        time.sleep(5)  # over two heartbeats, each of which rings for work that waits
        assert client.status(job.id).state == "queued"
        assert main(["admin", "drain", HOST, "--undo"]) == 0
        assert client.wait(job.id).state == "completed"
