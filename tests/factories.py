"""Rows of the ledger for tests: an account with an upload, a job and chunks, without a file behind them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from core import ledger
from core.accounts import create_account
from core.jobs import create_job
from core.ledger import ChunkLease, ChunkResult, IngestLease, NewChunk, Slice
from core.models import Model, Upload

MODEL = "m" * 64


@dataclass(frozen=True)
class Made:
    """Ids of what was made."""

    account_id: uuid.UUID
    job_id: uuid.UUID
    upload_id: uuid.UUID


def make_model(session: Session, sha256: str = MODEL) -> None:
    """A model version with a taxonomy of two labels."""
    if session.get(Model, sha256) is None:
        ekman = {"labels": ["joy", "neutral"]}
        manifest = {"name": "test", "labels": [], "default_taxonomy": "ekman", "taxonomies": {"ekman": ekman}}
        session.add(Model(sha256=sha256, version="test", manifest=manifest))
        session.flush()


def make_job(session: Session, account_id: uuid.UUID | None = None, *, model: str = MODEL) -> Made:
    """A queued job with a stored upload, of a new account unless one is given."""
    make_model(session, model)
    account_id = account_id or create_account(session, "tester")
    upload = Upload(account_id=account_id, state="stored", key=f"uploads/{uuid.uuid4()}", filename="reviews.csv")
    upload.detected = {}
    session.add(upload)
    session.flush()
    job = create_job(
        session,
        account_id=account_id,
        upload=upload,
        text_column={"index": 0, "name": "text", "guessed": True, "reason": "only column"},
        model_version="test",
        model_sha256=model,
        needs_canonical=False,
        options={},
    )
    return Made(account_id, job.id, upload.id)


def make_cut_job(
    session: Session, n_chunks: int, account_id: uuid.UUID | None = None, *, rows: int = 3, model: str = MODEL
) -> Made:
    """A job whose file is cut: `n_chunks` ready chunks of `rows` rows and ten bytes each."""
    made = make_job(session, account_id, model=model)
    lease = claim_ingest_of(session, made.job_id)
    ledger.commit_slice(session, lease, Slice(tiles(n_chunks, rows), 10 * n_chunks, rows * n_chunks + 1, 9, 0, True))
    return made


def claim_ingest_of(session: Session, job_id: uuid.UUID) -> IngestLease:
    """An ingest lease of this job, whoever's turn it is: the other jobs wait meanwhile."""
    others = {"job_id": job_id}
    session.execute(text("UPDATE job SET ingest_not_before = 'infinity' WHERE id <> :job_id"), others)
    lease = ledger.claim_ingest(session, worker_id="host:1:a/11", lease_s=30)
    session.execute(text("UPDATE job SET ingest_not_before = now() WHERE id <> :job_id"), others)
    assert lease is not None
    assert lease.source.job_id == job_id
    return lease


def tiles(n_chunks: int, rows: int = 3, *, first_row: int = 1, start: int = 0) -> list[NewChunk]:
    """Chunks that follow each other without a gap."""
    return [
        NewChunk(first_row + n * rows, 2 + n * rows, rows, start + 10 * n, start + 10 * (n + 1), 0)
        for n in range(n_chunks)
    ]


def claim(session: Session, worker_id: str = "host:1:a/11", *, limit: int = 1, model: str = MODEL) -> list[ChunkLease]:
    """Leases chunks as a worker does."""
    return ledger.claim_chunks(session, worker_id=worker_id, models=[model], lease_s=30, limit=limit)


def commit(session: Session, lease: ledger.ChunkLease) -> bool:
    """Writes `result_of` a chunk; whether it was the last one of a cut job."""
    return ledger.commit_chunks(session, [(lease, result_of(lease))]).last


def result_of(lease: ChunkLease) -> ChunkResult:
    """A made-up result: every row is joy."""
    n = lease.n_rows
    return ChunkResult(
        logits=np.zeros((n, 28), dtype="<f2").tobytes(),
        top_label=[0] * n,
        top_score=[0.5] * n,
        status=[0] * n,
        flags=[0] * n,
        detail={},
        label_counts={"ekman": {"joy": n}},
        flag_counts={"close": n},
        runtime="made up",
        rows_ok=n,
        rows_skipped=0,
        rows_failed=0,
        rows_identical=0,
    )
