"""A job cancelled just as it finishes, or deleted just as a chunk is committed: one end, and nothing left behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from core.errors import NotFound
from tests.faults.corpus import corpus
from tests.faults.ground import until
from tests.faults.kinds import Kind
from tests.faults.trial import Trial

AT_ONCE = 4

WEB = {"web": {"EMOBATCH_MAX_ACTIVE_JOBS": "5000"}}
OVER = ("completed", "cancelled")

_ENDS = """
SELECT count(*) FILTER (WHERE state NOT IN ('completed', 'cancelled')),
    count(*) FILTER (WHERE rows_total <> rows_ok + rows_skipped + rows_failed),
    count(*) FILTER (WHERE state = 'completed' AND (chunks_done <> chunks_total OR rows_failed > 0)),
    count(*) FILTER (WHERE finished_at IS NULL),
    count(*) FILTER (WHERE (SELECT coalesce(sum(n_rows), 0) FROM result_chunk r WHERE r.job_id = job.id)
        <> rows_ok + rows_skipped), count(*) FILTER (WHERE state = 'cancelled')
FROM job WHERE id = ANY(%s)
"""


def cancel(trial: Trial) -> None:
    """A cancellation at about the moment when the last chunk is committed."""
    made = corpus(3_000)
    reference = trial.reference(made)
    trial.ground.workers(2)
    trial.ground.wait_for_workers()
    told: dict[str, str] = {}

    def one(number: int) -> None:
        with trial.ground.signed_in() as client:
            job_id = trial.upload(made)
            wanted = trial.random.random() * 6
            until(lambda: _chunks_done(trial, job_id) >= wanted, "its moment has come", pause_s=0.01)
            told[job_id] = client.cancel(job_id).state.value

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(trial.count)))
    time.sleep(2 * trial.ground.lease_s)
    trial.outcome.count = len(told)
    kept = {job_id: trial.state(job_id) for job_id in told}
    trial.outcome.recovered = sum(kept[job_id] == told[job_id] and kept[job_id] in OVER for job_id in told)
    with trial.ground.database() as database:
        counted = database.execute(_ENDS, [list(told)]).fetchone()
        leased = database.execute("SELECT count(*) FROM chunk WHERE state = 'leased'").fetchone()
    assert counted
    names = ("not over", "counters off", "completed and not complete", "without an end", "results off")
    for name, n in [*zip(names, counted, strict=False), ("chunks still leased", leased[0] if leased else 0)]:
        if n:
            trial.problem(f"{name}: {n}")
    trial.outcome.notes["cancelled in time"] = counted[5]
    for job_id, state in list(kept.items())[:: max(1, len(kept) // 20)]:
        if state == "completed":
            trial.judge(job_id, made, reference)


def _chunks_done(trial: Trial, job_id: str) -> int:
    with trial.ground.database() as database:
        row = database.execute("SELECT chunks_done FROM job WHERE id = %s", [job_id]).fetchone()
    return row[0] if row else 0


def delete(trial: Trial) -> None:
    """A deletion at about the moment of a commit: rows and files go, all of them."""
    made = corpus(3_000)
    trial.reference(made)
    trial.ground.workers(2)
    trial.ground.wait_for_workers()
    ids: list[str] = []

    def one(number: int) -> None:
        with trial.ground.signed_in() as client:
            job_id = trial.upload(made)
            wanted = trial.random.random() * 6
            until(lambda: _chunks_done(trial, job_id) >= wanted, "its moment has come", pause_s=0.01)
            with suppress(NotFound):
                client.delete(job_id)
            ids.append(job_id)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(trial.count)))
    began = time.monotonic()
    trial.outcome.count = len(ids)
    with trial.ground.database() as database:

        def left() -> list[int]:
            tables = {"job": "id", "chunk": "job_id", "result_chunk": "job_id", "row_poison": "job_id"}
            found = []
            for table, column in tables.items():
                row = database.execute(f"SELECT count(*) FROM {table} WHERE {column} = ANY(%s)", [ids]).fetchone()
                found.append(row[0] if row else 0)
            return found

        until(lambda: not any(left()), "every row of the deleted jobs is gone")
        trial.outcome.worst_s = time.monotonic() - began
        uploads = database.execute("SELECT key FROM upload").fetchall()
    files = {path.relative_to(trial.ground.storage).as_posix() for path in trial.ground.storage.rglob("*/*")}
    if len(files) > len(uploads):
        trial.problem(f"{len(files) - len(uploads)} files are left")
    trial.outcome.recovered = len(ids)


KINDS = [
    Kind("cancel", "cancel against finish", 300, 420, cancel, WEB, sampled=False),
    Kind("delete", "delete against commit", 100, 240, delete, WEB, sampled=False),
]
