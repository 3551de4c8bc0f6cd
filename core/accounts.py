"""Accounts, and who acts for one: the holder of the access token, an API key, or a user in a session."""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core import keys
from core.db import Database
from core.errors import NotAllowed, NotSignedIn
from core.keys import issue_key
from core.models import DEFAULT_ACCOUNT_ID, Account
from core.settings import Settings
from core.states import Scope

__all__ = ["Principal", "authenticate", "create_account", "is_access_token", "issue_key"]


@dataclass(frozen=True)
class Principal:
    """Who is asking, for which account, and what they may do in it."""

    account_id: uuid.UUID
    scope: Scope
    user_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None
    """The API key that they presented, now or when they signed in. Neither: the access token."""
    session_id: uuid.UUID | None = None

    def require(self, scope: Scope) -> None:
        """Raises NotAllowed unless they may do what `scope` allows."""
        if self.scope.includes(scope):
            return
        if scope is Scope.ADMIN:
            raise NotAllowed("Only an admin of the account may do this.", next_step="Ask one of them.")
        raise NotAllowed("This API key may only read.", next_step="Use a key with the scope 'write'.")


def create_account(session: Session, name: str) -> uuid.UUID:
    """Adds an account; the owner's or worker's session."""
    account = Account(name=name)
    session.add(account)
    session.flush()
    return account.id


def is_access_token(settings: Settings, presented: str) -> bool:
    """Whether this is the installation's access token; never, where there is none."""
    token = settings.access_token.get_secret_value()
    return bool(token) and hmac.compare_digest(presented.encode(), token.encode())


def authenticate(db: Database, settings: Settings, presented: str) -> Principal:
    """Whom a token or API key stands for: one glance at most, and now and then a note that the key was used.

    Raises:
        NotSignedIn: unknown, expired or revoked; which of these is not said.
    """
    if is_access_token(settings, presented):
        return Principal(DEFAULT_ACCOUNT_ID, Scope.ADMIN)
    found = keys.find(db, settings, presented)
    if found is None:
        raise NotSignedIn(
            "The token or API key is not valid.",
            next_step="Use the link that `emobatch up` printed, or an API key that is neither revoked nor expired.",
        )
    if found.rested:
        with db.transaction(found.account_id) as session:
            keys.note_use(session, found.id)
    return Principal(found.account_id, found.scope, key_id=found.id)
