"""The page of one's account: keys, password, sessions, limits; and for its admins the members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from core import passwords, quotas, sessions, users
from core.accounts import Principal
from core.errors import BadOption, EmobatchError, NotFound, NotSignedIn
from core.models import Account
from core.states import Role, Scope
from web import auth, members, problems
from web.auth import require_admin, require_principal
from web.state import state

account_page = APIBlueprint("account_page", __name__, enable_openapi=False)

DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "never"))


def install(app: Flask) -> None:
    """Adds the page to the app."""
    app.register_blueprint(account_page)


@account_page.before_request
def sign_in_first() -> None:
    """Before the body is read. Looking after one's own session takes no scope."""
    require_principal()


@account_page.get("/account")
def show() -> Any:
    """The page."""
    return _page()


def _page(
    problem: dict[str, Any] | None = None, *, new_key: str = "", new_member: tuple[str, str] | None = None
) -> str:
    """The page, with what is shown this once: a key, or a member's first password."""
    principal = require_principal()
    settings = state().settings
    with state().db.transaction(principal.account_id) as db:
        account = db.get_one(Account, principal.account_id)
        user = users.get(db, principal.account_id, principal.user_id) if principal.user_id else None
        found = {
            "limits": quotas.limits_of(db, settings, principal.account_id),
            "use": quotas.use_of(db, principal.account_id),
            "sessions": sessions.list_sessions(db, principal),
            "members": users.list_users(db, principal.account_id) if _is_admin(principal) else [],
        }
    manages = principal.user_id is not None or _is_admin(principal)
    return render_template(
        "account.html",
        principal=principal,
        account=account,
        user=user,
        admin=_is_admin(principal),
        keys=members.list_keys(principal) if manages else None,
        scopes=[scope for scope in Scope if principal.scope.includes(scope)],
        days=DAYS,
        min_length=passwords.MIN_LENGTH,
        problem=problem,
        new_key=new_key,
        new_member=new_member,
        **found,
    )


def _is_admin(principal: Principal) -> bool:
    return principal.scope is Scope.ADMIN


def _said_here(act: Callable[[], Any]) -> Any:
    """What an act answers; a mistake is told on the page, beside the forms."""
    try:
        return act()
    except (NotSignedIn, NotFound):
        raise
    except EmobatchError as error:
        document = problems.of_error(error)
        return _page(document), document["status"]


def _back(words: str) -> Response:
    flash(words)
    return redirect(url_for("account_page.show"), 303)


# --- keys -------------------------------------------------------------------------------------------------------------


@account_page.post("/account/keys")
def post_key() -> Any:
    """Makes a key, and shows it this once."""
    principal = members.require_key_manager()

    def act() -> Any:
        given = request.form
        scope = _one_of(Scope, given.get("scope", Scope.WRITE), "scope")
        days = given.get("days", "")
        if days not in dict(DAYS):
            raise BadOption("The key cannot last that long.", next_step="Choose one of the times in the list.")
        return _page(new_key=members.issue_key(principal, given.get("name", ""), scope, int(days) if days else None))

    return _said_here(act)


@account_page.post("/account/keys/<key_id>/revoke")
def revoke_key(key_id: str) -> Any:
    """Ends a key at once."""
    members.revoke_key(members.require_key_manager(), key_id)
    return _back("The key is revoked: it opens nothing any more.")


# --- password and sessions --------------------------------------------------------------------------------------------


@account_page.post("/account/password")
def post_password() -> Any:
    """Another password. Every other session of the user ends, this one goes on under another id."""
    principal = members.require_key_manager()

    def act() -> Any:
        if principal.user_id is None:
            raise BadOption("Only a user has a password.", next_step="Sign in with an e-mail address.")
        with state().db.transaction(principal.account_id) as db:
            email = users.get(db, principal.account_id, principal.user_id).email
        try:
            auth.check_password(email, request.form.get("current", ""))
        except NotSignedIn as error:
            raise BadOption("The current password is not right.", next_step="Check it, and try again.") from error
        with state().db.transaction(principal.account_id) as db:
            users.set_password(db, principal.account_id, principal.user_id, request.form.get("new", ""))
            sessions.end_all(db, principal)
        auth.renew_session(principal)
        return _back("The password is changed, and every other browser signed out.")

    return _said_here(act)


@account_page.post("/account/sessions/<session_id>/end")
def end_session(session_id: str) -> Any:
    """Signs one browser out."""
    principal = require_principal()
    asked = members.as_id(session_id, sessions.no_such_session())
    with state().db.transaction(principal.account_id) as db:
        sessions.end(db, principal, asked)
    return _back("That browser is signed out.")


@account_page.post("/account/sessions/end")
def end_sessions() -> Any:
    """Signs out everywhere, here too."""
    principal = require_principal()
    with state().db.transaction(principal.account_id) as db:
        sessions.end_all(db, principal)
    auth.sign_out()
    return redirect(url_for("pages.sign_in"), 303)


# --- members ----------------------------------------------------------------------------------------------------------


@account_page.post("/account/members")
def post_member() -> Any:
    """Adds a user, and shows their first password this once."""
    principal = require_admin()

    def act() -> Any:
        role = _one_of(Role, request.form.get("role", Role.MEMBER), "role")
        email, password = request.form.get("email", ""), passwords.generate()
        with state().db.transaction(principal.account_id) as db:
            users.create(db, principal.account_id, email, password, role=role)
        return _page(new_member=(users.plain_email(email), password))

    return _said_here(act)


@account_page.post("/account/members/<user_id>/password")
def reset_password(user_id: str) -> Any:
    """Gives a member who forgot theirs a new password, shown this once, and signs them out everywhere."""
    principal = require_admin()
    asked, password = members.as_id(user_id, users.no_such_user()), passwords.generate()
    with state().db.transaction(principal.account_id) as db:
        email = users.get(db, principal.account_id, asked).email
        users.set_password(db, principal.account_id, asked, password)
        sessions.end_all(db, Principal(principal.account_id, Scope.READ, user_id=asked))
    return _page(new_member=(email, password))


@account_page.post("/account/members/<user_id>/role")
def post_role(user_id: str) -> Any:
    """Makes a member an admin, or an admin a member."""
    principal = require_admin()
    asked = members.as_id(user_id, users.no_such_user())

    def act() -> Any:
        role = _one_of(Role, request.form.get("role", Role.MEMBER), "role")
        with state().db.transaction(principal.account_id) as db:
            users.set_role(db, principal.account_id, asked, role)
        return _back("The role is changed.")

    return _said_here(act)


@account_page.post("/account/members/<user_id>/disable")
def disable_member(user_id: str) -> Any:
    """Shuts a member out: sign-in, sessions, keys."""
    principal = require_admin()
    asked = members.as_id(user_id, users.no_such_user())

    def act() -> Any:
        with state().db.transaction(principal.account_id) as db:
            users.disable(db, principal.account_id, asked)
        return _back("They are shut out: sessions are ended, keys revoked. Their jobs stay.")

    return _said_here(act)


@account_page.post("/account/members/<user_id>/enable")
def enable_member(user_id: str) -> Any:
    """Lets a member in again."""
    principal = require_admin()
    with state().db.transaction(principal.account_id) as db:
        users.enable(db, principal.account_id, members.as_id(user_id, users.no_such_user()))
    return _back("They can sign in again.")


def _one_of(kind: Any, given: str, name: str) -> Any:
    try:
        return kind(given)
    except ValueError as error:
        raise BadOption(f"{name}={given!r} is unknown.", next_step=f"Use one of: {', '.join(kind)}.") from error
