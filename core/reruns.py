"""The same upload labelled again with another model version, so that two versions can be compared on a user's own file.

Nothing is sent again: the new job reads the file that the old one was made from, with the same text column and the same
reading of the file. Old and new stand side by side; neither changes the other.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import jobs, quotas
from core.errors import NotReady
from core.models import Job, Model, Upload
from core.registry import KnownModel
from core.settings import Settings
from core.states import JobState, UploadState
from core.table import Format


def label_again(
    session: Session, account_id: uuid.UUID, job_id: uuid.UUID, model: KnownModel, settings: Settings
) -> uuid.UUID:
    """Makes a job of the upload of `job_id` for another model version; its id. The caller rings afterwards.

    Raises:
        NotFound: unknown, deleted, or another account's.
        NotReady: the file is gone, or was never readable.
        TooMany: the account has too many unfinished jobs, or had as many rows as it may today.
    """
    # Locked: who retires a job takes this row first, and then looks whether another job needs its upload.
    job = session.execute(
        select(Job)
        .where(Job.id == job_id, Job.account_id == account_id, Job.deleted_at.is_(None))
        .with_for_update(key_share=True)
    ).scalar_one_or_none()
    if job is None:
        raise jobs.no_such_job()
    upload = session.get(Upload, job.upload_id) if job.upload_id else None
    if upload is None or upload.state != UploadState.STORED or upload.detected is None:
        raise NotReady("The file of this job is gone.", next_step="Upload it again.")
    quotas.admit_job(session, settings, account_id)
    again = jobs.create_job(
        session,
        account_id=account_id,
        upload=upload,
        text_column=job.text_column,
        model_version=model.version,
        model_sha256=model.sha256,
        needs_canonical=upload.canonical_key is None and Format.from_dict(upload.detected).needs_canonical,
        options=job.options,
    )
    again.parent_job_id = job.id
    session.flush()
    return again.id


@dataclass(frozen=True)
class Sibling:
    """Another job of the same upload and text column."""

    id: uuid.UUID
    state: JobState
    model_name: str
    model_version: str
    created_at: datetime


def siblings(session: Session, account_id: uuid.UUID, job_id: uuid.UUID) -> list[Sibling]:
    """The other jobs of the upload of `job_id` that label the same column, the newest first."""
    upload = select(Job.upload_id).where(Job.id == job_id, Job.account_id == account_id).scalar_subquery()
    column = select(Job.text_column["index"]).where(Job.id == job_id).scalar_subquery()
    rows = session.execute(
        select(Job, func.jsonb_extract_path_text(Model.manifest, "name").label("model_name"))
        .join(Model, Model.sha256 == Job.model_sha256)
        .where(
            Job.account_id == account_id,
            Job.upload_id == upload,
            Job.text_column["index"] == column,
            Job.id != job_id,
            Job.deleted_at.is_(None),
        )
        .order_by(Job.created_at.desc(), Job.id)
    )
    return [
        Sibling(row.Job.id, JobState(row.Job.state), row.model_name, row.Job.model_version, row.Job.created_at)
        for row in rows
    ]
