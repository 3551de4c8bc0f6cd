"""The half of the schema that says who is there: accounts, their users, keys and sessions, what each may use.

The other half, `core.models`, says what they have made.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.states import Role, Scope
from core.tables import NEW_ID, NOW, Base, one_of

DEFAULT_ACCOUNT_ID = uuid.UUID("00000000-0000-0000-0000-000000000001")
"""The account of the access token; made by the first migration."""


class Account(Base):
    """Who owns uploads and jobs."""

    __tablename__ = "account"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    served: Mapped[float] = mapped_column(server_default=text("0"))
    """Bytes of records claimed of late, as an exponential kernel (`core.ledger.claims.SERVED_TAU_S`) at ``served_at``:
    whoever had least goes first. No index: every claim changes it, and accounts are found by their jobs."""
    served_at: Mapped[datetime] = mapped_column(server_default=NOW)
    cut_at: Mapped[datetime | None]
    """When a slice of one of its uploads was last claimed."""


class ApiKey(Base):
    """What a program signs in with. Only an HMAC of the secret is kept."""

    __tablename__ = "api_key"
    __table_args__ = (CheckConstraint(one_of("scope", Scope), name="scope"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), index=True)
    name: Mapped[str]
    secret_hmac: Mapped[bytes]
    scope: Mapped[str] = mapped_column(server_default=Scope.WRITE)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("app_user.id"), index=True)
    """Who made it; null: the operator, or whoever holds the access token."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """Within a minute."""


class User(Base):
    """Somebody who signs in to an account with an e-mail address and a password."""

    __tablename__ = "app_user"
    __table_args__ = (
        CheckConstraint(one_of("role", Role), name="role"),
        Index("ix__app_user_email", "email", unique=True),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), index=True)
    email: Mapped[str]
    """In lower case; one person, one account."""
    role: Mapped[str] = mapped_column(server_default=Role.MEMBER)
    password_hash: Mapped[str]
    """argon2id in PHC format, its parameters included."""
    password_set_at: Mapped[datetime] = mapped_column(server_default=NOW)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class BrowserSession(Base):
    """One browser that is signed in, with a password, a key or the access token. Ended by deleting its row."""

    __tablename__ = "session"
    __table_args__ = (CheckConstraint("num_nonnulls(user_id, key_id, token_mark) = 1", name="origin"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), index=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"), index=True)
    token_mark: Mapped[str | None]
    """A keyed hash of the access token: another token ends its sessions."""
    browser: Mapped[str] = mapped_column(server_default=text("''"))
    """Browser and system, for its owner to know it again."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    """Within a minute."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Quota(Base):
    """What one account may use, where that is not what the settings say. Null: the setting."""

    __tablename__ = "quota"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    active_jobs: Mapped[int | None]
    uploads: Mapped[int | None]
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    rows_a_day: Mapped[int | None] = mapped_column(BigInteger)
    requests_a_minute: Mapped[int | None]


class Usage(Base):
    """What an account used on one day, by UTC."""

    __tablename__ = "usage"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    rows: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
