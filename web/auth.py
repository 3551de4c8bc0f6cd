"""Who is asking: a token or API key in ``Authorization``, or the session cookie that a sign-in with one left.

The cookie holds no secret, only what the sign-in was made with: the id of an API key, or a hash of the access token. It
is asked again on every request, so a revoked key or an exchanged token ends its sessions at once.
"""

from __future__ import annotations

import hmac
import uuid
from datetime import timedelta

from flask import Flask, g, request, session
from flask.sessions import SecureCookieSessionInterface

from core import accounts
from core.errors import NotSignedIn
from core.models import DEFAULT_ACCOUNT_ID
from core.settings import Settings
from web.state import state

SESSION_LASTS = timedelta(days=14)

_ACCOUNT, _KEY, _TOKEN = "account", "key", "token"


class SessionCookies(SecureCookieSessionInterface):
    """Flask's signed cookies, marked Secure whenever the request came by https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def configure(app: Flask, settings: Settings) -> None:
    """Sets the app's session cookie up.

    Raises:
        RuntimeError: there is no secret key.
    """
    secret = settings.secret_key.get_secret_value()
    if not secret:
        raise RuntimeError("EMOBATCH_SECRET_KEY is not set: web cannot sign sessions or check API keys without it.")
    app.session_interface = SessionCookies()
    app.config.update(
        SECRET_KEY=secret,
        # Cookies do not know ports: two installations on one machine must not sign each other out.
        SESSION_COOKIE_NAME=f"emobatch_{_digest(settings, 'cookie')[:8]}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=SESSION_LASTS,
    )


def sign_in(presented: str) -> None:
    """Starts a session for the owner of a token or API key.

    Raises:
        NotSignedIn: unknown, expired or revoked.
    """
    settings = state().settings
    presented = presented.strip()
    with state().db.transaction() as db:
        account_id = accounts.authenticate(db, settings, presented)
    session.clear()
    session.permanent = True
    session[_ACCOUNT] = str(account_id)
    if hmac.compare_digest(presented.encode(), settings.access_token.get_secret_value().encode()):
        session[_TOKEN] = _token_mark(settings)
    else:
        session[_KEY] = presented.split("_", 2)[1]


def sign_out() -> None:
    """Ends the session of this browser."""
    session.clear()


def uses_cookie() -> bool:
    """Whether this request is not signed by a header, so that a browser may have been made to send it."""
    return "Authorization" not in request.headers


def require_account() -> uuid.UUID:
    """The account of the current request, asked once per request.

    Raises:
        NotSignedIn: there is no valid token, API key or session.
    """
    if "account_id" not in g:
        g.account_id = _from_cookie() if uses_cookie() else _from_header()
    return g.account_id


def _from_header() -> uuid.UUID:
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise NotSignedIn(
            "The Authorization header is not understood.", next_step="Send 'Authorization: Bearer <token or API key>'."
        )
    with state().db.transaction() as db:
        return accounts.authenticate(db, state().settings, given.token)


def _from_cookie() -> uuid.UUID:
    if _ACCOUNT not in session:
        raise NotSignedIn(
            "This needs a token or API key.",
            next_step="Sign in, or send 'Authorization: Bearer <token or API key>'.",
        )
    account_id = uuid.UUID(session[_ACCOUNT])
    if not (_token_still_good(account_id) if _TOKEN in session else _key_still_good(account_id)):
        session.clear()
        raise NotSignedIn("The session is over.", next_step="Sign in again.")
    return account_id


def _token_still_good(account_id: uuid.UUID) -> bool:
    settings = state().settings
    there_is_one = bool(settings.access_token.get_secret_value())
    same = hmac.compare_digest(str(session[_TOKEN]), _token_mark(settings))
    return there_is_one and same and account_id == DEFAULT_ACCOUNT_ID


def _key_still_good(account_id: uuid.UUID) -> bool:
    key_id = uuid.UUID(hex=session.get(_KEY, uuid.UUID(int=0).hex))
    with state().db.transaction() as db:
        return accounts.key_in_force(db, key_id, account_id)


def _token_mark(settings: Settings) -> str:
    return _digest(settings, "session of " + settings.access_token.get_secret_value())


def _digest(settings: Settings, what: str) -> str:
    return hmac.digest(settings.secret_key.get_secret_value().encode(), what.encode(), "sha256").hex()
