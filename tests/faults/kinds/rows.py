"""Rows that crash the process, raise, hang or eat memory: they fail, each with a reason, and no other row does."""

from __future__ import annotations

import io
import time
import uuid

import psycopg

from core.accounts import issue_key
from core.db import Database
from core.settings import Settings
from tests.faults.corpus import CRASH, HANG, MEMORY, RAISE, Corpus, with_texts
from tests.faults.ground import Ground
from tests.faults.kinds import Kind
from tests.faults.trial import Feed, Trial

ROWS = 50_000
SHARES = {CRASH: 0.4, RAISE: 0.3, HANG: 0.15, MEMORY: 0.15}

# A row's time and a tick's are those of a fast engine, and a job may crash as often as it is made to.
PATIENCE = {"EMOBATCH_ISOLATED_ROW_S": "2", "EMOBATCH_TASK_LIMIT_S": "15", "EMOBATCH_CRASH_BUDGET": "1000"}


def poison(trial: Trial) -> None:
    """Forty such rows in 50,000; meanwhile workers are restarted and killed, and another account has a job too."""
    rows = ROWS if trial.count >= 20 else ROWS // 5
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * trial.count))]
    kinds = (kinds + [CRASH] * trial.count)[: trial.count]
    places = trial.random.sample(range(rows), trial.count)
    texts = {place: f"{kind} {place}" for place, kind in zip(places, kinds, strict=True)}
    bad = with_texts(rows, texts)
    plain = Feed(trial, rows)
    other = second_account(trial.ground)
    crew = trial.ground.workers(
        1, slots=2, rows_per_s=2_000, altered={"EMOBATCH_FAULTS_POISON": "1"}, environment=PATIENCE
    )
    trial.ground.wait_for_workers()
    healthy_s = _beside(trial, plain.made, plain.made, other)
    began = time.monotonic()
    poisoned_s = _beside(trial, bad, plain.made, other)
    job_id = _newest(trial, bad)
    # What is left is isolated. A deploy, and a death of the whole worker, are no row's fault.
    for number in range(4 if trial.count >= 20 else 2):
        trial.pause(4, 8)
        if trial.state(job_id) != "running":
            break
        if number % 2:
            crew[0].kill()
        else:
            crew[0].restart()
    trial.wait([job_id], 600)
    trial.outcome.count = trial.count
    verdict = trial.judge(
        job_id,
        bad,
        trial.reference(plain.made),
        must_fail=[bad.ids[place] for place in places],
        ended=["completed_with_errors"],
    )
    trial.outcome.recovered = verdict.failed_rows
    trial.outcome.worst_s = round(time.monotonic() - began, 1)
    trial.outcome.notes |= {
        "rows with labels": verdict.rows - verdict.failed_rows,
        "speed of another account beside it": round(healthy_s / poisoned_s, 2),
    }
    if healthy_s / poisoned_s < 0.8:
        trial.problem(f"another account kept {healthy_s / poisoned_s:.0%} of its speed only")


def second_account(ground: Ground) -> str:
    """An API key of another account."""
    account_id = uuid.uuid4()
    with psycopg.connect(ground.admin_url, autocommit=True) as database:
        database.execute("INSERT INTO account (id, name) VALUES (%s, 'other')", [account_id])
    settings = Settings(
        database_url=ground.servers.database_url,  # type: ignore[arg-type]
        redis_url=ground.servers.redis_url,  # type: ignore[arg-type]
        storage_url=ground.servers.storage_url,
        secret_key=ground.web.environment["EMOBATCH_SECRET_KEY"],  # type: ignore[arg-type]
    )
    database = Database(ground.servers.database_url, None, pool_size=1)
    with database.transaction(account_id) as session:
        key = issue_key(session, settings, account_id, "faults")
    database.close()
    return key


def _beside(trial: Trial, first: Corpus, second: Corpus, key: str) -> float:
    """Seconds that another account's job takes while one of ours runs."""
    trial.upload(first)
    with trial.ground.signed_in(token=key) as client:
        began = time.monotonic()
        job = client.create_job(io.BytesIO(second.data), filename="other.csv", text_column="text")
        client.wait(job.id, timeout_s=300)
        took = time.monotonic() - began
    if first is second:
        with trial.ground.database() as database:
            ids = database.execute("SELECT id::text FROM job WHERE filename <> 'other.csv'").fetchall()
        trial.wait([row[0] for row in ids])
    return took


def _newest(trial: Trial, made: Corpus) -> str:
    with trial.ground.database() as database:
        query = "SELECT id::text FROM job WHERE filename = %s ORDER BY created_at DESC LIMIT 1"
        row = database.execute(query, [f"{made.name}.csv"]).fetchone()
    assert row
    return row[0]


KINDS = [Kind("poison", "rows that crash, raise, hang or eat memory", 40, 600, poison, sampled=False, alone=True)]
