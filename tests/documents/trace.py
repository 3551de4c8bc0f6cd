"""The trace of one job, drawn into docs/monitoring.md: ``python -m tests.documents.trace``.

Real processes (a local stack with the shipped model) send their spans to a small
collector in this process, as they would to any that takes OTLP over HTTP.
"""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.documents.extract import ROOT

PAGE = ROOT / "docs" / "monitoring.md"
MARKS = re.compile(r"(<!-- trace: begin -->\n).*?(<!-- trace: end -->)", re.DOTALL)
WIDTH = 48

STAGES = (
    "POST /api/v1/jobs",
    "upload.receive",
    "upload.inspect",
    "ticket.send",
    "ingest.slice",
    "chunks.fetch",
    "chunks.score",
    "chunks.commit",
    "job.finish",
)
"""Every span of a job's trace, in the order in which they begin."""


@dataclass(frozen=True)
class Span:
    """A span as the collector got it; times in nanoseconds since 1970."""

    name: str
    service: str
    trace_id: str
    parent_id: str
    begin: int
    end: int
    rows: int | None


class Collector:
    """Takes spans over HTTP, as protobuf, on a free port of the loopback."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        """Keeps the spans of one request."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                rows = {one.key: one.value.int_value for one in span.attributes}.get("emobatch.rows")
                self.spans.append(
                    Span(
                        span.name,
                        named["service.name"].removeprefix("emobatch-"),
                        span.trace_id.hex(),
                        span.parent_span_id.hex(),
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        rows,
                    )
                )


def trace_of_a_job() -> list[Span]:
    """Labels examples/reviews.csv on a stack of its own; the spans of that job, in the order in which they began."""
    from emobatch import stack
    from emobatch.client import Client

    collector = Collector()
    os.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with tempfile.TemporaryDirectory() as home, stack.start(home, quiet=True) as running:
        with Client(running.url, running.token) as client:
            client.classify(["warm"])  # the model is loaded before the job comes
            job = client.create_job(ROOT / "examples" / "reviews.csv")
            client.wait(job.id)
        until = time.monotonic() + 30
        while {span.name for span in collector.spans} < set(STAGES) and time.monotonic() < until:
            time.sleep(0.1)
    root = next(span for span in collector.spans if span.name == STAGES[0])
    found = [span for span in collector.spans if span.trace_id == root.trace_id]
    return sorted(found, key=lambda span: (span.begin, STAGES.index(span.name)))


def drawing(spans: list[Span]) -> str:
    """The spans as bars over one line of time."""
    begin, end = spans[0].begin, max(span.end for span in spans)
    lines = []
    for span in spans:
        at = round((span.begin - begin) / (end - begin) * WIDTH)
        long = max(1, round((span.end - span.begin) / (end - begin) * WIDTH))
        name = span.name if not span.parent_id else f"  {span.name}"
        bar = " " * min(at, WIDTH - 1) + "█" * long
        rows = f"  {span.rows} rows" if span.rows else ""
        lines.append(f"{name:19} {span.service:7} {bar:{WIDTH + 1}} {(span.end - span.begin) / 1e6:8.1f} ms{rows}")
    return "\n".join(lines)


def main() -> None:
    """Writes it into the page."""
    spans = trace_of_a_job()
    says = (
        "One job of 300 rows on two busy cores, drawn by `python -m tests.documents.trace`. Fetch, score and commit"
        " overlap: while one bundle of chunks is scored, the next is read and the last committed."
    )
    block = f"{says}\n\n```text\n{drawing(spans)}\n```\n"
    PAGE.write_text(MARKS.sub(lambda found: found[1] + block + found[2], PAGE.read_text()))
    print(f"Wrote {PAGE}")


if __name__ == "__main__":
    main()
