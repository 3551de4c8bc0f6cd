"""The load generator against a small server: what it asks, what it counts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

pytest.importorskip("aiohttp", reason="the extra [bench] is not installed")

from benchmarks.load.generator import BLOCK, Generator, Target


class Handler(BaseHTTPRequestHandler):
    """Knows one thing, by its ETag; serves a file; takes another; breaks one path off."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[Counter[str]] = Counter()
    received = 0

    def do_GET(self) -> None:
        type(self).asked[self.headers["Authorization"]] += 1
        if self.path == "/broken":
            self.close_connection = True
            return
        body = b"x" * (BLOCK * 3 if self.path == "/file" else 3)
        known = self.headers["If-None-Match"] == '"now"'
        self.send_response(304 if known else 200)
        self.send_header("ETag", '"now"')
        self.send_header("Content-Length", str(0 if known else len(body)))
        self.end_headers()
        if not known:
            self.wfile.write(body)

    def do_POST(self) -> None:
        while size := int(self.rfile.readline().strip() or b"0", 16):
            type(self).received += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    Handler.asked, Handler.received = Counter(), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_pollers_ask_with_the_last_etag_and_all_answers_are_counted(url):
    seen = Generator(url, seed=1).poll([Target("/job", "a"), Target("/job", "b")], 0.5, 0.1)
    assert seen.statuses[200] == 2
    assert seen.statuses[304] == len(seen.seconds) - 2 > 0
    assert set(Handler.asked) == {"Bearer a", "Bearer b"}


def test_what_is_not_answered_counts_as_no_answer(url):
    seen = Generator(url, seed=1).poll([Target("/broken", "a")], 0.3, 0.1)
    assert set(seen.statuses) == {0}
    assert seen.statuses[0] == len(seen.seconds) > 0


def test_transfers_go_both_ways_until_time_is_up(url):
    moved = Generator(url, seed=1).transfers(Target("/file", "a"), Target("/up", "a"), 2 * BLOCK, 2, 50 * BLOCK, 0.3)
    assert set(moved["download"].statuses) == {200}
    assert set(moved["upload"].statuses) == {202}
    assert Handler.received > BLOCK
