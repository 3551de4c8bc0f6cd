"""Web killed while files come in or go out: no job without its file, no file without its job, one job for each key."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import signal
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import httpx

from tests.faults.corpus import Corpus, corpus
from tests.faults.ground import until
from tests.faults.kinds import Kind
from tests.faults.trial import Feed, Trial

ROWS = 400

WEB = {"EMOBATCH_UPLOAD_LEASE_S": "3", "EMOBATCH_MAX_ACTIVE_JOBS": "5000"}

KEYS, REPEATS = 100, 20


def mid_upload(trial: Trial) -> None:
    """Web dies when a random part of a body has come; the client sends it again under the same key."""
    ground = trial.ground
    made = corpus(ROWS)
    reference = trial.reference(made)
    ground.workers(1)
    jobs: list[Future[str]] = []
    with ThreadPoolExecutor(8) as pool:
        while trial.outcome.count < trial.count:
            key = str(uuid.uuid4())
            connection = http.client.HTTPConnection("127.0.0.1", ground.port, timeout=10)
            whole = trial.random.random() < 0.3
            with suppress(OSError):
                _begin(connection, ground.token, key, made, trial.random.randrange(len(made.data)))
            trial.pause(0.0, 0.05)
            if whole:
                ground.web.kill()
            else:
                for pid in ground.web.children():
                    _kill(pid)
            began = time.monotonic()
            connection.close()
            trial.outcome.count += 1
            jobs.append(pool.submit(_send_again, trial, key, made, began))
            ground.wait_for_web()
        ids = [job.result() for job in jobs]
    _judge_uploads(trial, ids, made, reference)


def _begin(connection: http.client.HTTPConnection, token: str, key: str, made: Corpus, offset: int) -> None:
    connection.putrequest("POST", "/api/v1/jobs?text_column=text")
    for name, value in _headers(token, key, made).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(made.data[:offset])


def _headers(token: str, key: str, made: Corpus) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": key,
        "Content-Type": "text/csv",
        "Content-Length": str(len(made.data)),
    }


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _send_again(trial: Trial, key: str, made: Corpus, began: float) -> str:
    """The job's id, however often web dies meanwhile."""
    with trial.ground.signed_in() as client:
        job = client.create_job(io.BytesIO(made.data), filename="a.csv", text_column="text", idempotency_key=key)
    trial.outcome.worst_s = max(trial.outcome.worst_s, time.monotonic() - began)
    trial.outcome.recovered += 1
    return job.id


def _judge_uploads(trial: Trial, ids: list[str], made: Corpus, reference: bytes) -> None:
    """Each key made one job; each job has its file, whole; and no other file is left."""
    ground = trial.ground
    trial.wait(ids)
    with ground.database() as database:
        jobs = [str(row[0]) for row in database.execute("SELECT id FROM job WHERE filename = 'a.csv'").fetchall()]
        if sorted(jobs) != sorted(ids) or len(set(ids)) != len(ids):
            trial.problem(f"{len(ids)} keys made {len(jobs)} jobs")
        until(
            lambda: database.execute("SELECT count(*) FROM upload WHERE state <> 'stored'").fetchone() == (0,),
            "broken uploads are removed",
        )
        uploads = database.execute("SELECT key, sha256 FROM upload").fetchall()
    files = {path.relative_to(ground.storage).as_posix(): path for path in ground.storage.rglob("*") if path.is_file()}
    if set(files) != {key for key, _ in uploads}:
        trial.problem(f"files without an upload: {sorted(set(files) - {key for key, _ in uploads})[:3]}")
    for key, sha256 in uploads:
        if key not in files or hashlib.sha256(files[key].read_bytes()).hexdigest() != sha256:
            trial.problem(f"the file {key} is not whole")
    for job_id in ids:
        trial.judge(job_id, made, reference)


