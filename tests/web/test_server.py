"""The app under gunicorn, as it is run: what only a real socket shows."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from core.db import Database
from tests.web.conftest import CSV, TOKEN

ROOT = Path(__file__).parents[2]
CAP = 64 * 1024 * 1024
PATIENCE_S = 1.5


@dataclass
class Server:
    """A running gunicorn."""

    port: int
    pid: int
    log: Path

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def workers(self) -> list[int]:
        """Processes that answer; gunicorn starts another one in place of each that dies."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def peak_mib(self) -> float:
        """The most memory that any of its processes ever held."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        return max(int(text.split("VmHWM:")[1].split()[0]) for text in status) / 1024

    def send(self, head: str, body: bytes = b"", *, close: bool = True) -> bytes:
        """Sends a request by hand, in two parts, and reads what comes until the server closes or is silent."""
        lines = [head, "Host: localhost", f"Authorization: Bearer {TOKEN}", "Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall("\r\n".join(lines).encode() + body)
            if close:
                sock.shutdown(socket.SHUT_WR)
            answer = b""
            while block := sock.recv(65_536):
                answer += block
            return answer


@pytest.fixture(scope="module")
def server(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "STORAGE_URL": (folder / "storage").as_uri(),
        "EMOBATCH_SECRET_KEY": "k" * 32,
        "EMOBATCH_ACCESS_TOKEN": TOKEN,
        "EMOBATCH_MAX_UPLOAD_BYTES": str(CAP),
        "EMOBATCH_UPLOAD_LEASE_S": str(PATIENCE_S),
    }
    command = [sys.executable, "-m", "gunicorn", "web.wsgi:app", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--threads", "4", "--no-control-socket"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **given}, stdout=log, stderr=log)
    try:
        made = Server(port, process.pid, folder / "log")
        _wait_until_up(made)
        yield made
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_up(server: Server) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"{server.api}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(server.log.read_text())


@pytest.fixture
def program(server: Server, db: Database) -> Iterator[httpx.Client]:
    """A signed-in client of the server; the ledger is empty."""
    with httpx.Client(base_url=server.api, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
        yield client


def jobs(program: httpx.Client) -> list[dict]:
    return program.get("/jobs").json()["jobs"]


def rows(n_bytes: int) -> Iterator[bytes]:
    """A CSV of about so many bytes, block by block."""
    yield b"id,text\n"
    block = b"".join(b"%d,here is some text to read\n" % n for n in range(10_000))
    for _ in range(n_bytes // len(block)):
        yield block


def test_a_chunked_body_is_taken(program):
    made = program.post("/jobs", content=(block for block in [CSV[:7], CSV[7:]]))
    assert made.request.headers["Transfer-Encoding"] == "chunked"
    assert made.status_code == 202
    assert made.json()["bytes"] == len(CSV)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (f"POST /api/v1/jobs HTTP/1.1\r\nContent-Length: {len(CSV)}", CSV[:-10]),
        (f"POST /api/v1/jobs HTTP/1.1\r\nContent-Length: {len(CSV)}", b""),
        ("POST /api/v1/jobs HTTP/1.1\r\nTransfer-Encoding: chunked", b"5\r\na,b\r\n\r\n"),
        ("POST /api/v1/jobs HTTP/1.1\r\nTransfer-Encoding: chunked", b"FF\r\na,b\r\n1,hello there"),
    ],
    ids=["shorter than said", "nothing", "no last chunk", "within a chunk"],
)
def test_half_a_file_is_never_taken_for_a_file(server, program, head, body):
    answer = server.send(head, body)
    assert b" 400 " in answer.splitlines()[0]
    assert b"upload_broke_off" in answer
    assert jobs(program) == []


TUS = {"Tus-Resumable": "1.0.0"}


def begin(program: httpx.Client, length: int) -> str:
    """Begins a resumable upload; its path under the API."""
    made = program.post("/uploads", headers=TUS | {"Upload-Length": str(length)})
    return made.headers["Location"].removeprefix("/api/v1")


def offset(program: httpx.Client, path: str) -> int:
    return int(program.head(path, headers=TUS).headers["Upload-Offset"])


def patch_head(path: str, at: int, length: int) -> str:
    return (
        f"PATCH /api/v1{path} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n"
        f"Upload-Offset: {at}\r\nContent-Length: {length}"
    )


def finish(program: httpx.Client, path: str, data: bytes) -> dict:
    """Sends the rest, as soon as it is let; the job."""
    while True:
        at = offset(program, path)
        headers = TUS | {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
        answer = program.patch(path, headers=headers, content=data[at:])
        if answer.status_code != 423:
            break
        assert answer.headers["Retry-After"]
        time.sleep(0.2)
    assert answer.status_code == 204, answer.text
    return program.get(f"/jobs/{answer.headers['Emobatch-Job']}").json()


@pytest.mark.parametrize("cut", [0, 1, 20, len(CSV) - 1])
def test_what_came_of_a_resumable_upload_before_it_broke_off_is_kept(server, program, cut):
    path = begin(program, len(CSV))
    answer = server.send(patch_head(path, 0, len(CSV)), CSV[:cut])
    assert b"upload_broke_off" in answer
    assert offset(program, path) == cut
    assert finish(program, path, CSV)["bytes"] == len(CSV)


def test_a_second_writer_waits_for_one_that_is_silent_and_not_for_ever(server, program):
    path = begin(program, len(CSV))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as silent:
        head = patch_head(path, 0, len(CSV)) + f"\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        silent.sendall(head.encode() + CSV[:5])
        headers = TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        while (refused := program.patch(path, headers=headers, content=b"")).status_code == 204:
            time.sleep(0.05)  # the silent one's request is not there yet
        assert (refused.status_code, refused.headers["Retry-After"]) == (423, "2")
        assert finish(program, path, CSV)["bytes"] == len(CSV)


def test_a_resumable_upload_survives_the_death_of_web_in_mid_request(server, program):
    data = b"".join(rows(40 * 1024 * 1024))
    path = begin(program, len(data))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sender:
        head = patch_head(path, 0, len(data)) + f"\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        sender.sendall(head.encode())
        sender.sendall(data[: 25 * 1024 * 1024])
        while not offset(program, path):
            time.sleep(0.05)
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
    _wait_until_up(server)
    kept = offset(program, path)
    assert 0 < kept < len(data)
    job = finish(program, path, data)
    assert job["bytes"] == len(data)
    assert len(jobs(program)) == 1
    assert program.post(f"{path}/complete").json()["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_sender_that_stands_still_is_given_up(server, program):
    answer = server.send(f"POST /api/v1/jobs HTTP/1.1\r\nContent-Length: {len(CSV)}", CSV[:-10], close=False)
    assert b"upload_broke_off" in answer
    assert jobs(program) == []


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({}, bytes(CAP + 10_000_000), 413, "limit_exceeded"),
        ({"Authorization": "Bearer wrong"}, bytes(30_000_000), 401, "not_signed_in"),
        ({}, b"\x89PNG\r\n\x1a\n" + bytes(30_000_000), 422, "not_text"),
    ],
)
def test_a_refusal_reaches_a_client_that_sends_first_and_listens_later(server, db, headers, content, status, code):
    """As `requests` and `urllib` do: a connection reset while they send would be all they could tell."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/api/v1/jobs", content, {"Authorization": f"Bearer {TOKEN}", **headers})
    refused = connection.getresponse()
    assert refused.status == status
    assert json.loads(refused.read())["code"] == code
    connection.close()


