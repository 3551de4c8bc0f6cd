"""One job, one trace: from the request that brought the file to the commit of its last chunk, and no word of it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from core import log as logs
from core import tracing
from tests.documents.trace import STAGES
from web.app import create_app
from web.state import EXTENSION

FILE = b"id,text\n" + b"".join(b"%d,a secret of mine\n" % n for n in range(9))
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter.get_finished_spans
    tracing.use(None)


@pytest.fixture
def upload(installation):
    """Sends the file as a program does; what the request answered."""
    app = create_app(installation.settings)

    def send(data: bytes = FILE, status: int = 202, **headers: str) -> dict:
        headers |= {"Authorization": "Bearer the-token", "Content-Type": "text/csv"}
        answer = app.test_client().post("/api/v1/jobs?filename=private.csv", data=data, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json

    yield send
    app.extensions[EXTENSION].close()


def test_all_that_is_done_for_a_job_is_one_trace(installation, upload, spans):
    job = upload()
    installation.run(chunk_records=3)
    found = spans()
    assert {span.name for span in found} == set(STAGES)
    assert len({span.context.trace_id for span in found}) == 1
    (root,) = [span for span in found if span.parent is None]
    assert root.name == "POST /api/v1/jobs"
    assert {span.parent.span_id for span in found if span is not root} == {root.context.span_id}
    chunks = [span for span in found if span.name == "chunks.commit"]
    assert sum(span.attributes["emobatch.rows"] for span in chunks) == 9
    assert {span.attributes["emobatch.job_id"] for span in [root, *chunks]} == {job["id"]}


def test_the_trace_goes_on_from_the_callers(upload, spans):
    upload(traceparent=CALLER)
    assert {f"{span.context.trace_id:032x}" for span in spans()} == {CALLER.split("-")[1]}
    upload(traceparent="no such thing")
    assert len({span.context.trace_id for span in spans()}) == 2


def test_jobs_have_traces_of_their_own(installation, upload, spans):
    upload()
    upload()
    installation.run()
    by_trace: dict[int, list[str]] = {}
    for span in spans():
        by_trace.setdefault(span.context.trace_id, []).append(span.name)
    assert [names.count("chunks.commit") for names in by_trace.values()] == [1, 1]


def test_no_word_of_a_user_is_in_a_trace(installation, upload, spans):
    upload()
    upload(b"PK\x03\x04 a secret of mine", status=422)
    installation.run()
    said = "".join(span.to_json() for span in spans())
    assert "chunks.score" in said
    assert '"ERROR"' in said
    assert not [word for word in ("secret", "private.csv", "the-token") if word in said]


def test_without_a_collector_nothing_is_traced_or_sent(installation, upload):
    upload()
    with installation.db.transaction() as session:
        assert session.scalars(text("SELECT traceparent FROM job")).all() == [None]
    code = "import sys, web.app, worker.shift; print([one for one in sys.modules if 'opentelemetry.exporter' in one])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_log_lines_name_the_trace(spans, monkeypatch):
    root = logging.getLogger()
    before, level = root.handlers, root.level
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    try:
        logs.configure("INFO", "json")
        with tracing.span("outer"):
            structlog.get_logger("test").info("inside")
        structlog.get_logger("test").info("outside")
    finally:
        root.handlers, root.level = before, level
        structlog.reset_defaults()
    inside, outside = map(json.loads, said.getvalue().splitlines())
    assert inside["trace_id"] == f"{spans()[0].context.trace_id:032x}"
    assert "trace_id" not in outside
