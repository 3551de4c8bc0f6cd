"""Who is asking: the local token, and API keys.

A key reads ``emo_<id>_<secret>``: the id finds the row, the secret (256 random bits) proves it. A secret of that
entropy needs no slow hash: an HMAC with the installation's key is enough, and a stolen table is useless without it.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from core.errors import NotSignedIn
from core.models import DEFAULT_ACCOUNT_ID, Account, ApiKey
from core.settings import Settings

PREFIX = "emo"


def create_account(session: Session, name: str) -> uuid.UUID:
    """Adds an account; the owner's or worker's session."""
    account = Account(name=name)
    session.add(account)
    session.flush()
    return account.id


def issue_key(session: Session, settings: Settings, account_id: uuid.UUID, name: str) -> str:
    """Makes an API key for an account; the secret is returned this once and never stored."""
    secret = secrets.token_urlsafe(32)
    key = ApiKey(account_id=account_id, name=name, secret_hmac=_hmac(settings, secret))
    session.add(key)
    session.flush()
    return f"{PREFIX}_{key.id.hex}_{secret}"


def authenticate(session: Session, settings: Settings, presented: str) -> uuid.UUID:
    """The account that a token or API key belongs to.

    Raises:
        NotSignedIn: unknown, expired or revoked; which of these is not said.
    """
    token = settings.access_token.get_secret_value()
    if token and hmac.compare_digest(presented.encode(), token.encode()):
        return DEFAULT_ACCOUNT_ID
    parts = presented.split("_", 2)
    if len(parts) == 3 and parts[0] == PREFIX:
        try:
            key_id = uuid.UUID(hex=parts[1])
        except ValueError:
            raise _refused() from None
        row = _find_key(session, key_id)
        if row and hmac.compare_digest(_hmac(settings, parts[2]), row.secret_hmac) and _in_force(row):
            return row.account_id
    raise _refused()


def key_in_force(session: Session, key_id: uuid.UUID, account_id: uuid.UUID) -> bool:
    """Whether a key with which somebody signed in to this account is still neither revoked nor expired."""
    row = _find_key(session, key_id)
    return row is not None and row.account_id == account_id and _in_force(row)


def _find_key(session: Session, key_id: uuid.UUID) -> Row[Any] | None:
    return session.execute(text("SELECT * FROM find_api_key(:id)"), {"id": key_id}).one_or_none()


def _in_force(row: Row[Any]) -> bool:
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > datetime.now(UTC))


def _hmac(settings: Settings, secret: str) -> bytes:
    return hmac.digest(settings.secret_key.get_secret_value().encode(), secret.encode(), "sha256")


def _refused() -> NotSignedIn:
    return NotSignedIn(
        "The token or API key is not valid.",
        next_step="Use the link that `emobatch up` printed, or an API key that is neither revoked nor expired.",
    )
