"""What may be done about an account itself: its keys, by whoever may have some; its members, by its admins."""

from __future__ import annotations

import uuid
from datetime import timedelta

from core import keys
from core.accounts import Principal
from core.errors import NotAllowed, NotFound
from core.keys import KeyInfo, no_such_key
from core.states import Scope
from web.auth import require_principal
from web.state import state


def require_key_manager() -> Principal:
    """Whoever sends the current request, if they may have keys: a user has their own, an admin manages all.

    Raises:
        NotSignedIn, NotAllowed: they may not: a key makes no other keys, unless its scope is "admin".
    """
    principal = require_principal()
    if principal.user_id is None and principal.scope is not Scope.ADMIN:
        raise NotAllowed("This API key may not manage keys.", next_step="Sign in, or use a key with the scope 'admin'.")
    return principal


def own_keys_of(principal: Principal) -> uuid.UUID | None:
    """Whose keys somebody manages: their own; None: all of the account's."""
    return None if principal.scope is Scope.ADMIN else principal.user_id


def list_keys(principal: Principal) -> list[KeyInfo]:
    """The keys that somebody manages."""
    with state().db.transaction(principal.account_id) as db:
        return keys.list_keys(db, principal.account_id, own_keys_of(principal))


def issue_key(principal: Principal, name: str, scope: Scope, days: int | None) -> str:
    """Makes a key; the only time that it can be seen.

    Raises:
        NotAllowed: it would be allowed more than whoever makes it.
        BadOption, LimitExceeded: as `core.keys.issue_key`.
    """
    principal.require(scope)
    with state().db.transaction(principal.account_id) as db:
        return keys.issue_key(
            db,
            state().settings,
            principal.account_id,
            name,
            scope=scope,
            lasts=timedelta(days=days) if days else None,
            user_id=principal.user_id,
        )


def revoke_key(principal: Principal, given: str) -> None:
    """Revokes a key that somebody manages.

    Raises:
        NotFound: there is none with this id for them.
    """
    key_id = as_id(given, no_such_key())
    with state().db.transaction(principal.account_id) as db:
        keys.revoke(db, principal.account_id, key_id, own_keys_of(principal))


def as_id(given: str, missing: NotFound) -> uuid.UUID:
    """The id in an address; what is none is to the asker the same as an id nobody has."""
    try:
        return uuid.UUID(given)
    except ValueError:
        raise missing from None
