"""Accounts, their users, keys and limits. What is shown this once, a password or a key, goes to stdout alone."""

from __future__ import annotations

import sys
import uuid
from datetime import timedelta

import click
from sqlalchemy import text
from sqlalchemy.orm import Session

from core import accounts, keys, passwords, quotas, sessions, users
from core.errors import BadOption, NotFound
from core.models import Account
from core.states import Role, Scope
from emobatch.admin.connection import Installation, installation, table
from emobatch.options import json_option

ACCOUNT = click.option("--account", required=True, metavar="ID", type=click.UUID, help="As `admin accounts` lists it.")

_ACCOUNTS = text("""
SELECT a.id, a.name, a.created_at,
    (SELECT count(*) FROM app_user u WHERE u.account_id = a.id AND u.disabled_at IS NULL) AS users,
    (SELECT count(*) FROM api_key k WHERE k.account_id = a.id AND k.revoked_at IS NULL) AS keys,
    (SELECT count(*) FROM job j WHERE j.account_id = a.id AND j.deleted_at IS NULL) AS jobs,
    (SELECT coalesce(sum(bytes), 0)::bigint FROM upload f WHERE f.account_id = a.id) AS stored_bytes
FROM account a ORDER BY a.created_at, a.id
""")


@click.command("accounts")
@json_option
def list_accounts(as_json: bool) -> None:
    """List accounts, with what they have."""
    with installation() as found, found.db.transaction() as session:
        rows = session.execute(_ACCOUNTS).mappings().all()
    table(rows, as_json)  # type: ignore[arg-type]


@click.command("add-account")
@click.argument("name")
def add_account(name: str) -> None:
    """Add an account and print its id."""
    if not name.strip() or not name.isprintable():
        raise BadOption("An account needs a name.", next_step="Say whose it is.")
    with installation() as found, found.db.transaction() as session:
        account_id = accounts.create_account(session, name.strip())
    click.echo(account_id)


# --- users ------------------------------------------------------------------------------------------------------------


@click.command("users")
@ACCOUNT
@json_option
def list_users(account: uuid.UUID, as_json: bool) -> None:
    """List an account's users."""
    with installation() as found, found.db.transaction() as session:
        rows = [vars(user) for user in users.list_users(session, _account(session, account))]
    table([{name: value for name, value in row.items() if name != "account_id"} for row in rows], as_json)


