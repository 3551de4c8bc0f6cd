"""Failed rows, fixed by their owner and sent back: from a file of them to a child job that mends its parent.

The file is what `JobResults.failed` gave: a column with the number of each row, why it failed, and the job's own
columns. It is looked over whole before its job is made, so that whoever sends it hears at once which row is wrong; what
the child's end does to the parent is `core.ledger.mending`'s.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core import jobs
from core.db import Database
from core.errors import Conflict, NotReady
from core.fixed_rows import FixedRows, check_rows, find_format
from core.ledger import changed
from core.models import Job, Upload
from core.states import JobState, RowStatus
from core.table import CheckResult, Format, RecordReader, TextColumn, canonical_blocks
from core.uploads import JobRequest, Uploads

_BATCH = 50_000
_ACTIVE = "('queued', 'ingesting', 'running')"


@dataclass(frozen=True)
class FixRequest(JobRequest):
    """What a user asks for with a file of fixed rows."""

    parent_id: uuid.UUID = field(kw_only=True)

    def fingerprint(self, sha256: str) -> str:
        """As for any file, for this job."""
        return hashlib.sha256(f"{self.parent_id} {super().fingerprint(sha256)}".encode()).hexdigest()


@dataclass(frozen=True)
class Parent:
    """The job whose rows are to be mended, as it was when the file began to arrive."""

    id: uuid.UUID
    format: Format
    text_column: dict[str, Any]
    rows_total: int
    rows_failed: int
    revision: int
    model_sha256: str
    options: dict[str, Any]


class SentBack(Uploads):
    """Takes in one file of fixed rows. What is not said here is as for any upload."""

    _parent: Parent
    _rows: FixedRows

    def _begin(self, account_id: uuid.UUID, request: JobRequest) -> tuple[uuid.UUID, int, int | None]:
        assert isinstance(request, FixRequest)
        with self._db.transaction(account_id) as session:
            self._parent = open_parent(session, account_id, request.parent_id)
        self._account_id = account_id
        return super()._begin(account_id, request)

    def _inspect(self, key: str, check: CheckResult, request: JobRequest) -> tuple[Format, TextColumn]:
        source = partial(self._storage.read_range, key)
        found, own = find_format(source, check, request.overrides.encoding, self._parent.format)
        failed = failed_rows(self._db, self._account_id, self._parent)
        with self._storage.open(key) as packed:
            # Exactly the bytes that the worker will cut: what is canonical already keeps its byte order mark.
            made = canonical_blocks(
                packed,
                found,
                max_unpacked_bytes=self._settings.max_unpacked_bytes,
                max_compression_ratio=self._settings.max_compression_ratio,
            )
            blocks = made if found.needs_canonical else packed
            reader = RecordReader(blocks, found, max_record_bytes=self._settings.max_record_bytes)
            self._rows = check_rows(reader, failed)
        column = self._parent.text_column
        return found, TextColumn(column["index"] + own, column["name"], guessed=False, reason="as in the whole file")

    def _make_job(
        self, session: Session, upload: Upload, request: JobRequest, found: Format, column: TextColumn
    ) -> Job:
        # By the model of the other rows, and no other.
        job = super()._make_job(session, upload, replace(request, model=self._parent.model_sha256), found, column)
        job.mends_job_id = self._parent.id
        job.options = self._parent.options
        session.flush()
        reserve(session, self._parent, job, upload, self._rows, own=column.index - self._parent.text_column["index"])
        return job


def open_parent(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> Parent:
    """A job some of whose rows failed, and may be mended.

    Raises:
        NotFound: unknown, or another account's.
        NotReady: it is not finished, or has expired.
        Conflict: it has no failed row, was stopped, or mends another job itself.
    """
    row = session.execute(
        select(Job, Upload.detected)
        .outerjoin(Upload, Upload.id == Job.upload_id)
        .where(Job.id == job_id, Job.account_id == account_id, Job.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise jobs.no_such_job()
    job: Job = row.Job
    check_mendable(job)
    return Parent(
        id=job.id,
        format=Format.from_dict(row.detected),
        text_column=job.text_column,
        rows_total=job.rows_total,
        rows_failed=job.rows_failed,
        revision=job.revision,
        model_sha256=job.model_sha256,
        options=job.options,
    )


def check_mendable(job: Job) -> None:
    """Whether a job has failed rows that may be fetched, fixed and sent back.

    Raises:
        NotReady: it is not finished, or has expired.
        Conflict: it has none, was stopped, or mends another job itself.
    """
    state = JobState(job.state)
    if job.mends_job_id is not None:
        raise Conflict(
            "This job mends rows of another one: those that failed again are that one's.",
            next_step=f"Get and send back the failed rows of job {job.mends_job_id}.",
        )
    if state.active:
        raise NotReady("The job is not finished.", next_step="Wait for it: until then more rows may fail.")
    if state is JobState.EXPIRED or job.upload_id is None:
        raise NotReady("The results have expired and were removed.", next_step="Upload the file again.")
    if state in (JobState.CANCELLED, JobState.FAILED):
        raise Conflict("The job ended before its last row.", next_step="Upload the whole file again.")
    if state is JobState.COMPLETED:
        raise Conflict("No row of this job has failed.", next_step="There is nothing to mend.")


def failed_rows(db: Database, account_id: uuid.UUID, parent: Parent) -> bytearray:
    """For each row number whether that row has failed: 1, else 0."""
    failed = bytearray(parent.rows_total + 1)
    with db.transaction(account_id) as session:
        chunks = session.execute(
            text("SELECT first_row, status FROM result_chunk WHERE job_id = :id AND :failed = ANY(status)"),
            {"id": parent.id, "failed": int(RowStatus.FAILED)},
        )
        for first_row, status in chunks:
            for row, one in enumerate(status, start=first_row):
                failed[row] = one == RowStatus.FAILED
    return failed


def reserve(session: Session, parent: Parent, job: Job, upload: Upload, rows: FixedRows, *, own: int) -> None:
    """Says which rows a child job is to mend, in the transaction that makes it.

    Args:
        own: how many columns stand before the parent's.

    Raises:
        Conflict: one of them is being mended by another job already, or the parent has changed meanwhile.
    """
    ids = {"parent": parent.id, "child": job.id}
    now = session.execute(
        text("SELECT revision, state FROM job WHERE id = :parent AND deleted_at IS NULL FOR NO KEY UPDATE"), ids
    ).one_or_none()
    if now is None:
        raise jobs.no_such_job()
    if now.revision != parent.revision or now.state != JobState.COMPLETED_WITH_ERRORS:
        raise Conflict(
            "Other rows of the job were mended meanwhile.", next_step="Get its failed rows anew, and send those back."
        )
    # Those of children that ended without a result: they may be sent again.
    changed(
        session,
        f"""
        DELETE FROM mended_row m WHERE m.job_id = :parent AND NOT m.merged AND NOT EXISTS (
            SELECT FROM job c WHERE c.id = m.child_job_id AND c.state IN {_ACTIVE} AND c.deleted_at IS NULL)
        """,  # noqa: S608 - our own constant
        ids,
    )
    for at in range(0, len(rows.numbers), _BATCH):
        part = slice(at, at + _BATCH)
        values = {"rows": rows.numbers[part].tolist(), "parent": parent.id}
        taken = session.execute(
            text("""
            SELECT row_no, child_job_id FROM mended_row
            WHERE job_id = :parent AND NOT merged AND row_no = ANY(:rows) ORDER BY row_no LIMIT 1
            """),
            values,
        ).one_or_none()
        if taken:
            raise Conflict(
                f"Row {taken.row_no:,} was sent back before, and is being labelled.",
                next_step=f"Wait until job {taken.child_job_id} is finished.",
            )
        changed(
            session,
            """
            INSERT INTO mended_row (job_id, row_no, merged, account_id, child_job_id, child_row, upload_id, byte_start,
                byte_end, own_columns)
            SELECT :parent, r.row_no, false, :account, :child, :at + r.nth, :upload, r.start, r.stop, :own
            FROM unnest(CAST(:rows AS integer[]), CAST(:starts AS bigint[]), CAST(:ends AS bigint[]))
                WITH ORDINALITY AS r (row_no, start, stop, nth)
            """,
            values
            | {
                "account": job.account_id,
                "child": job.id,
                "upload": upload.id,
                "at": at,
                "own": own,
                "starts": rows.starts[part].tolist(),
                "ends": rows.ends[part].tolist(),
            },
        )


@dataclass(frozen=True)
class Child:
    """A job that mends rows of another one."""

    id: uuid.UUID
    state: JobState
    rows_total: int
    rows_failed: int


def children(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> list[Child]:
    """The jobs that were made of a job's fixed rows, newest first."""
    query = (
        select(Job.id, Job.state, Job.rows_total, Job.rows_failed)
        .where(Job.mends_job_id == job_id, Job.account_id == account_id, Job.deleted_at.is_(None))
        .order_by(Job.created_at.desc())
        .limit(20)
    )
    return [Child(row.id, JobState(row.state), row.rows_total, row.rows_failed) for row in session.execute(query)]
