"""A worker's metrics: what its work counts, and what its page says of the ledger, also when that is away."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from core.queue import celery_app, ring
from core.settings import Settings
from tests.factories import make_cut_job
from tests.monitoring import free_port
from worker.exporter import Exporter


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Since:
    """What a number has grown by since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._of = lambda: counted(name, **labels)
        self._before = self._of()

    @property
    def more(self) -> float:
        return self._of() - self._before


def test_a_job_is_counted_row_by_row(installation):
    model = installation.model.version
    ok, empty = (Since("emobatch_rows_total", model=model, status=status) for status in ("ok", "empty"))
    chunks, seconds = Since("emobatch_chunks_total", model=model), Since("emobatch_chunk_seconds_count", model=model)
    cut, done = Since("emobatch_ingest_rows_total"), Since("emobatch_jobs_finished_total", state="completed")
    stages = [Since("emobatch_stage_seconds_count", stage=stage) for stage in ("fetch", "score", "commit")]
    installation.accept(b"id,text\n" + b"1,fine\n" * 7 + b"1,\n")
    installation.run(chunk_records=2)
    assert (ok.more, empty.more, cut.more) == (7, 1, 8)
    assert chunks.more == seconds.more == 4
    assert done.more == 1
    assert all(stage.more >= 1 for stage in stages)


def test_a_late_result_is_counted_as_refused(installation):
    stale, rows = Since("emobatch_stale_commits_total"), Since("emobatch_rows_total", model="x", status="ok")
    installation.accept(b"text\nfine\n")
    shift = installation.shift()
    shift._ingest_once()
    bundle = shift._chunks._fetch()
    with installation.db.transaction() as session:
        session.connection().exec_driver_sql("UPDATE chunk SET lease_token = lease_token + 1")
    shift._chunks._commit(bundle, shift._chunks._score(bundle))
    assert (stale.more, rows.more) == (1, 0)


@pytest.fixture
def exporter(make_settings):
    opened = []

    def make(**changes: object) -> tuple[Exporter, Settings]:
        settings = make_settings(metrics_port=free_port(), **changes)
        opened.append(Exporter(settings, celery_app(settings, "test")))
        return opened[-1], settings

    yield make
    for one in opened:
        one.close()


def read(exporter: Exporter) -> dict[tuple, float]:
    text = httpx.get(f"http://127.0.0.1:{exporter.port}/metrics").text
    return {(s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(text) for s in f.samples}


def test_the_page_says_what_waits(db, exporter, redis_url):
    with db.transaction() as session:
        make_cut_job(session, 3)
    one, settings = exporter(redis_url=f"{redis_url.rsplit('/', 1)[0]}/9")
    app = celery_app(settings, "test")
    ring(app, 2)
    said = read(one)
    assert said[("emobatch_backlog_rows", "test")] == 9
    assert said[("emobatch_jobs_active", "running")] == 1
    assert said[("emobatch_tickets_waiting",)] == 2
    assert said[("emobatch_ledger_up",)] == said[("emobatch_broker_up",)] == 1
    assert ("emobatch_sweeps_total", "led") in said
    with app.connection_for_write() as connection:
        connection.default_channel.client.flushdb()


def test_the_page_is_there_when_the_servers_are_not(exporter):
    gone = f"127.0.0.1:{free_port()}"
    one, _ = exporter(database_url=f"postgresql://u:p@{gone}/x", redis_url=f"redis://{gone}/0")
    said = read(one)
    assert said[("emobatch_ledger_up",)] == said[("emobatch_broker_up",)] == 0
    assert ("emobatch_oldest_claimable_seconds",) not in said
    assert ("emobatch_ticks_total",) in said
