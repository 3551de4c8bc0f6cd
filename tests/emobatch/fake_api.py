"""A small server that speaks the API and fails on demand: what a client must survive.

The real one is in tests/pipeline. This one keeps what it is asked, takes uploads as the real one does, answers an
`Idempotency-Key` twice alike, and plays the faults that a test queues for a route.
"""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "a-token"
ROUTES = {
    ("POST", r"/jobs"): "create",
    ("GET", r"/jobs"): "list",
    ("GET", r"/jobs/([^/]+)"): "status",
    ("DELETE", r"/jobs/([^/]+)"): "delete",
    ("POST", r"/jobs/([^/]+)/cancel"): "cancel",
    ("GET", r"/jobs/([^/]+)/results\.(?:csv|jsonl)"): "results",
    ("GET", r"/jobs/([^/]+)/rows"): "rows",
    ("GET", r"/jobs/([^/]+)/rows/(\d+)"): "row",
    ("GET", r"/jobs/([^/]+)/rows/(\d+)/words"): "words",
    ("GET", r"/jobs/([^/]+)/summary"): "summary",
    ("POST", r"/jobs/([^/]+)/again"): "again",
    ("GET", r"/jobs/([^/]+)/compare/([^/]+)"): "compare",
    ("GET", r"/models"): "models",
    ("POST", r"/classify"): "classify",
    ("GET", r"/taxonomies"): "taxonomies",
    ("GET", r"/taxonomies/([^/]+)"): "taxonomy",
    ("PUT", r"/taxonomies/([^/]+)"): "change_taxonomy",
    ("POST", r"/taxonomies"): "make_taxonomy",
    ("DELETE", r"/taxonomies/([^/]+)"): "delete_taxonomy",
}


