"""The table of rows that were fixed and sent back; beside `core.models`, which is long enough."""

from __future__ import annotations

import uuid

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.tables import Base


class MendedRow(Base):
    """A failed row that was fixed and sent back: which child job mends it, and where its cells lie in that one's file.

    The child's id is no foreign key, since what it mended outlives it; its file is kept while rows are read from it.
    ``merged`` is false while the child is being labelled; ``own_columns`` stand in its file before the job's own.
    """

    __tablename__ = "mended_row"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    row_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    merged: Mapped[bool] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    child_job_id: Mapped[uuid.UUID]
    child_row: Mapped[int]
    upload_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("upload.id"), index=True)
    byte_start: Mapped[int] = mapped_column(BigInteger)
    byte_end: Mapped[int] = mapped_column(BigInteger)
    own_columns: Mapped[int]
