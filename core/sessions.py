"""Sessions of browsers, kept on the server: a cookie only names one, so each can be seen, and ended, from elsewhere.

A session ends by itself when nobody has used it for a while, and at the latest after some days; at once when the
password or key behind it is changed or revoked, and when the access token is exchanged.
"""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, select, text, update
from sqlalchemy.orm import Session

from core.accounts import Principal
from core.db import Database
from core.errors import NotFound
from core.models import BrowserSession
from core.settings import Settings
from core.states import Role, Scope

SEEN_WITHIN_S = 60.0
"""How exact the time of the last request is: a page that polls must not write a row each time."""

MAX_BROWSER = 60


@dataclass(frozen=True)
class SessionInfo:
    """A session as its owner sees it."""

    id: uuid.UUID
    browser: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


def begin(session: Session, settings: Settings, principal: Principal, browser: str) -> uuid.UUID:
    """Starts a session; the id that the cookie names it by, new each time.

    Args:
        session: speaking for the principal's account.
        settings: how long it lasts.
        principal: who signed in.
        browser: which one, in words.
    """
    session_id = uuid.uuid4()
    by_token = principal.user_id is None and principal.key_id is None
    session.add(
        BrowserSession(
            id=session_id,
            account_id=principal.account_id,
            user_id=principal.user_id,
            key_id=None if principal.user_id else principal.key_id,
            token_mark=_token_mark(settings) if by_token else None,
            browser=browser[:MAX_BROWSER],
            expires_at=func.now() + text("make_interval(secs => :lasts)").bindparams(lasts=settings.session_s),
        )
    )
    session.flush()
    return session_id


def find(db: Database, settings: Settings, session_id: uuid.UUID) -> Principal | None:
    """Who a session belongs to, or None if it is over: one glance, and now and then a note that it was used."""
    row = db.glance("SELECT * FROM find_session(%(id)s, %(idle_s)s)", id=session_id, idle_s=settings.session_idle_s)
    if row is None:
        return None
    if row.token_mark is not None and not _is_token_of(settings, row.token_mark):
        return None
    scope = Scope.ADMIN
    if row.role is not None:
        scope = Role(row.role).scope
    elif row.scope is not None:
        scope = Scope(row.scope)
    if row.rested_s > SEEN_WITHIN_S:
        with db.transaction(row.account_id) as session:
            session.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(seen_at=func.now()))
    return Principal(row.account_id, scope, row.user_id, row.key_id, session_id)


def list_sessions(session: Session, principal: Principal) -> list[SessionInfo]:
    """The sessions of the same user, key or token, the latest used first."""
    columns = (
        BrowserSession.id,
        BrowserSession.browser,
        BrowserSession.created_at,
        BrowserSession.seen_at,
        BrowserSession.expires_at,
    )
    query = select(*columns).where(_theirs(principal), BrowserSession.expires_at > func.now())
    rows = session.execute(query.order_by(BrowserSession.seen_at.desc(), BrowserSession.id)).all()
    return [SessionInfo(**row._asdict()) for row in rows]


def end(session: Session, principal: Principal, session_id: uuid.UUID) -> None:
    """Ends one session of the same user, key or token.

    Raises:
        NotFound: unknown, over, or somebody else's.
    """
    ended = session.execute(
        delete(BrowserSession).where(BrowserSession.id == session_id, _theirs(principal)).returning(BrowserSession.id)
    ).one_or_none()
    if ended is None:
        raise no_such_session()


def end_all(session: Session, principal: Principal, *, but: uuid.UUID | None = None) -> int:
    """Ends every session of the same user, key or token, but the one named; how many."""
    condition = _theirs(principal)
    if but is not None:
        condition = and_(condition, BrowserSession.id != but)
    return len(session.execute(delete(BrowserSession).where(condition).returning(BrowserSession.id)).all())


def _theirs(principal: Principal) -> ColumnElement[bool]:
    mine = BrowserSession.account_id == principal.account_id
    if principal.user_id is not None:
        return and_(mine, BrowserSession.user_id == principal.user_id)
    if principal.key_id is not None:
        return and_(mine, BrowserSession.key_id == principal.key_id)
    return and_(mine, BrowserSession.token_mark.is_not(None))


def no_such_session() -> NotFound:
    """The one answer for an id that is unknown, over, or somebody else's."""
    return NotFound("There is no such session.", next_step="It may be over already.")


def remove_expired(session: Session) -> None:
    """Deletes what is over; for the sweeper."""
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at < func.now()))


def _is_token_of(settings: Settings, mark: str) -> bool:
    there_is_one = bool(settings.access_token.get_secret_value())
    return hmac.compare_digest(mark, _token_mark(settings)) and there_is_one


def _token_mark(settings: Settings) -> str:
    what = "session of " + settings.access_token.get_secret_value()
    return hmac.digest(settings.secret_key.get_secret_value().encode(), what.encode(), "sha256").hex()