@dataclass
class Answer:
    """One answer; `cut` is how many bytes of the body go out before the connection breaks."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


def problem(
    status: int, code: str, detail: str = "No.", headers: dict[str, str] | None = None, **members: Any
) -> Answer:
    """A problem+json answer."""
    fields = {"type": f"urn:emobatch:problem:{code}", "title": "T", "status": status, "detail": detail, "code": code}
    body = json.dumps(fields | members).encode()
    return Answer(status, body, {"Content-Type": "application/problem+json", **(headers or {})})


DROPPED = Answer(status=0)
"""Nothing at all: the connection breaks, the request unheard."""
LOST = Answer(status=-1)
"""The request is carried out, and its answer lost."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class FakeApi:
    """The server's state; `faults[route]` are played in turn before anything else is done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.faults: dict[str, list[Answer]] = defaultdict(list)
        self.states = ["running", "completed"]
        """What `status` says in turn; the last one stays."""
        self.changes: dict[str, Any] = {}
        """Fields of a status that a test wants otherwise."""
        self.filename = "reviews.labelled.csv"
        self.result = b"text,emotion\r\nfine,joy\r\n"
        self.etag = ""
        """Of `result`, as a header has it; with one there are parts of it."""
        self.cuts: list[int] = []
        """After so many bytes of a body each answer of `results` breaks, until none is left."""
        self.swallow = 0
        """Results that are missing from an answer of `classify`."""
        self.rows: list[dict[str, Any]] = []
        """What `rows` gives, two a page, where a test wants others than one that failed."""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.taxonomies: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def count(self, method: str, ending: str = "") -> int:
        return sum(1 for asked in self.asked if asked.method == method and asked.path.endswith(ending))

    def handle(self, asked: Asked) -> Answer:
        """What to answer to a request."""
        self.asked.append(asked)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "not_signed_in", "The token or API key is not valid.")
        for (method, pattern), name in ROUTES.items():
            if method == asked.method and (found := re.fullmatch(f"/api/v1{pattern}", asked.path)):
                fault = self.faults[name].pop(0) if self.faults[name] else None
                if fault and fault.status >= 0:
                    return fault
                answer = getattr(self, f"_{name}")(asked, *found.groups())
                return LOST if fault else answer
        return problem(404, "not_found", "There is nothing at this address.")

    def _create(self, asked: Asked) -> Answer:
        key = asked.headers["idempotency-key"]
        if key in self.keys:
            body, accepted = self.keys[key]
            assert body == asked.body, "The same key came with another body."
            return _json(accepted, 202)
        rows = list(csv.reader(io.StringIO(asked.body.decode("utf-8", "replace"))))
        if len(rows) < 2:
            return problem(422, "no_rows", "The file has no data rows.", next_step="Add some.")
        job_id = str(uuid.uuid4())
        accepted = {"id": job_id, "filename": asked.query["filename"], "bytes": len(asked.body)}
        self.jobs[job_id] = accepted | {"rows": len(rows) - 1, "looks": 0, "cancelled": False}
        self.keys[key] = (asked.body, accepted)
        return _json(accepted, 202)

    def _status(self, asked: Asked, job_id: str) -> Answer:
        if job_id not in self.jobs:
            return problem(404, "not_found", "There is no such job.", next_step="List your jobs.")
        job = self.jobs[job_id]
        shown = self._show(job)
        job["looks"] += 1
        etag = f'"{shown["state"]}-{shown["rows_ok"]}"'
        if asked.headers.get("if-none-match") == etag:
            return Answer(304, headers={"ETag": etag})
        return _json(shown, headers={"ETag": etag})

    def _show(self, job: dict[str, Any]) -> dict[str, Any]:
        state = self.states[min(job["looks"], len(self.states) - 1)]
        state = "cancelled" if job["cancelled"] else state
        done = state.startswith("completed")
        return {
            "id": job["id"],
            "filename": job["filename"],
            "state": state,
            "created_at": "2026-03-01T10:00:00Z",
            "started_at": "2026-03-01T10:00:01Z",
            "finished_at": "2026-03-01T10:00:03.500000Z" if done else None,
            "rows_total": job["rows"],
            "rows_total_final": True,
            "rows_ok": job["rows"] if done else 0,
            "rows_skipped": 0,
            "rows_failed": job["rows"] if job["cancelled"] else 0,
            "rate": 12.5,
            "eta_s": 3.0,
            "eta_low_s": 2.0,
            "eta_high_s": 4.0,
            "waiting_for": None,
            "error": None,
            "warnings": [],
            "label_counts": {"ekman": {"joy": job["rows"]}, "sentiment": {"positive": job["rows"]}},
            "model_name": "small",
            "model_version": "1.2.0",
            "runtimes": {"null": job["rows"]},
            "format": {"encoding": "utf-8", "delimiter": ",", "has_header": True, "quoting": True, "compression": None},
            "text_column": {"index": 1, "name": "text", "guessed": True, "reason": "its name says so"},
        } | self.changes

    def _list(self, asked: Asked) -> Answer:
        jobs = [self._show(job) for job in self.jobs.values()]
        return _json({"jobs": jobs[: int(asked.query["limit"])], "next": None})

    def _cancel(self, asked: Asked, job_id: str) -> Answer:
        self.jobs[job_id]["cancelled"] = True
        return _json(self._show(self.jobs[job_id]))

    def _delete(self, asked: Asked, job_id: str) -> Answer:
        if self.jobs.pop(job_id, None) is None:
            return problem(404, "not_found")
        return Answer(204)

    def _results(self, asked: Asked, job_id: str) -> Answer:
        name = f"attachment; filename=\"x.csv\"; filename*=UTF-8''{self.filename}"
        headers = {"Content-Type": "text/csv", "Content-Disposition": name}
        headers |= {"ETag": self.etag, "Accept-Ranges": "bytes"} if self.etag else {}
        cut = self.cuts.pop(0) if self.cuts else None
        start = int(asked.headers.get("range", "bytes=0-")[6:-1])
        if not self.etag or not start or asked.headers.get("if-range") != self.etag:
            return Answer(200, self.result, headers, cut)
        total = len(self.result)
        headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        return Answer(206, self.result[start:], headers, cut)

    def _rows(self, asked: Asked, job_id: str) -> Answer:
        if self.rows:
            at = int(asked.query.get("cursor", "0"))
            more = str(at + 2) if at + 2 < len(self.rows) else None
            page = {"rows": self.rows[at : at + 2], "next": more, "total": len(self.rows)}
            return _json(page)
        return _json({"rows": [{"row": 5, "line": 7, "row_status": "failed: crashed the model"}], "next": "5"})

    def _row(self, asked: Asked, job_id: str, row: str) -> Answer:
        return _json({"row": int(row), "scores": {"joy": 0.9}, "taxonomies": {}})

    def _words(self, asked: Asked, job_id: str, row: str) -> Answer:
        return _json({"row": int(row), "label": asked.query.get("label", "joy"), "words": []})

    def _summary(self, asked: Asked, job_id: str) -> Answer:
        return _json({"rows": {"total": 1}, "taxonomies": {"ekman": {"joy": 1}}})

    def _again(self, asked: Asked, job_id: str) -> Answer:
        made = self.jobs[job_id] | {"id": f"{job_id}-again", "looks": 0}
        self.jobs[made["id"]] = made
        return _json(self._show(made), 202)

    def _compare(self, asked: Asked, job_id: str, other_id: str) -> Answer:
        change = {"row": 7, "line": 9, "text": "fine,  I\nguess", "label_before": "joy", "label_after": "neutral"}
        return _json(
            {
                **{"taxonomy": "ekman", "rows": 40, "same": 39, "changed": 1, "agreement": 0.975},
                "pairs": [{"before": "joy", "after": "neutral", "rows": 1}],
                "changes": [change | {"score_before": 0.4, "score_after": 0.5}],
                "next": None,
            }
        )

    def _models(self, asked: Asked) -> Answer:
        own = {"name": "small", "version": "1.1.0", "sha256": "a" * 64, "default": True, "workers": 2}
        old = {"name": "small", "version": "1.0.0", "sha256": "b" * 64, "default": False, "workers": 0}
        return _json({"models": [own, old]})

    def _taxonomies(self, asked: Asked) -> Answer:
        return _json({"taxonomies": [*self.taxonomies.values()]})

    def _taxonomy(self, asked: Asked, name: str) -> Answer:
        name = unquote(name)
        if name not in self.taxonomies:
            return problem(404, "not_found", "There is no such taxonomy.")
        return _json(self.taxonomies[name])

    def _make_taxonomy(self, asked: Asked) -> Answer:
        return self._save_taxonomy(asked, json.loads(asked.body)["name"])

    def _change_taxonomy(self, asked: Asked, name: str) -> Answer:
        known = unquote(name) in self.taxonomies
        return self._save_taxonomy(asked, unquote(name)) if known else problem(404, "not_found")

    def _save_taxonomy(self, asked: Asked, name: str) -> Answer:
        version = self.taxonomies.get(name, {"version": 0})["version"] + 1
        kept = {"name": name, "version": version, "reference": f"{name}@{version}", "deleted": False}
        self.taxonomies[name] = kept | json.loads(asked.body)
        return _json(self.taxonomies[name])

    def _delete_taxonomy(self, asked: Asked, name: str) -> Answer:
        del self.taxonomies[unquote(name)]
        return Answer(204)

    def _classify(self, asked: Asked) -> Answer:
        texts = json.loads(asked.body)["texts"]
        if not 1 <= len(texts) <= 64 or sum(map(len, texts)) > 32_768:
            return problem(422, "bad_option", f"There are {len(texts)} texts.")
        said = {"emotion_score": 0.9, "emotions": ["joy"], "sentiment": "positive", "sentiment_score": 0.8}
        results = [said | {"emotion": f"as {text[:20]}", "row_status": "ok"} for text in texts]
        return _json(
            {"model_version": "1", "model_sha256": "m", "taxonomy": "ekman", "results": results[self.swallow :]}
        )


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.api.handle(Asked(self.command, parts.path, query, headers, body))
        if answer.status <= 0:
            self._hang_up()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status in (204, 304):
            self.end_headers()
            return
        # As gunicorn streams: in chunks, so that an end that is missing shows.
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = answer.body if answer.cut is None else answer.body[: answer.cut]
        if sent:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent))
        if answer.cut is not None:
            self._hang_up()
            return
        self.wfile.write(b"0\r\n\r\n")

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: FakeApi

    def handle_error(self, *_: object) -> None:
        """Says nothing either: clients that are killed hang up in mid-answer."""


@contextmanager
def fake_api() -> Iterator[FakeApi]:
    """A running server, on a free port, for the length of the block."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api = FakeApi(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
