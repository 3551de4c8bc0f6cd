"""API keys: what a program signs in with.

A key reads ``emo_<id>_<secret>``: the id finds the row, the secret (256 random bits) proves it. A secret of that
entropy needs no slow hash: an HMAC with the installation's key is enough, and a stolen table is useless without it.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import BadOption, LimitExceeded, NotFound
from core.models import ApiKey
from core.settings import Settings
from core.states import Scope

PREFIX = "emo"
"""Scanners for leaked secrets know a key by it."""

SECRET_BYTES = 32

MAX_KEYS = 100
"""Keys in force of one account."""

MAX_NAME = 100

USED_WITHIN = timedelta(minutes=1)
"""How exact the time of a key's last use is: a busy key must not write a row for each request."""

_KEY = (ApiKey.id, ApiKey.name, ApiKey.scope, ApiKey.created_at, ApiKey.expires_at, ApiKey.last_used_at, ApiKey.user_id)


@dataclass(frozen=True)
class FoundKey:
    """A key that was presented, right and in force."""

    id: uuid.UUID
    account_id: uuid.UUID
    scope: Scope
    last_used_at: datetime | None

    @property
    def rested(self) -> bool:
        """Whether nobody wrote down of late that it was used."""
        return self.last_used_at is None or self.last_used_at < datetime.now(UTC) - USED_WITHIN


@dataclass(frozen=True)
class KeyInfo:
    """A key as its account sees it. The secret is nowhere."""

    id: uuid.UUID
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    user_id: uuid.UUID | None

    @property
    def hint(self) -> str:
        """How the key begins, for its owner to tell it from others."""
        return f"{PREFIX}_{self.id.hex[:8]}…"

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


def issue_key(
    session: Session,
    settings: Settings,
    account_id: uuid.UUID,
    name: str,
    *,
    scope: Scope = Scope.WRITE,
    lasts: timedelta | None = None,
    user_id: uuid.UUID | None = None,
) -> str:
    """Makes an API key for an account; the secret is returned this once and never stored.

    Args:
        session: speaking for the account, or the operator's.
        settings: with the secret key that hashes the secret.
        account_id: whose rows the key opens.
        name: for people.
        scope: what it may do.
        lasts: until it expires; None: for ever.
        user_id: who makes it.

    Raises:
        BadOption: no name, or too long a one.
        LimitExceeded: the account has too many keys.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise BadOption(f"A key's name has 1 to {MAX_NAME} characters.", next_step="Say what the key is for.")
    in_force = select(func.count(ApiKey.id)).where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None))
    if session.execute(in_force).scalar_one() >= MAX_KEYS:
        raise LimitExceeded(f"There are {MAX_KEYS} keys, as many as are allowed.", next_step="Revoke one.")
    secret = secrets.token_urlsafe(SECRET_BYTES)
    key_id = uuid.uuid4()
    # Only these columns: of the others web may set none.
    session.execute(
        insert(ApiKey).values(
            id=key_id,
            account_id=account_id,
            user_id=user_id,
            name=name,
            secret_hmac=_hmac(settings, secret),
            scope=scope,
            expires_at=datetime.now(UTC) + lasts if lasts else None,
        )
    )
    return f"{PREFIX}_{key_id.hex}_{secret}"


def find(db: Database, settings: Settings, presented: str) -> FoundKey | None:
    """The key that was presented, or None: unknown, wrong, expired or revoked. A glance."""
    prefix, _, rest = presented.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret:
        return None
    try:
        asked = uuid.UUID(hex=key_id)
    except ValueError:
        return None
    row = db.glance("SELECT * FROM find_key(%(id)s)", id=asked)
    if row is None or not hmac.compare_digest(_hmac(settings, secret), row.secret_hmac):
        return None
    return FoundKey(asked, row.account_id, Scope(row.scope), row.last_used_at)


def note_use(session: Session, key_id: uuid.UUID) -> None:
    """Writes down that a key was used. The session speaks for its account."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))


def list_keys(session: Session, account_id: uuid.UUID, user_id: uuid.UUID | None = None) -> list[KeyInfo]:
    """An account's keys that are not revoked, newest first; only a user's own, where one is named."""
    query = select(*_KEY).where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None))
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    rows = session.execute(query.order_by(ApiKey.created_at.desc(), ApiKey.id)).all()
    return [KeyInfo(**{**row._asdict(), "scope": Scope(row.scope)}) for row in rows]


def revoke(session: Session, account_id: uuid.UUID, key_id: uuid.UUID, user_id: uuid.UUID | None = None) -> None:
    """Ends a key and every session that was begun with it, at once: it is looked up on each request.

    Args:
        session: speaking for the account, or the operator's.
        account_id: whose key.
        key_id: which.
        user_id: where given, only if it is this user's own.

    Raises:
        NotFound: unknown, revoked before, another account's, or another user's.
    """
    statement = (
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    if user_id is not None:
        statement = statement.where(ApiKey.user_id == user_id)
    if session.execute(statement).one_or_none() is None:
        raise no_such_key()


def no_such_key() -> NotFound:
    """The one answer for an id that is unknown, revoked or not the asker's."""
    return NotFound("There is no such API key.", next_step="List the keys to see their ids.")


def _hmac(settings: Settings, secret: str) -> bytes:
    return hmac.digest(settings.secret_key.get_secret_value().encode(), secret.encode(), "sha256")
