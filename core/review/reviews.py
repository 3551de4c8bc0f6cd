"""Samples of a job's rows: drawn, drawn again, how far they are, removed.

A job has one sample in each taxonomy. What a person says of a row is a correction, whether it was asked for here or
not; the sample only knows which of its rows were answered as part of it, since only those speak for the file.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import BadOption, Conflict, NotFound, NotReady
from core.ledger import changed
from core.ledger.commits import to_json
from core.models import Job
from core.registry import model_version
from core.review.corrections import taxonomy_of
from core.review.draw import MOST, draw
from core.review.tables import Review, Verdict
from core.states import JobState
from core.taxonomy import Taxonomy

LEAST = 10
A_LABEL = 10
"""Rows for each label that a sample has unless somebody says otherwise, within `USUAL`."""
USUAL = (50, 100)


@dataclass(frozen=True)
class Stratum:
    """The rows of one label: in the file, in the sample, answered."""

    label: str
    rows: int
    asked: int
    answered: int


@dataclass(frozen=True)
class Progress:
    """A sample, and how far it is."""

    taxonomy: str
    labels: tuple[str, ...]
    seed: int
    size: int
    """Rows in the sample."""
    answered: int
    unsure: int
    skipped: int
    rows_labelled: int
    """Rows of the file that it speaks of."""
    rows_now: int
    """Rows that have labels by now: more, if the job went on since."""
    drawn_at: datetime
    strata: tuple[Stratum, ...]

    @property
    def left(self) -> int:
        """Rows that wait for an answer, skipped ones included."""
        return self.size - self.answered - self.unsure

    @property
    def outdated(self) -> bool:
        """Whether the job has gone on since, so that the sample does not speak of all of it."""
        return self.rows_now > self.rows_labelled


class Reviews:
    """The samples of all jobs. Cheap to make; safe to share."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def draw(
        self,
        account_id: uuid.UUID,
        job_id: uuid.UUID,
        *,
        taxonomy: str | None = None,
        size: int | None = None,
        seed: int | None = None,
    ) -> Progress:
        """Draws a sample, or draws it again: larger, or from the rows that have been labelled since.

        Answers are kept: a row that is in both samples stays answered, and what was said of the others stays as a
        correction.

        Args:
            size: rows wanted; by default `A_LABEL` for each label, within `USUAL`, or as before.
            seed: of a first draw; by default a random one.

        Raises:
            NotFound: no such job.
            BadOption: an unknown taxonomy, or a size out of range.
            NotReady: no row has a label yet, or the results have expired.
            Conflict: another seed than that of the sample there is.
        """
        if size is not None and not LEAST <= size <= MOST:
            raise BadOption(f"size={size} is out of range.", next_step=f"Use {LEAST} to {MOST}.")
        with self._db.transaction(account_id) as session:
            job, chosen = taxonomy_of(session, account_id, job_id, taxonomy)
            _check_rows(job)
            before = session.get(Review, (job_id, chosen.name))
            stored = chosen.name == model_version(session, job.model_sha256).default_taxonomy
        if before is not None:
            if seed not in (None, before.seed):
                raise Conflict("There is a sample already, drawn with another seed.", next_step="Remove it first.")
            seed = before.seed
            size = size or before.size
        if seed is None:
            seed = secrets.randbits(31)
        if size is None:
            size = usual_size(len(job.label_counts.get(chosen.name, chosen.labels)))
        found = draw(self._db, account_id, job_id, chosen, stored=stored, seed=seed, size=size)
        if not len(found.rows):
            raise _no_rows()
        with self._db.transaction(account_id) as session:
            values = {"job_id": job_id, "taxonomy": chosen.name, "account_id": account_id}
            session.execute(
                _KEEP_REVIEW,
                values
                | {
                    "definition": to_json(chosen.to_dict()),
                    "seed": seed,
                    "size": size,
                    "strata": to_json(dict(zip(chosen.labels, found.counts.tolist(), strict=True))),
                    "rows": int(found.counts.sum()),
                },
            )
            rows = found.rows.tolist()
            changed(
                session,
                """
                DELETE FROM review_row
                WHERE job_id = :job_id AND taxonomy = :taxonomy AND NOT row_no = ANY(CAST(:rows AS integer[]))
                """,
                {"job_id": job_id, "taxonomy": chosen.name, "rows": rows},
            )
            session.execute(
                _KEEP_ROW,
                [
                    values | {"row": row, "place": place, "stratum": stratum, "logits": logits}
                    for place, (row, stratum, logits) in enumerate(
                        zip(rows, found.strata.tolist(), found.logits, strict=True), start=1
                    )
                ],
            )
            return progress(session, account_id, job_id, taxonomy=chosen.name)


