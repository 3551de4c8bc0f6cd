"""What the client resumes, against gunicorn: the connection cut anywhere, web killed, the program interrupted."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from core.storage import open_storage
from emobatch import resumable
from emobatch.client import Client
from emobatch.downloading import KEPT
from emobatch.retry import Patience
from tests.web.conftest import TOKEN
from tests.web.test_server import Server, jobs, program, server  # noqa: F401 - fixtures

DATA = b"id,text\n" + b"".join(b"%d,here is some text to read\n" % n for n in range(20_000))
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(resumable, "FROM_BYTES", 1)
    monkeypatch.setattr(resumable, "SLICE", 100_000)


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "long.csv"
    path.write_bytes(DATA)
    return path


@contextmanager
def cutter(port: int, cuts: list[int]) -> Iterator[int]:
    """A proxy's port. Each connection in turn is cut after so many bytes from the client; the rest are left alone."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        left = cuts.pop(0) if cuts else None
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as upstream:
            threading.Thread(target=pump, args=(upstream, client), daemon=True).start()
            while data := client.recv(4096):
                if left is not None and len(data) >= left:
                    upstream.sendall(data[:left])
                    return
                left = None if left is None else left - len(data)
                upstream.sendall(data)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def connect(port: int) -> Client:
    return Client(f"http://127.0.0.1:{port}", TOKEN, patience=Patience(stranger_s=60, first_s=0.02, longest_s=0.5))


@pytest.mark.parametrize("seed", range(3))
def test_a_connection_cut_anywhere_any_number_of_times_makes_one_job(server, program, file, seed):  # noqa: F811
    chance = random.Random(seed)
    cuts = [chance.randrange(1, 150_000) for _ in range(8)]
    with cutter(server.port, cuts) as port, connect(port) as client:
        accepted = client.create_job(file, text_column="text")
    assert len(cuts) < 6, "the proxy cut less than it was to"
    assert accepted.fields["sha256"] == SHA256
    assert accepted.fields["text_column"]["guessed"] is False
    assert [job["id"] for job in jobs(program)] == [accepted.id]


def test_a_web_that_is_killed_meanwhile_costs_nothing(server, program, file):  # noqa: F811
    killed: list[int] = []

    def kill_once(done: int, total: int) -> None:
        if done > total / 2 and not killed:
            killed.extend(server.workers())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    with connect(server.port) as client:
        accepted = client.create_job(file, progress=kill_once)
    assert killed
    assert accepted.fields["sha256"] == SHA256
    assert len(jobs(program)) == 1


class Stop(BaseException):
    """As Ctrl-C."""


def interrupt(client: Client, file: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise Stop

    with pytest.raises(Stop):
        client.create_job(file, progress=stop)


def sent_by(client: Client, file: Path) -> tuple[str, int]:
    """Sends it; its hash, and from which byte on."""
    first: list[int] = []
    accepted = client.create_job(file, progress=lambda done, total: first.append(done))
    return accepted.fields["sha256"], first[0]


def test_another_process_goes_on_with_the_same_file(server, program, file):  # noqa: F811
    with connect(server.port) as client:
        interrupt(client, file)
    with connect(server.port) as client:
        sha256, first = sent_by(client, file)
        assert sha256 == SHA256
        assert first > len(DATA) / 4
        assert len(jobs(program)) == 1
        # Done is done: the same file once more is another job, sent from its beginning.
        assert sent_by(client, file)[1] < len(DATA) / 4
    assert len(jobs(program)) == 2


def test_a_file_that_was_changed_begins_anew(server, program, file):  # noqa: F811
    with connect(server.port) as client:
        interrupt(client, file)
        changed = DATA.replace(b"id,text", b"no,text")
        file.write_bytes(changed)
        sha256, first = sent_by(client, file)
    assert (sha256, first < len(DATA) / 4) == (hashlib.sha256(changed).hexdigest(), True)


def test_one_idempotency_key_makes_one_job_of_two_uploads(server, program, file):  # noqa: F811
    with connect(server.port) as client:
        made = {client.create_job(io.BytesIO(DATA), idempotency_key="k").id for _ in range(2)}
    assert len(made) == len(jobs(program)) == 1


def test_an_upload_that_was_given_up_meanwhile_begins_again(server, program, file, db):  # noqa: F811
    ended: list[int] = []

    def end_once(done: int, total: int) -> None:
        if done > total / 2 and not ended:
            ended.append(done)
            with db.transaction() as session:
                session.execute(text("UPDATE transfer SET expires_at = now(), resume_key = NULL"))

    with connect(server.port) as client:
        assert client.create_job(file, progress=end_once).fields["sha256"] == SHA256


def test_what_the_server_refuses_is_said_as_ever(server, program):  # noqa: F811
    with connect(server.port) as client, pytest.raises(Exception, match="No column of words"):
        client.create_job(io.BytesIO(b"a,b\n1,2\n3,4\n" * 2000))


def test_small_files_go_the_short_way(server, program, file, monkeypatch):  # noqa: F811
    monkeypatch.setattr(resumable, "FROM_BYTES", len(DATA) + 1)
    asked: list[str] = []
    with connect(server.port) as client:
        client._connection._http.event_hooks = {"request": [lambda request: asked.append(request.url.path)]}
        client.create_job(file)
    assert asked == ["/api/v1/jobs"]


def test_a_download_goes_on_though_web_has_forgotten_the_file(server, program, installation, tmp_path):  # noqa: F811
    job_id = program.post("/jobs", params={"text_column": "text"}, content=DATA).json()["id"]
    replace(installation, storage=open_storage((server.log.parent / "storage").as_uri())).run()
    whole = program.get(f"/jobs/{job_id}/results.csv").content
    assert len(whole) > 1_500_000

    def stop(done: int, _: int) -> None:
        if done > 1_200_000:
            raise KeyboardInterrupt

    with connect(server.port) as client, pytest.raises(KeyboardInterrupt) as caught:
        client.download_to(job_id, tmp_path, progress=stop)
    assert caught.value.__notes__ == [KEPT]
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    first: list[int] = []
    with connect(server.port) as client:
        path = client.download_to(job_id, tmp_path, progress=lambda done, total: first.append(done))
    assert first[0] > 1_100_000
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