def test_the_connection_lives_on_after_a_refusal(program):
    assert program.post("/jobs", content=b"").status_code == 422
    assert program.post("/jobs", content=CSV).status_code == 202


def test_large_files_do_not_grow_the_process(server, program):
    """50 MB as a body and as a form: memory stays that of some blocks."""
    raw = program.post("/jobs", content=rows(50_000_000))
    edge = b"--edge\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n"
    parts = (block for part in ([edge], rows(50_000_000), [b"\r\n--edge--\r\n"]) for block in part)
    form = program.post("/jobs", content=parts, headers={"Content-Type": "multipart/form-data; boundary=edge"})
    assert raw.status_code == form.status_code == 202, form.text
    assert raw.json()["sha256"] == form.json()["sha256"]
    assert server.peak_mib() < 200


def test_a_log_line_tells_the_request_and_no_secret(server, program):
    httpx.get(f"http://127.0.0.1:{server.port}/sign-in?token={TOKEN}")
    program.post("/jobs?filename=private-name.csv&text_column=private-column", content=b"text\nprivate words\n")
    log = server.log.read_text()
    assert '"path": "/sign-in"' in log
    assert '"event": "job accepted"' in log
    for secret in (TOKEN, "private", "Bearer"):
        assert secret not in log


def test_an_anonymous_gigabyte_is_refused_at_its_beginning(server, db):
    """The answer is there with 64 KiB sent; whoever goes on is cut off; nothing of it lies on disk."""
    before = sorted(server.log.parent.rglob("*"))
    lines = ["POST /api/v1/jobs HTTP/1.1", "Host: localhost", "Authorization: Bearer wrong"]
    head = "\r\n".join([*lines, f"Content-Length: {1024**3}", "", ""])
    sent = 64 * 1024
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(head.encode() + bytes(sent))
        assert b" 401 " in sock.recv(65_536).splitlines()[0]
        with suppress(OSError):
            while sent < 1024**3:
                sock.sendall(bytes(256 * 1024))
                sent += 256 * 1024
    assert sent < 128 * 1024 * 1024
    assert sorted(server.log.parent.rglob("*")) == before
    with db.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM upload")).scalar_one() == 0
