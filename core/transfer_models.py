"""The tables of files that arrive by pieces, see `core.transfers`; the rest of the schema is `core.models`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables import NEW_ID, NOW, Base


class Transfer(Base):
    """A file on its way in: so many of its bytes are safe, and this is what is to be done with it."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("received BETWEEN 0 AND length", name="received"),
        Index(
            "ix__transfer_resume_key",
            "account_id",
            "resume_key",
            unique=True,
            postgresql_where=text("resume_key IS NOT NULL"),
        ),
        Index("ix__transfer_job_id", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    length: Mapped[int] = mapped_column(BigInteger)
    """Bytes of the whole file."""
    received: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Bytes that lie in storage, from the first on without a gap."""
    options: Mapped[dict[str, Any]]
    """What the sender says about the file, as the options of an upload."""
    resume_key: Mapped[str | None]
    """By which the sender finds it again, until its job is made."""
    idempotency_key: Mapped[str | None]
    lease_token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it is given up, unless more comes."""
    job_id: Mapped[uuid.UUID | None]
    response: Mapped[dict[str, Any] | None]
    """What the sender was answered when the job was made."""


class Piece(Base):
    """Some bytes of a transfer, in a file of their own. Inserted once, never updated."""

    __tablename__ = "piece"

    transfer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("transfer.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Of its first byte, from 0."""
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"))
    bytes: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str]
