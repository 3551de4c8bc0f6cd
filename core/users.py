"""Users: people who sign in to an account with an e-mail address and a password."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import passwords
from core.errors import BadOption, Conflict, NotFound
from core.models import ApiKey, BrowserSession, User
from core.states import Role

MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3

# One @ with something on both sides. Whether mail arrives there, only mail can tell.
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")

_USER = (User.id, User.account_id, User.email, User.role, User.created_at, User.signed_in_at, User.disabled_at)


@dataclass(frozen=True)
class UserInfo:
    """A user as the account sees them."""

    id: uuid.UUID
    account_id: uuid.UUID
    email: str
    role: Role
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None


@dataclass(frozen=True)
class Credentials:
    """What a sign-in is checked against."""

    user_id: uuid.UUID
    account_id: uuid.UUID
    role: Role
    password_hash: str


def create(
    session: Session, account_id: uuid.UUID, email: str, password: str, *, role: Role = Role.MEMBER
) -> uuid.UUID:
    """Adds a user to an account.

    Raises:
        BadOption: this is no e-mail address, or no password.
        Conflict: the address is taken, here or in another account.
    """
    email, user_id = plain_email(email), uuid.uuid4()
    hashed = passwords.hash_password(password)
    # Only these columns: of the others web may set none.
    values = {"id": user_id, "account_id": account_id, "email": email, "role": role, "password_hash": hashed}
    try:
        with session.begin_nested():
            session.execute(insert(User).values(values))
    except IntegrityError as error:
        raise Conflict(f"There is a user with the address {email} already.", next_step="Use another one.") from error
    return user_id


def plain_email(given: str) -> str:
    """An address as it is stored: in lower case.

    Raises:
        BadOption: it is none.
    """
    email = given.strip().lower()
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email):
        raise BadOption("This is not an e-mail address.", next_step="It reads like name@example.org.")
    return email


def find_credentials(session: Session, email: str) -> Credentials | None:
    """What a user who may sign in is checked against. Needs no account."""
    try:
        asked = plain_email(email)
    except BadOption:
        return None
    row = session.execute(text("SELECT * FROM find_user(:email)"), {"email": asked}).one_or_none()
    return Credentials(row.id, row.account_id, Role(row.role), row.password_hash) if row else None


def exist(session: Session) -> bool:
    """Whether anybody could sign in with a password at all; on a laptop nobody can, nor needs to."""
    return bool(session.execute(text("SELECT has_users()")).scalar_one())


def note_sign_in(session: Session, user_id: uuid.UUID, rehashed: str | None) -> None:
    """Writes down that a user signed in, and a new hash of the same password where the old one was weaker."""
    values = {"signed_in_at": func.now()} | ({"password_hash": rehashed} if rehashed else {})
    session.execute(update(User).where(User.id == user_id).values(values))


def list_users(session: Session, account_id: uuid.UUID) -> list[UserInfo]:
    """An account's users, by address."""
    rows = session.execute(select(*_USER).where(User.account_id == account_id).order_by(User.email)).all()
    return [UserInfo(**{**row._asdict(), "role": Role(row.role)}) for row in rows]


def get(session: Session, account_id: uuid.UUID, user_id: uuid.UUID) -> UserInfo:
    """One user of an account.

    Raises:
        NotFound: unknown, or another account's.
    """
    row = session.execute(select(*_USER).where(User.id == user_id, User.account_id == account_id)).one_or_none()
    if row is None:
        raise no_such_user()
    return UserInfo(**{**row._asdict(), "role": Role(row.role)})


def set_password(session: Session, account_id: uuid.UUID, user_id: uuid.UUID, password: str) -> None:
    """Gives a user another password; what was signed in with the old one is for the caller to end.

    Raises:
        NotFound: as `get`.
        BadOption: this is no password.
    """
    get(session, account_id, user_id)
    hashed = passwords.hash_password(password)
    session.execute(update(User).where(User.id == user_id).values(password_hash=hashed, password_set_at=func.now()))


def disable(session: Session, account_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """Shuts a user out at once: no sign-in, no session, no key that they made. What they uploaded stays.

    Raises:
        NotFound: as `get`.
        Conflict: it is the account's last admin.
    """
    found = get(session, account_id, user_id)
    if found.disabled_at is not None:
        return
    _keep_an_admin(session, found)
    session.execute(update(User).where(User.id == user_id).values(disabled_at=func.now()))
    session.execute(
        update(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    )
    session.execute(delete(BrowserSession).where(BrowserSession.user_id == user_id))


def enable(session: Session, account_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """Lets a user sign in again. Their old keys stay revoked.

    Raises:
        NotFound: as `get`.
    """
    get(session, account_id, user_id)
    session.execute(update(User).where(User.id == user_id).values(disabled_at=None))


def set_role(session: Session, account_id: uuid.UUID, user_id: uuid.UUID, role: Role) -> None:
    """Makes a user an admin of the account, or a plain member.

    Raises:
        NotFound: as `get`.
        Conflict: it is the account's last admin.
    """
    found = get(session, account_id, user_id)
    if role is not Role.ADMIN:
        _keep_an_admin(session, found)
    session.execute(update(User).where(User.id == user_id).values(role=role))


def _keep_an_admin(session: Session, leaving: UserInfo) -> None:
    if leaving.role is not Role.ADMIN or leaving.disabled_at is not None:
        return
    # One after the other: two admins must not shut each other out at the same moment.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": str(leaving.account_id)})
    in_force = [
        one for one in list_users(session, leaving.account_id) if one.role is Role.ADMIN and not one.disabled_at
    ]
    if [one.id for one in in_force] == [leaving.id]:
        raise Conflict("This is the account's last admin.", next_step="Make somebody else an admin first.")


def no_such_user() -> NotFound:
    """The one answer for an id that is unknown or another account's."""
    return NotFound("There is no such user.", next_step="List the account's users to see them.")
