"""What people say of rows: kept for each row and taxonomy, beside what the model said and never in place of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core import own_taxonomies, registry
from core.errors import BadOption, NotFound
from core.jobs import no_such_job
from core.ledger import changed
from core.models import Job
from core.review.tables import Correction
from core.taxonomy import Taxonomy

GivenIn = Literal["review", "rows"]

MOST_LABELS = 8
"""A row may be given so many: more is a slip of the hand."""


@dataclass(frozen=True)
class Given:
    """What a person says of one row. No labels: none of the taxonomy's is true."""

    row: int
    labels: tuple[str, ...]
    given_in: str
    given_at: datetime


def taxonomy_of(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, name: str | None) -> tuple[Job, Taxonomy]:
    """A job of an account, and a taxonomy: of the model that labelled it, by default that model's own, or of the user.

    A user's own taxonomy comes under the name of its version, which never changes: what was said in it stays true.

    Raises:
        NotFound: no such job.
        BadOption: neither the model nor the account has such a taxonomy.
    """
    job = session.execute(
        select(Job).where(Job.id == job_id, Job.account_id == account_id, Job.deleted_at.is_(None))
    ).scalar_one_or_none()
    if job is None:
        raise no_such_job()
    model = own_taxonomies.with_own(session, account_id, registry.model_version(session, job.model_sha256), name)
    return job, model.taxonomies[name or model.default_taxonomy]


def in_order(taxonomy: Taxonomy, labels: Sequence[str]) -> list[str]:
    """Labels in the taxonomy's order, each once.

    Raises:
        BadOption: one is unknown, or there are more than `MOST_LABELS`.
    """
    for label in labels:
        if label not in taxonomy.labels:
            raise BadOption(f"label={label!r} is unknown.", next_step=f"Use one of: {', '.join(taxonomy.labels)}.")
    kept = [label for label in taxonomy.labels if label in labels]
    if len(kept) > MOST_LABELS:
        raise BadOption(f"{len(kept)} labels are too many for one row.", next_step=f"Use at most {MOST_LABELS}.")
    return kept


def correct(
    session: Session,
    account_id: uuid.UUID,
    job_id: uuid.UUID,
    row: int,
    labels: Sequence[str],
    *,
    taxonomy: str | None = None,
    given_in: GivenIn = "rows",
) -> Given:
    """Keeps what a person says of a row, in place of what was said of it before.

    Raises:
        NotFound: no such job, or it has no such row.
        BadOption: an unknown taxonomy or label.
    """
    job, chosen = taxonomy_of(session, account_id, job_id, taxonomy)
    _must_be_there(job, row)
    kept = in_order(chosen, labels)
    given_at = session.execute(
        text("""
        INSERT INTO correction (job_id, taxonomy, row_no, account_id, labels, given_in)
        VALUES (:job_id, :taxonomy, :row, :account_id, :labels, :given_in)
        ON CONFLICT (job_id, taxonomy, row_no)
            DO UPDATE SET labels = excluded.labels, given_in = excluded.given_in, given_at = now()
        RETURNING given_at
        """),
        {
            "job_id": job_id,
            "taxonomy": chosen.name,
            "row": row,
            "account_id": account_id,
            "labels": kept,
            "given_in": given_in,
        },
    ).scalar_one()
    return Given(row, tuple(kept), given_in, given_at)


def withdraw(
    session: Session, account_id: uuid.UUID, job_id: uuid.UUID, row: int, *, taxonomy: str | None = None
) -> None:
    """Forgets what was said of a row; a sample that holds it asks again. Nothing happens if nothing was said.

    Raises:
        NotFound, BadOption: as `correct`.
    """
    job, chosen = taxonomy_of(session, account_id, job_id, taxonomy)
    _must_be_there(job, row)
    values = {"job_id": job_id, "taxonomy": chosen.name, "row": row}
    where = "job_id = :job_id AND taxonomy = :taxonomy AND row_no = :row"
    changed(session, f"DELETE FROM correction WHERE {where}", values)  # noqa: S608 - our own words
    changed(
        session,
        f"UPDATE review_row SET verdict = NULL, answered_at = NULL WHERE {where} AND verdict = 'labelled'",  # noqa: S608
        values,
    )


def _must_be_there(job: Job, row: int) -> None:
    if not 1 <= row <= job.rows_total:
        raise NotFound(f"There is no data row {row}.", next_step=f"The file has {job.rows_total} so far.")


def list_corrections(
    session: Session,
    account_id: uuid.UUID,
    job_id: uuid.UUID,
    *,
    taxonomy: str | None = None,
    after: int = 0,
    limit: int = 1_000,
) -> list[Given]:
    """What was said of rows after `after`, in the file's order.

    Raises:
        NotFound, BadOption: as `correct`.
    """
    _, chosen = taxonomy_of(session, account_id, job_id, taxonomy)
    found = session.execute(
        select(Correction.row_no, Correction.labels, Correction.given_in, Correction.given_at)
        .where(Correction.job_id == job_id, Correction.taxonomy == chosen.name, Correction.row_no > after)
        .order_by(Correction.row_no)
        .limit(limit)
    )
    return [Given(row.row_no, tuple(row.labels), row.given_in, row.given_at) for row in found]


def of_rows(session: Session, job_id: uuid.UUID, taxonomy: str, first: int, last: int) -> dict[int, tuple[str, ...]]:
    """What was said of the rows from `first` to `last`: row → labels."""
    found = session.execute(
        select(Correction.row_no, Correction.labels).where(
            Correction.job_id == job_id, Correction.taxonomy == taxonomy, Correction.row_no.between(first, last)
        )
    )
    return {row.row_no: tuple(row.labels) for row in found}


def how_many(session: Session, job_id: uuid.UUID) -> dict[str, int]:
    """Corrected rows of a job in each taxonomy that has any."""
    found = session.execute(
        select(Correction.taxonomy, func.count()).where(Correction.job_id == job_id).group_by(Correction.taxonomy)
    )
    return {row[0]: row[1] for row in found}
