"""The schema as SQLAlchemy sees it. `migrations/` makes it; a test proves that the two agree.

Policies, roles, functions and the view ``result_row`` live in the migrations only: they are SQL, and Postgres' own.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

import core.review.tables  # noqa: F401 - part of the schema
from core.account_models import (  # noqa: F401 - the schema is whole with them
    DEFAULT_ACCOUNT_ID,
    Account,
    ApiKey,
    BrowserSession,
    Quota,
    Usage,
    User,
)
from core.mended_row import MendedRow as MendedRow
from core.states import ChunkState, IngestState, JobState, UploadState
from core.tables import NEW_ID, NOW, Base, one_of
from core.transfer_models import Piece, Transfer  # noqa: F401 - the schema is whole with them
from core.webhook_models import Delivery, Webhook  # noqa: F401 - the schema is whole with them


class Model(Base):
    """A model version some process has seen: its taxonomies, so that old results can be read for ever."""

    __tablename__ = "model"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Upload(Base):
    """The file as the user sent it: stored once, never changed."""

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint(one_of("state", UploadState), name="state"),
        Index("ix__upload_unsettled", "lease_until", postgresql_where=text("state <> 'stored'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), index=True)
    state: Mapped[str] = mapped_column(server_default=UploadState.RECEIVING)
    key: Mapped[str]
    """Where the bytes lie in storage."""
    canonical_key: Mapped[str | None]
    """Where their canonical UTF-8 form lies, once made; null: the upload is canonical itself."""
    filename: Mapped[str]
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    detected: Mapped[dict[str, Any] | None]
    """`core.table.Format` in force: what was detected, with the overrides applied."""
    overrides: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    lease_token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Job(Base):
    """One upload to be labelled with one model version: the user's unit."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(one_of("state", JobState), name="state"),
        CheckConstraint(one_of("ingest_state", IngestState), name="ingest_state"),
        Index("ix__job_listing", "account_id", "created_at", "id"),
        Index("ix__job_mends_job_id", "mends_job_id", postgresql_where=text("mends_job_id IS NOT NULL")),
        Index("ix__job_parent_job_id", "parent_job_id", postgresql_where=text("parent_job_id IS NOT NULL")),
        Index(
            "ix__job_active", "created_at", postgresql_where=text(one_of("state", ["queued", "ingesting", "running"]))
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    upload_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("upload.id"), index=True)
    """Null once the job has expired and its file is gone."""
    filename: Mapped[str]
    parent_job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("job.id"))
    """The job of the same upload that this one labels again."""
    mends_job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("job.id"))
    """The job some of whose failed rows, fixed, are this one's."""
    state: Mapped[str] = mapped_column(server_default=JobState.QUEUED)
    text_column: Mapped[dict[str, Any]]
    """`core.table.TextColumn`: index, name, whether it was guessed, and why."""
    model_version: Mapped[str]
    model_sha256: Mapped[str] = mapped_column(ForeignKey("model.sha256"))
    options: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    error: Mapped[dict[str, Any] | None]
    """`EmobatchError.to_dict()` of what made the job fail."""
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    """What ingest noticed (`core.table.Warning_`): how often, and where first."""

    revision: Mapped[int] = mapped_column(server_default=text("0"))
    """How often results changed after the job was finished: failed rows were mended."""
    rows_total: Mapped[int] = mapped_column(server_default=text("0"))
    """Rows cut so far; final once ``ingest_state`` is ``done``."""
    rows_ok: Mapped[int] = mapped_column(server_default=text("0"))
    rows_skipped: Mapped[int] = mapped_column(server_default=text("0"))
    rows_failed: Mapped[int] = mapped_column(server_default=text("0"))
    rows_identical: Mapped[int] = mapped_column(server_default=text("0"))
    """Rows whose text a worker had scored before."""
    blank_lines: Mapped[int] = mapped_column(server_default=text("0"))
    chunks_total: Mapped[int] = mapped_column(server_default=text("0"))
    chunks_done: Mapped[int] = mapped_column(server_default=text("0"))
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    label_counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Top labels of the rows done so far: taxonomy → label → count."""
    flag_counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Rows done so far by trust flag (`core.flags`), read in the default taxonomy."""
    runtimes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Labelled rows by what computed their logits: library, version and precision."""

    ingest_state: Mapped[str] = mapped_column(server_default=IngestState.CUTTING)
    ingest_offset: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    ingest_row: Mapped[int] = mapped_column(server_default=text("1"))
    """The data row that starts at ``ingest_offset`` ..."""
    ingest_line: Mapped[int] = mapped_column(server_default=text("1"))
    """... and its physical line."""
    ingest_attempt: Mapped[int] = mapped_column(server_default=text("0"))
    ingest_token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    ingest_lease_until: Mapped[datetime | None]
    ingest_worker_id: Mapped[str | None]
    ingest_not_before: Mapped[datetime] = mapped_column(server_default=NOW)

    ingest_claimed_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    """When chunks of this job were last claimed: among equals the longest waiting goes first."""
    rate: Mapped[float] = mapped_column(server_default=text("0"))
    """Rows per second, as an exponential kernel (see `core.jobs.RATE_TAU_S`) at ``rate_at``."""
    rate_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """Set by its owner: invisible from then on, and removed with its files by the sweeper."""
    traceparent: Mapped[str | None]
    """Trace context of the upload (W3C Trace Context), so that the work done for it joins its trace."""


class Chunk(Base):
    """A run of consecutive records of one upload: the worker's unit."""

    __tablename__ = "chunk"
    __table_args__ = (
        CheckConstraint(one_of("state", ChunkState), name="state"),
        Index("ix__chunk_ready", "job_id", "chunk_no", postgresql_where=text("state = 'ready'")),
        Index("ix__chunk_leased", "lease_until", postgresql_where=text("state = 'leased'")),
    )

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    chunk_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    first_row: Mapped[int]
    first_line: Mapped[int]
    n_rows: Mapped[int]
    byte_start: Mapped[int] = mapped_column(BigInteger)
    byte_end: Mapped[int] = mapped_column(BigInteger)
    crc: Mapped[int] = mapped_column(BigInteger)
    """CRC-32 of the bytes from ``byte_start`` to ``byte_end``."""
    state: Mapped[str] = mapped_column(server_default=ChunkState.READY)
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    """Deaths of a child that held it. From one on it is classified row by row."""
    isolated_row: Mapped[int | None]
    """The row being classified alone, written down before it is tried."""
    lease_token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(server_default=NOW)
    worker_id: Mapped[str | None]