def usual_size(labels: int) -> int:
    """Rows of a sample for a file in which so many labels occur."""
    return min(USUAL[1], max(USUAL[0], A_LABEL * labels))


_KEEP_REVIEW = text("""
INSERT INTO review (job_id, taxonomy, account_id, definition, seed, size, strata, crossed, rows_labelled)
VALUES (:job_id, :taxonomy, :account_id, CAST(:definition AS jsonb), :seed, :size, CAST(:strata AS jsonb), '{}', :rows)
ON CONFLICT (job_id, taxonomy) DO UPDATE SET definition = excluded.definition, size = excluded.size,
    strata = excluded.strata, crossed = '{}', rows_labelled = excluded.rows_labelled, drawn_at = now()
""")

_KEEP_ROW = text("""
INSERT INTO review_row (job_id, taxonomy, row_no, account_id, place, stratum, logits)
VALUES (:job_id, :taxonomy, :row, :account_id, :place, :stratum, :logits)
ON CONFLICT (job_id, taxonomy, row_no) DO UPDATE SET place = excluded.place, stratum = excluded.stratum
""")


def progress(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, *, taxonomy: str | None = None) -> Progress:
    """A sample, and how far it is.

    Raises:
        NotFound: no such job, or no sample has been drawn in this taxonomy.
        BadOption: an unknown taxonomy.
    """
    job, review = review_of(session, account_id, job_id, taxonomy)
    labels = Taxonomy.from_dict(review.definition).labels
    tally = session.execute(
        text("""
        SELECT stratum, verdict, count(*) AS n FROM review_row
        WHERE job_id = :job_id AND taxonomy = :taxonomy GROUP BY stratum, verdict
        """),
        {"job_id": job_id, "taxonomy": review.taxonomy},
    ).all()

    def count(verdict: Verdict) -> int:
        return sum(row.n for row in tally if row.verdict == verdict)

    return Progress(
        taxonomy=review.taxonomy,
        labels=labels,
        seed=review.seed,
        size=sum(row.n for row in tally),
        answered=count(Verdict.LABELLED),
        unsure=count(Verdict.UNSURE),
        skipped=count(Verdict.SKIPPED),
        rows_labelled=review.rows_labelled,
        rows_now=job.rows_ok,
        drawn_at=review.drawn_at,
        strata=tuple(
            Stratum(
                label=label,
                rows=review.strata[label],
                asked=sum(row.n for row in tally if row.stratum == at),
                answered=sum(row.n for row in tally if row.stratum == at and row.verdict == Verdict.LABELLED),
            )
            for at, label in enumerate(labels)
        ),
    )


def remove(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, *, taxonomy: str | None = None) -> None:
    """Removes a sample. What was said of its rows stays as corrections. Nothing happens if there is none.

    Raises:
        NotFound: no such job.
        BadOption: an unknown taxonomy.
    """
    _, chosen = taxonomy_of(session, account_id, job_id, taxonomy)
    changed(
        session,
        "DELETE FROM review WHERE job_id = :job_id AND taxonomy = :taxonomy",
        {"job_id": job_id, "taxonomy": chosen.name},
    )


def review_of(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, taxonomy: str | None) -> tuple[Job, Review]:
    """A job and its sample in a taxonomy. Raises as `progress`."""
    job, chosen = taxonomy_of(session, account_id, job_id, taxonomy)
    review = session.get(Review, (job_id, chosen.name))
    if review is None:
        raise NotFound(f"No sample has been drawn in {chosen.name!r}.", next_step="Draw one first.")
    return job, review


def _check_rows(job: Job) -> None:
    if job.state == JobState.EXPIRED or job.upload_id is None:
        raise NotReady("The results have expired and were removed.", next_step="Upload the file again.")
    if not job.rows_ok:
        raise _no_rows()


def _no_rows() -> NotReady:
    return NotReady("No row has a label yet.", next_step="Wait until some are labelled.")
