"""What a worker counts: rows and chunks as they are worked off, batches, leases that ran out, sweeps.

The children count most of it, the parent the rest; `worker.exporter` shows all of it on one page.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

import core.metrics  # noqa: F401 - first: it decides how numbers are kept
from core.ledger import ChunkResult

_CHUNK_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)

ROWS = Counter(
    "emobatch_rows_total", "Rows that got their final status here, by model version and status.", ["model", "status"]
)
ROWS_IDENTICAL = Counter(
    "emobatch_rows_identical_total", "Rows whose text had been scored before, so that the model did not run.", ["model"]
)
CHUNKS = Counter("emobatch_chunks_total", "Chunks whose result was committed here, by model version.", ["model"])
CHUNK_S = Histogram(
    "emobatch_chunk_seconds", "From the claim of a chunk to the commit of its result.", ["model"], buckets=_CHUNK_S
)
STAGE_S = Histogram(
    "emobatch_stage_seconds",
    "Seconds of one bundle of chunks in each stage: fetch (claim, read, tokenize), score, commit.",
    ["stage"],
    buckets=_CHUNK_S,
)
BATCH_FILL = Histogram(
    "emobatch_batch_fill_ratio",
    "Tokens of a batch over the budget of tokens; over 1 is one long text that is a batch by itself.",
    buckets=(0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0),
)
STALE = Counter("emobatch_stale_commits_total", "Results of chunks that were refused, because their lease was over.")
POSTPONED = Counter(
    "emobatch_chunks_postponed_total", "Chunks given back, because Postgres or the storage did not answer."
)
LEASES_EXPIRED = Counter("emobatch_lease_expiries_total", "Leases that ran out and were returned by the sweeper.")
CHILD_DEATHS = Counter(
    "emobatch_child_deaths_total",
    "Leases returned of children that died, by what was to blame.",
    ["blame"],
)
SLICES = Counter("emobatch_ingest_slices_total", "Slices of uploads that were cut into chunks.")
ROWS_CUT = Counter("emobatch_ingest_rows_total", "Rows that were cut into chunks.")
JOBS = Counter("emobatch_jobs_finished_total", "Jobs that ended in a worker's hands, by final state.", ["state"])
ANSWERED = Histogram(
    "emobatch_classify_seconds",
    "Seconds of the model for a request of the synchronous lane.",
    buckets=_CHUNK_S,
)
TICKS = Counter("emobatch_ticks_total", "Tickets that were worked off.")
SWEEPS = Counter(
    "emobatch_sweeps_total", "Sweeps by outcome: led, followed (another worker was sweeping), failed.", ["outcome"]
)
SWEEP_S = Histogram("emobatch_sweep_seconds", "Seconds of a sweep that was led.", buckets=_CHUNK_S)
DEAF = Counter("emobatch_worker_restarts_total", "Times that a worker heard no tickets and told itself to go.")

# There from the start, at 0: of a number that appears with its first event Prometheus sees no increase.
for _blame in ("work", "other"):
    CHILD_DEATHS.labels(_blame)
for _outcome in ("led", "followed", "failed"):
    SWEEPS.labels(_outcome)


def count_chunk(model: str, result: ChunkResult, seconds: float) -> None:
    """A chunk's result is committed, `seconds` after its claim."""
    for status, n in (("ok", result.rows_ok), ("empty", result.rows_skipped), ("failed", result.rows_failed)):
        ROWS.labels(model, status).inc(n)
    ROWS_IDENTICAL.labels(model).inc(result.rows_identical)
    CHUNKS.labels(model).inc()
    CHUNK_S.labels(model).observe(seconds)


def count_batches(lengths: NDArray, batches: Sequence[NDArray], token_budget: int) -> None:
    """Batches are about to run.

    Args:
        lengths: (n,) tokens of each window.
        batches: positions into `lengths`, those of one batch all of one length.
        token_budget: tokens that one batch may have.
    """
    for batch in batches:
        BATCH_FILL.observe(len(batch) * int(lengths[batch[0]]) / token_budget)
