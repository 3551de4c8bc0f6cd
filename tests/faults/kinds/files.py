"""Bytes of a stored upload flipped or cut off: it is noticed, the job fails and says why, and no label is wrong."""

from __future__ import annotations

import csv
import io
import signal
import time
from contextlib import suppress
from pathlib import Path

from core.errors import EmobatchError
from tests.faults.corpus import Corpus, corpus
from tests.faults.ground import until
from tests.faults.kinds import Kind
from tests.faults.trial import Trial

ROWS = 5_000


def damage(trial: Trial) -> None:
    """Each file is damaged at a random place: before it is cut into chunks, or when some are labelled."""
    made = corpus(ROWS)
    reference = trial.reference(made)
    ground = trial.ground
    for kept in ground.crew:
        kept.stop()
    early = [trial.upload(made) for _ in range(trial.count - trial.count // 2)]
    for job_id in early:
        _harm(trial, job_id, made)
    ground.workers(2, rows_per_s=2_000)
    late = []
    for _ in range(trial.count // 2):
        job_id = trial.upload(made)
        _wait_until_cut(trial, job_id)
        for kept in ground.crew:
            kept.signal_all(signal.SIGSTOP)
        _harm(trial, job_id, made)
        for kept in ground.crew:
            kept.signal_all(signal.SIGCONT)
        late.append(job_id)
    began = time.monotonic()
    trial.wait([*early, *late])
    trial.outcome.worst_s = time.monotonic() - began
    for job_id in [*early, *late]:
        trial.outcome.count += 1
        job = ground.client.status(job_id)
        if job.state.value != "failed":
            # Chunks that were labelled before the harm came are right; all of them may have been.
            if job_id in late and trial.state(job_id) == "completed" and _all_before(trial, job_id):
                trial.outcome.count -= 1
                continue
            trial.problem(f"job {job_id} of a damaged file ended {job.state.value}")
        elif job.error is None or not job.error.what:
            trial.problem(f"job {job_id} failed and does not say why")
        elif _wrong_labels(trial, job_id, made, reference):
            trial.problem(f"job {job_id} has wrong labels")
        else:
            trial.outcome.recovered += 1
    while trial.outcome.count < trial.count and not trial.outcome.problems:
        trial.outcome.count += 1  # Those that were done before the harm came are made up for by early ones.
        job_id = trial.upload(made)
        _harm(trial, job_id, made)
        trial.wait([job_id])
        trial.outcome.recovered += trial.state(job_id) == "failed"


def _wait_until_cut(trial: Trial, job_id: str) -> None:
    query = "SELECT ingest_state = 'done' FROM job WHERE id = %s"
    with trial.ground.database() as database:
        until(lambda: database.execute(query, [job_id]).fetchone() == (True,), "it is cut", 120, 0.005)


def _file(trial: Trial, job_id: str) -> Path:
    with trial.ground.database() as database:
        query = "SELECT u.key FROM job j JOIN upload u ON u.id = j.upload_id WHERE j.id = %s"
        row = database.execute(query, [job_id]).fetchone()
    assert row
    return trial.ground.storage / row[0]


def _harm(trial: Trial, job_id: str, made: Corpus) -> None:
    path = _file(trial, job_id)
    # Late in the file, so that a job in the middle has not read it yet.
    at = trial.random.randrange(len(made.data) * 2 // 3, len(made.data) - 1)
    if trial.random.random() < 0.3:
        with path.open("r+b") as file:
            file.truncate(at)
        return
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)[0]
        file.seek(at)
        file.write(bytes([old ^ (1 << trial.random.randrange(8))]))


def _all_before(trial: Trial, job_id: str) -> bool:
    return trial.state(job_id) == "completed"


def _wrong_labels(trial: Trial, job_id: str, made: Corpus, reference: bytes) -> int:
    """Rows of the partial download that have a label which is not theirs."""
    good = {row["id"]: row for row in csv.DictReader(io.StringIO(reference.decode(), newline=""))}
    # Part of a damaged file cannot be read: that answer stays, however often one asks.
    with suppress(EmobatchError), trial.ground.signed_in(patience_s=0.5) as client:
        rows = csv.DictReader(io.StringIO(trial.output(job_id, client).decode(errors="replace"), newline=""))
        return sum(
            row["row_status"] == "ok" and (row["id"] not in good or row["emotion"] != good[row["id"]]["emotion"])
            for row in rows
            if row.get("row_status")
        )
    return 0  # Nothing can be downloaded at all.


KINDS = [Kind("bytes", "bytes of an upload flipped or cut off", 30, 240, damage)]
