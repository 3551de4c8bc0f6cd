"""Who is asking: a token or API key in ``Authorization``, or the session that a sign-in began.

The cookie holds no secret, only the signed id of a session that Postgres knows. It is asked again on every request, so
a session that was ended, a revoked key, a disabled user or an exchanged token is out at once, in every process.
"""

from __future__ import annotations

import hmac
import uuid
from contextlib import suppress
from functools import partial

from flask import Flask, g, request, session
from flask.sessions import SecureCookieSessionInterface

from core import accounts, passwords, quotas, sessions, users
from core.accounts import Principal
from core.errors import EmobatchError, NotSignedIn
from core.settings import Settings
from core.states import Scope
from core.users import Credentials
from web.state import state

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ID = "id"

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))


class SessionCookies(SecureCookieSessionInterface):
    """Flask's signed cookies; over https Secure, and under a name that no other host can set (``__Host-``)."""

    def get_cookie_name(self, app: Flask) -> str:
        name = super().get_cookie_name(app)
        return f"__Host-{name}" if request.is_secure else name

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
        SESSION_COOKIE_NAME=f"emobatch_{hmac.digest(secret.encode(), b'cookie', 'sha256').hex()[:8]}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=int(settings.session_s),
    )


# --- signing in and out -----------------------------------------------------------------------------------------------


def sign_in(presented: str) -> Principal:
    """Starts a session for the owner of a token or API key.

    Raises:
        NotSignedIn: unknown, expired or revoked.
        TooMany: too many sign-ins failed from there.
    """
    return _begin_session(_authenticate(presented.strip()))


def sign_in_with_password(email: str, password: str) -> Principal:
    """Starts a session for a user.

    Raises:
        NotSignedIn: unknown, disabled, or the wrong password; which of these is not said, and takes the same time.
        TooMany: too many sign-ins failed from there, or for this address.
        Unavailable: too many are signing in.
    """
    found = check_password(email, password)
    rehashed = passwords.rehash(password) if passwords.needs_rehash(found.password_hash) else None
    with state().db.transaction(found.account_id) as db:
        users.note_sign_in(db, found.user_id, rehashed)
    return _begin_session(Principal(found.account_id, found.role.scope, user_id=found.user_id))


def check_password(email: str, password: str) -> Credentials:
    """Whose password this is.

    Raises:
        NotSignedIn, TooMany, Unavailable: as `sign_in_with_password`.
    """
    rates, sender = state().rates, request.remote_addr or ""
    rates.check_address(sender)
    rates.check_guesses(email)
    with state().db.transaction() as db:
        found = users.find_credentials(db, email)
    # No transaction is open meanwhile: this takes some hundredths of a second, on purpose.
    if not passwords.verify(found.password_hash if found else None, password) or found is None:
        rates.count_failure(sender)
        rates.count_guess(email)
        raise NotSignedIn("The e-mail address or the password is not right.", next_step="Check both, and try again.")
    return found


def renew_session(principal: Principal) -> Principal:
    """The same session under another id: what the old one was called is of no use to anybody any more."""
    return _begin_session(principal)


def _begin_session(principal: Principal) -> Principal:
    _end_current()
    with state().db.transaction(principal.account_id) as db:
        session_id = sessions.begin(db, state().settings, principal, browser_in_words())
    session.permanent = True
    session[_ID] = session_id.hex
    begun = Principal(principal.account_id, principal.scope, principal.user_id, principal.key_id, session_id)
    g.principal = begun
    return begun


def sign_out() -> None:
    """Ends the session of this browser, here and on the server."""
    _end_current()


def _end_current() -> None:
    """Whatever session this browser was in: an id is never used for two sign-ins."""
    with suppress(EmobatchError):
        if (found := _find_session()) and found.session_id:
            with state().db.transaction(found.account_id) as db:
                sessions.end(db, found, found.session_id)
    session.clear()
    g.pop("principal", None)


# --- asking who -------------------------------------------------------------------------------------------------------


def uses_cookie() -> bool:
    """Whether this request is not signed by a header, so that a browser may have been made to send it."""
    return "Authorization" not in request.headers


def require_principal() -> Principal:
    """Whoever sends the current request, asked once per request. It says nothing about what they may do.

    Raises:
        NotSignedIn: there is no valid token, API key or session.
        TooMany: there were too many such requests, or too many of the account.
    """
    if "principal" not in g:
        found = _from_cookie() if uses_cookie() else _from_header()
        state().rates.count_request(found.account_id, partial(_requests_a_minute, found.account_id))
        g.principal = found
    return g.principal


def require_account() -> uuid.UUID:
    """The account of the current request, which its sender may do this in: look, or change something.

    Raises:
        NotSignedIn: there is no valid token, API key or session.
        NotAllowed: the key may only read.
    """
    principal = require_principal()
    principal.require(Scope.READ if request.method in SAFE_METHODS else Scope.WRITE)
    return principal.account_id


def require_admin() -> Principal:
    """Whoever sends the current request, an admin of their account.

    Raises:
        NotSignedIn, NotAllowed: they are none.
    """
    principal = require_principal()
    principal.require(Scope.ADMIN)
    return principal


def _requests_a_minute(account_id: uuid.UUID) -> int:
    with state().db.transaction(account_id) as db:
        return quotas.limits_of(db, state().settings, account_id).requests_a_minute


def _from_header() -> Principal:
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise NotSignedIn(
            "The Authorization header is not understood.", next_step="Send 'Authorization: Bearer <token or API key>'."
        )
    return _authenticate(given.token)


def _authenticate(presented: str) -> Principal:
    rates, sender = state().rates, request.remote_addr or ""
    rates.check_address(sender)
    try:
        return accounts.authenticate(state().db, state().settings, presented)
    except NotSignedIn:
        rates.count_failure(sender)
        raise


def _from_cookie() -> Principal:
    if _ID not in session:
        raise NotSignedIn(
            "This needs a token or API key.",
            next_step="Sign in, or send 'Authorization: Bearer <token or API key>'.",
        )
    found = _find_session()
    if found is None:
        session.clear()
        raise NotSignedIn("The session is over.", next_step="Sign in again.")
    return found


def _find_session() -> Principal | None:
    if _ID not in session:
        return None
    return sessions.find(state().db, state().settings, uuid.UUID(hex=session[_ID]))


def browser_in_words() -> str:
    """The browser of the current request, as its owner would say it: "Firefox on Linux"."""
    agent = request.headers.get("User-Agent", "")
    browser = next((words for mark, words in _BROWSERS if f"{mark}/" in agent), "A browser")
    system = next((words for mark, words in _SYSTEMS if mark in agent), "Linux" if "Linux" in agent else "")
    return f"{browser} on {system}" if system else browser
