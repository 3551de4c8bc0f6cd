"""A few texts at once, on a stack with nothing else to do, and on one that is busy with a large job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count

from benchmarks.accounts import settings_of
from benchmarks.corpus import write_csv
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure
from benchmarks.single import Trial
from benchmarks.stacks import MEMORY_OFF, LocalStack, started
from core.model_directory import find_model
from core.states import JobState

ASKED = 200
MOST_TEXTS = 64
BATCH_ROWS = 2_000
BUSY_ROWS = 150_000
BATCH_START, BUSY_START = 40_000, 50_000
"""Of the corpus: no text is asked for twice."""
IDLE_MS, OVER_MS = 100, 100

HOW = (
    f"The default model. One client asks `POST /v1/classify` {ASKED} times in a row for one text, and {ASKED // 4} "
    f"times for {MOST_TEXTS}, each text a new one, over HTTP until the answer is read; then again while a job of "
    f"{BUSY_ROWS:,} rows is labelled. The engine's rate is that of a job of {BATCH_ROWS:,} rows. While busy a text may "
    "wait for a chunk more: the rows of a chunk, at that rate."
)


def measure(trial: Trial) -> Group:
    """Latency of one text and of as many as there may be, idle and busy."""
    group = Group("classify", "A few texts at once", HOW)
    asked = trial.size(ASKED, 20)
    start = count(0, MOST_TEXTS)

    def fresh(number: int) -> Sequence[str]:
        return trial.corpus.texts(number, start=next(start))

    with started(MEMORY_OFF, warm_with=trial.corpus.texts(20)) as stack:
        batch = write_csv(trial.path("batch.csv"), trial.corpus.texts(BATCH_ROWS, start=BATCH_START))
        job = stack.client.wait(stack.client.create_job(batch, text_column="text").id, timeout_s=300)
        assert job.seconds, "a job that has ended says how long it took"
        rate = BATCH_ROWS / job.seconds
        settings, mean_bytes = settings_of(stack), batch.stat().st_size / BATCH_ROWS
        chunk_s = min(settings.chunk_records, settings.chunk_text_bytes / mean_bytes) / rate
        one = _timed(stack, [fresh(1) for _ in range(asked)])
        many = _timed(stack, [fresh(MOST_TEXTS) for _ in range(asked // 4)])
        busy = write_csv(trial.path("busy.csv"), trial.corpus.texts(trial.size(BUSY_ROWS, 20_000), start=BUSY_START))
        running = stack.client.create_job(busy, text_column="text").id
        while stack.client.status(running).rows_done == 0:
            time.sleep(0.1)
        beside = _timed(stack, [fresh(1) for _ in range(asked)])
        still = stack.client.status(running).state is JobState.RUNNING
        stack.client.cancel(running)
    group.add("one_ms", "one text, idle, median", Figure.of([one.median]), "ms")
    group.add("one_p95_ms", "95 of 100 within", Figure.of([one.quantile(0.95)]), "ms", at_most(IDLE_MS))
    allowed = 1000 * MOST_TEXTS / rate + OVER_MS
    group.add("many_ms", f"{MOST_TEXTS} texts, idle, median", Figure.of([many.median]), "ms", at_most(round(allowed)))
    group.add("many_p95_ms", "95 of 100 within", Figure.of([many.quantile(0.95)]), "ms")
    group.add("busy_ms", "one text beside a large job, median", Figure.of([beside.median]), "ms")
    most = round(one.quantile(0.95) + 1000 * chunk_s)
    group.add("busy_p95_ms", "95 of 100 within", Figure.of([beside.quantile(0.95)]), "ms", at_most(most))
    group.notes.append(f"{find_model(None).name}: {rate:,.0f} rows/s, a chunk takes {1000 * chunk_s:.0f} ms")
    if not still:
        group.notes.append("the large job ended too early: the busy figures are partly idle ones")
    return group


def _timed(stack: LocalStack, requests: Sequence[Sequence[str]]) -> Figure:
    """Milliseconds of each request."""
    stack.client.classify(["One is not counted."])
    taken = []
    for texts in requests:
        began = time.perf_counter()
        stack.client.classify(texts)
        taken.append(1000 * (time.perf_counter() - began))
    return Figure.of(taken)
