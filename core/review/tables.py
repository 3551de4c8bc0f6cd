"""The tables of reviews and corrections, as SQLAlchemy sees them."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.tables import NOW, Base, one_of


class Verdict(StrEnum):
    """What became of a row of a sample; null: it has not been looked at."""

    LABELLED = "labelled"  # the correction of the row says with what
    UNSURE = "unsure"  # whoever was asked cannot tell
    SKIPPED = "skipped"  # comes again at the end


class Review(Base):
    """A sample of a job's rows, drawn in one taxonomy."""

    __tablename__ = "review"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    taxonomy: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    definition: Mapped[dict[str, Any]]
    """`core.taxonomy.Taxonomy` as it was: an own taxonomy may change afterwards."""
    seed: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int]
    """Rows that were asked for."""
    strata: Mapped[dict[str, Any]]
    """Label → rows of the file that have it as their best one, at the time of the draw."""
    crossed: Mapped[dict[str, Any]]
    """Coarser taxonomy → pairs of best labels, here and there, with their rows; counted when first asked for."""
    rows_labelled: Mapped[int]
    """Rows that had labels when the sample was drawn: what it speaks of."""
    drawn_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ReviewRow(Base):
    """One row of a sample."""

    __tablename__ = "review_row"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "taxonomy"],
            ["review.job_id", "review.taxonomy"],
            ondelete="CASCADE",
            name="fk__review_row__job_id__review",
        ),
        CheckConstraint(one_of("verdict", Verdict), name="verdict"),
    )

    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    taxonomy: Mapped[str] = mapped_column(primary_key=True)
    row_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    place: Mapped[int]
    """In the order of asking, from 1."""
    stratum: Mapped[int] = mapped_column(SmallInteger)
    """Index of its best label."""
    logits: Mapped[bytes]
    """A copy of the row's stored numbers, float16, little-endian: thresholds are tried on them."""
    verdict: Mapped[str | None]
    answered_at: Mapped[datetime | None]


class Correction(Base):
    """What a person says of a row, in one taxonomy. It may agree with the model."""

    __tablename__ = "correction"
    __table_args__ = (CheckConstraint("given_in IN ('review', 'rows')", name="given_in"),)

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    taxonomy: Mapped[str] = mapped_column(primary_key=True)
    row_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Names, in the order of the taxonomy; empty: none of them is true."""
    given_in: Mapped[str]
    """``review``: as the answer to a sample; ``rows``: to a row that somebody came across."""
    given_at: Mapped[datetime] = mapped_column(server_default=NOW)