def stored(trial: Trial) -> None:
    """Web dies when the file is in storage and its job is not in the ledger yet."""
    made = corpus(ROWS)
    reference = trial.reference(made)
    trial.ground.workers(1)
    _arm_web(trial, f"upload-stored:1:{trial.count}")
    ids: list[str] = []
    while len(trial.ground.deaths("upload-stored")) < trial.count and len(ids) < 2 * trial.count + 1:
        ids.append(_send_again(trial, str(uuid.uuid4()), made, time.monotonic()))
    trial.outcome.count = trial.outcome.recovered = len(trial.ground.deaths("upload-stored"))
    _judge_uploads(trial, ids, made, reference)


def download(trial: Trial) -> None:
    """Web dies while it reads for a download; the client begins anew and gets the whole file or none."""
    feed = Feed(trial, 20_000)
    trial.ground.workers(1)
    feed.busy()
    trial.wait(feed.jobs)
    _arm_web(trial, f"download:3:{trial.count}")
    while len(trial.ground.deaths("download")) < trial.count and trial.outcome.jobs < 2 * trial.count + 1:
        began = time.monotonic()
        trial.judge(feed.jobs[0], feed.made, trial.reference(feed.made))
        trial.outcome.worst_s = max(trial.outcome.worst_s, time.monotonic() - began)
    trial.outcome.count = trial.outcome.recovered = len(trial.ground.deaths("download"))


def _arm_web(trial: Trial, failpoints: str) -> None:
    ground = trial.ground
    ground.failpoints_log.unlink(missing_ok=True)
    given: Mapping[str, str] = {
        "EMOBATCH_FAILPOINTS": failpoints,
        "EMOBATCH_FAILPOINTS_LOG": str(ground.failpoints_log),
    }
    ground.web.restart({**ground.web.environment, **given})
    ground.wait_for_web()


def idempotency(trial: Trial) -> None:
    """Each key comes many times at once; there is one job for it, and one answer."""
    ground = trial.ground
    keys = max(1, trial.count // REPEATS)
    made = corpus(20)
    reference = trial.reference(made)
    ground.workers(1)
    answers: dict[str, list[str]] = {}
    together = Barrier(REPEATS)

    def ask(key: str) -> str:
        together.wait(60)
        with httpx.Client(base_url=ground.url, timeout=60) as client:
            while True:
                headers = _headers(ground.token, key, made)
                answer = client.post("/api/v1/jobs?filename=a.csv", content=made.data, headers=headers)
                if answer.status_code not in (409, 503):
                    return f"{answer.status_code} {answer.text}"
                time.sleep(min(1.0, float(answer.headers["Retry-After"])))

    began = time.monotonic()
    with ThreadPoolExecutor(REPEATS) as pool:
        for number in range(keys):
            key = f"key-{number}"
            answers[key] = list(pool.map(ask, [key] * REPEATS))
            trial.outcome.count += REPEATS
            if len(set(answers[key])) == 1 and answers[key][0].startswith("202"):
                trial.outcome.recovered += REPEATS
            else:
                trial.problem(f"{key} was answered {len(set(answers[key]))} ways")
    trial.outcome.notes["seconds for all"] = round(time.monotonic() - began, 1)
    other = corpus(21)
    refused = httpx.post(
        f"{ground.url}/api/v1/jobs?filename=a.csv", content=other.data, headers=_headers(ground.token, "key-0", other)
    )
    if refused.status_code != 422:
        trial.problem(f"another body under the same key was answered {refused.status_code}")
    with ground.database() as database:
        ids = [str(row[0]) for row in database.execute("SELECT id FROM job WHERE filename = 'a.csv'").fetchall()]
    if len(ids) != keys:
        trial.problem(f"{keys} keys made {len(ids)} jobs")
    _judge_uploads(trial, ids, made, reference)


KINDS = [
    Kind("web-upload", "web killed in mid-upload", 50, 420, mid_upload, {"web": WEB}),
    Kind("web-stored", "web killed: upload-stored", 10, 240, stored, {"web": WEB}, sampled=False),
    Kind("web-download", "web killed: download", 10, 240, download, sampled=False),
    Kind(
        "idempotency",
        "100 idempotency keys × 20 at once",
        KEYS * REPEATS,
        300,
        idempotency,
        {"web": WEB},
        sampled=False,
    ),
]