@click.command("add-user", short_help="Add somebody who signs in with a password.")
@click.argument("email")
@ACCOUNT
@click.option("--role", type=click.Choice([str(role) for role in Role]), default="member", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; else one is made and printed.")
def add_user(email: str, account: uuid.UUID, role: str, password_stdin: bool) -> None:
    """Add somebody who signs in with an e-mail address and a password."""
    password = _password(password_stdin)
    with installation() as found, found.db.transaction() as session:
        users.create(session, _account(session, account), email, password, role=Role(role))
    _tell(password, password_stdin)


@click.command("set-password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin; else one is made and printed.")
def set_password(email: str, password_stdin: bool) -> None:
    """Give a user another password, and sign them out everywhere."""
    password = _password(password_stdin)
    with installation() as found, found.db.transaction() as session:
        user = _user(session, email)
        users.set_password(session, user.account_id, user.id, password)
        sessions.end_all(session, accounts.Principal(user.account_id, Scope.READ, user_id=user.id))
    _tell(password, password_stdin)


@click.command("disable-user", short_help="Shut a user out, and the keys that they made.")
@click.argument("email")
def disable_user(email: str) -> None:
    """Shut a user out: sign-in, sessions, and the keys that they made."""
    with installation() as found, found.db.transaction() as session:
        user = _user(session, email)
        users.disable(session, user.account_id, user.id)


@click.command("enable-user")
@click.argument("email")
def enable_user(email: str) -> None:
    """Let a user sign in again. Their keys stay revoked."""
    with installation() as found, found.db.transaction() as session:
        user = _user(session, email)
        users.enable(session, user.account_id, user.id)


# --- keys -------------------------------------------------------------------------------------------------------------


@click.command("keys")
@ACCOUNT
@json_option
def list_keys(account: uuid.UUID, as_json: bool) -> None:
    """List an account's API keys. No secret is stored, so none is shown."""
    with installation() as found, found.db.transaction() as session:
        rows = [vars(key) for key in keys.list_keys(session, _account(session, account))]
    table(rows, as_json)


@click.command("add-key")
@click.argument("name")
@ACCOUNT
@click.option("--scope", type=click.Choice([str(scope) for scope in Scope]), default="write", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Until it expires. Default: never.")
def add_key(name: str, account: uuid.UUID, scope: str, days: int | None) -> None:
    """Make an API key and print it, this once."""
    with installation() as found:
        _need_secret_key(found)
        with found.db.transaction() as session:
            lasts = timedelta(days=days) if days else None
            account_id = _account(session, account)
            key = accounts.issue_key(session, found.settings, account_id, name, scope=Scope(scope), lasts=lasts)
    click.echo(key)


@click.command("revoke-key")
@click.argument("key", metavar="ID", type=click.UUID)
def revoke_key(key: uuid.UUID) -> None:
    """End an API key, and sessions begun with it, at once."""
    with installation() as found, found.db.transaction() as session:
        account_id = session.execute(text("SELECT account_id FROM api_key WHERE id = :id"), {"id": key}).scalar()
        if account_id is None:
            raise keys.no_such_key()
        keys.revoke(session, account_id, key)


# --- limits -----------------------------------------------------------------------------------------------------------


@click.command("quota")
@ACCOUNT
@click.option("--set", "changes", multiple=True, metavar="LIMIT=NUMBER", help="0 is no limit; `default` the setting.")
@json_option
def quota(account: uuid.UUID, changes: tuple[str, ...], as_json: bool) -> None:
    """Show an account's limits and what it uses, or change limits."""
    with installation() as found, found.db.transaction() as session:
        account_id = _account(session, account)
        if changes:
            quotas.set_quota(session, account_id, **dict(map(_limit, changes)))
        limits, use = quotas.limits_of(session, found.settings, account_id), quotas.use_of(session, account_id)
    used = vars(use) | {"rows_a_day": use.rows_today}
    rows = [{"limit": name, "allowed": getattr(limits, name), "used": used.get(name)} for name in quotas.NAMES]
    table(rows, as_json)


def _limit(given: str) -> tuple[str, int | None]:
    name, _, value = given.partition("=")
    if name not in quotas.NAMES or not (value == "default" or value.isdecimal()):
        raise BadOption(f"--set {given} is not understood.", next_step=f"Limits are {', '.join(quotas.NAMES)}.")
    return name, None if value == "default" else int(value)


def _account(session: Session, account_id: uuid.UUID) -> uuid.UUID:
    if session.get(Account, account_id) is None:
        raise NotFound("There is no such account.", next_step="List them with `emobatch admin accounts`.")
    return account_id


def _user(session: Session, email: str) -> users.UserInfo:
    found = session.execute(
        text("SELECT account_id, id FROM app_user WHERE email = :email"), {"email": users.plain_email(email)}
    ).one_or_none()
    if found is None:
        raise users.no_such_user()
    return users.get(session, found.account_id, found.id)


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else passwords.generate()


def _tell(password: str, known: bool) -> None:
    if not known:
        click.echo(password)


def _need_secret_key(found: Installation) -> None:
    if not found.settings.secret_key.get_secret_value():
        raise BadOption("EMOBATCH_SECRET_KEY is not set: web could not check the key.", next_step="Set it as for web.")


COMMANDS = [
    list_accounts,
    add_account,
    list_users,
    add_user,
    set_password,
    disable_user,
    enable_user,
    list_keys,
    add_key,
    revoke_key,
    quota,
]
