"""A worker's parent: it returns what dead children held, and lays a crash to the chunk a child died of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest
from sqlalchemy import text

from core import ledger
from core.queue import celery_app, waiting
from tests.fixtures import Installation
from worker import trace
from worker.caretaker import Caretaker

FILE = b"text\n" + b"a fine day\n" * 6


@pytest.fixture
def caretaker(installation: Installation):
    trace.prepare()
    app = celery_app(installation.settings, "test")
    with app.connection_for_write() as connection:
        connection.default_channel.client.flushdb()
    return Caretaker(installation.settings, app), app


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def hold(installation: Installation, pid: int) -> list[ledger.ChunkLease]:
    """Leases of child `pid` on a cut job of three chunks."""
    installation.accept(FILE)
    installation.shift(chunk_records=2)._ingest_once()
    with installation.db.transaction() as session:
        return ledger.claim_chunks(
            session, worker_id=trace.worker_id(pid), models=[installation.model.sha256], lease_s=30, limit=3
        )


def last_words(pid: int, words: str) -> None:
    """As a child leaves them."""
    (trace._folder() / str(pid)).write_text(f"{words}\n.\nleft of an earlier line")


def chunks(installation: Installation) -> list:
    with installation.db.transaction() as session:
        return session.execute(text("SELECT state, crashes FROM chunk ORDER BY chunk_no")).all()


def test_a_dead_childs_leases_come_back_and_one_chunk_is_to_blame(installation, caretaker, dead_pid):
    leases = hold(installation, dead_pid)
    last_words(dead_pid, f"{leases[1].source.job_id} 1")
    caretaker[0]._bury()
    assert chunks(installation) == [("ready", 0), ("ready", 1), ("ready", 0)]
    assert waiting(caretaker[1]) == 1


def test_a_child_whose_end_nobody_has_seen_yet_is_dead_and_its_end_still_to_be_seen(installation, caretaker):
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    hold(installation, process.pid)
    caretaker[0]._bury()
    assert [state for state, _ in chunks(installation)] == ["ready"] * 3
    assert process.wait() == 3


def test_chunks_that_were_scored_together_are_all_to_blame_and_their_job_once(installation, caretaker, dead_pid):
    leases = hold(installation, dead_pid)
    last_words(dead_pid, f"{leases[1].source.job_id} 0 2")
    caretaker[0]._bury()
    assert chunks(installation) == [("ready", 1), ("ready", 0), ("ready", 1)]
    with installation.db.transaction() as session:
        assert session.execute(text("SELECT crashes FROM job")).scalar_one() == 1


def test_a_child_that_was_told_to_go_is_not_to_blame(installation, caretaker, dead_pid):
    leases = hold(installation, dead_pid)
    last_words(dead_pid, f"{leases[1].source.job_id} 1")
    caretaker[0].stopping()
    caretaker[0]._bury()
    assert chunks(installation) == [("ready", 0)] * 3


def test_a_living_child_keeps_its_leases(installation, caretaker):
    hold(installation, os.getpid())
    caretaker[0]._bury()
    assert chunks(installation) == [("leased", 0)] * 3


def test_another_workers_children_are_not_ours(installation, caretaker, dead_pid):
    hold(installation, dead_pid)
    with installation.db.transaction() as session:
        session.execute(text("UPDATE chunk SET worker_id = 'elsewhere:1:ffff/' || :pid"), {"pid": str(dead_pid)})
    caretaker[0]._bury()
    assert chunks(installation) == [("leased", 0)] * 3


def test_a_dead_ingest_comes_back(installation, caretaker, dead_pid):
    installation.accept(FILE)
    with installation.db.transaction() as session:
        assert ledger.claim_ingest(session, worker_id=trace.worker_id(dead_pid), lease_s=30)
    caretaker[0]._bury()
    with installation.db.transaction() as session:
        again = ledger.claim_ingest(session, worker_id=trace.worker_id(1), lease_s=30)
    assert again is not None
    assert again.token == 2


def test_a_sweep_says_that_we_live_and_rings_as_often_as_there_is_work(installation, caretaker):
    hold(installation, os.getpid())
    caretaker[0]._sweep()
    assert waiting(caretaker[1]) == 0
    with installation.db.transaction() as session:
        assert session.execute(text("SELECT id, models FROM worker")).all() == [
            (trace.node(), [installation.model.sha256])
        ]
        session.execute(text("UPDATE chunk SET lease_until = now() - interval '1 s'"))
    for _ in range(2):  # ringing again does not pile up tickets
        caretaker[0]._sweep()
        assert waiting(caretaker[1]) == 3


def test_the_last_words_of_a_child_are_readable():
    trace.prepare()
    ours = trace.Trace()
    one, other = uuid.uuid4(), uuid.uuid4()
    with ours.during(one, range(100, 160)):
        assert trace.last_words(os.getpid()) == {(one, number) for number in range(100, 160)}
        with ours.during(other, [7]):
            assert {(one, 100), (other, 7)} < trace.last_words(os.getpid())
    assert trace.last_words(os.getpid()) == frozenset()
    with ours.during(other, [12]):
        assert trace.last_words(os.getpid()) == {(other, 12)}
    assert trace.last_words(0) == frozenset()


def test_a_deaf_worker_is_told_to_go_and_then_killed(installation, caretaker, monkeypatch):
    sent: list[int] = []
    monkeypatch.setattr("worker.caretaker.os.kill", lambda pid, number: sent.append(number))
    monkeypatch.setattr("worker.caretaker.DEAF_S", -1)
    installation.accept(FILE)
    ours, app = caretaker
    ours._sweep()
    assert not sent, "no ticket waited yet"
    assert waiting(app) == 1
    ours._sweep()
    assert not sent, "it may have come just now"
    ours._sweep()
    ours._sweep()
    assert sent == [signal.SIGTERM]
    monkeypatch.setattr("worker.caretaker.GOING_S", -1)
    ours._sweep()
    assert sent == [signal.SIGTERM, signal.SIGKILL]


def test_a_worker_with_work_is_not_deaf(installation, caretaker, monkeypatch):
    sent: list[int] = []
    monkeypatch.setattr("worker.caretaker.DEAF_S", -1)
    ours, app = caretaker
    hold(installation, os.getpid())
    installation.accept(FILE)
    ours._sweep()
    assert waiting(app) == 1
    monkeypatch.setattr("worker.caretaker.os.kill", lambda pid, number: sent.append(number))
    for _ in range(3):
        ours._sweep()
    assert not sent


def test_a_child_ended_by_its_time_limit_leaves_its_last_words():
    trace.prepare()
    ours = trace.Trace()
    job_id = uuid.uuid4()
    with pytest.raises(SystemExit), ours.during(job_id, [7]):
        raise SystemExit  # as Celery's SIGTERM does
    assert trace.last_words(os.getpid()) == {(job_id, 7)}
    with pytest.raises(ValueError, match="passing"), ours.during(job_id, [8]):
        raise ValueError("passing")
    assert (job_id, 8) not in trace.last_words(os.getpid())