class ResultChunk(Base):
    """What the model said of one chunk. Inserted once; changed where failed rows are mended, and nowhere else."""

    __tablename__ = "result_chunk"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    chunk_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    first_row: Mapped[int]
    n_rows: Mapped[int]
    logits: Mapped[bytes]
    """``n_rows × 28`` float16, little-endian, row-major; NaN where a row was not scored."""
    top_label: Mapped[list[int]]
    """Index into the default taxonomy's labels; -1 where a row was not scored."""
    top_score: Mapped[list[float]]
    status: Mapped[list[int]]
    """`RowStatus` of each row."""
    flags: Mapped[list[int]]
    """`RowFlag` of each row."""
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """Sparse, by index within the chunk: ``{"17": {"windows": 3}}``, ``{"4": {"reason": "..."}}``."""
    label_counts: Mapped[dict[str, Any]]
    model_sha256: Mapped[str]
    lease_token: Mapped[int] = mapped_column(BigInteger)


class Figure(Base):
    """Something counted of a finished job (`core.figures.kept`), as far as it has come."""

    __tablename__ = "figure"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    next_chunk: Mapped[int]
    rows_done: Mapped[int]
    complete: Mapped[bool]
    state: Mapped[bytes]
    """Arrays as `numpy.savez_compressed` writes them. Never a text of the file; values of a column, if it is one."""
    used_at: Mapped[datetime] = mapped_column(server_default=NOW)


class RowPoison(Base):
    """A row on which a child died while it was being classified alone."""

    __tablename__ = "row_poison"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    row_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    code: Mapped[str]
    crashes: Mapped[int]


class Worker(Base):
    """A running worker (a Celery parent), by its last heartbeat. Belongs to no account."""

    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(primary_key=True)
    models: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """sha256 of the model directories it can serve."""
    slots: Mapped[int]
    heartbeat: Mapped[datetime] = mapped_column(server_default=NOW)
    draining: Mapped[bool] = mapped_column(server_default=text("false"))
    """Told to finish what it holds and to take no more."""


class ClassifyRequest(Base):
    """Texts that somebody waits for: the synchronous lane. Unlogged, and deleted once its answer is read."""

    __tablename__ = "classify_request"
    __table_args__ = (
        Index("ix__classify_request_unanswered", "created_at", postgresql_where=text("texts IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    model_sha256: Mapped[str]
    texts: Mapped[bytes | None]
    """JSON list; null once it is answered."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    lease_until: Mapped[datetime | None]
    worker_id: Mapped[str | None]
    logits: Mapped[bytes | None]
    """This and the next three as in `ResultChunk`."""
    status: Mapped[list[int] | None]
    flags: Mapped[list[int] | None]
    detail: Mapped[dict[str, Any] | None]
    scored_s: Mapped[float | None]
    """Seconds that the model took."""


class OwnTaxonomy(Base):
    """A version of a taxonomy that a user made (`core.own_taxonomies`). Inserted once; only ``deleted_at`` changes."""

    __tablename__ = "taxonomy"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    groups: Mapped[list[dict[str, Any]]]
    """In output order: ``{"label": "cross", "members": ["anger", "annoyance"]}``."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]


class Idempotency(Base):
    """The first answer to a request with an ``Idempotency-Key``."""

    __tablename__ = "idempotency"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str | None]
    """Hash of the options and the body; null while the first request is being answered."""
    state: Mapped[str]
    lease_until: Mapped[datetime]
    """While ``in_progress``: after this the key is free again, its holder died. When ``done``: when it is forgotten."""
    job_id: Mapped[uuid.UUID | None]
    response: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (CheckConstraint(one_of("state", ["in_progress", "done"]), name="state"),)
