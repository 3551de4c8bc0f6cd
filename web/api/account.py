"""The account itself: what it may use, and its API keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from apiflask import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field

from core import quotas
from core.keys import KeyInfo
from core.states import Scope
from web import members
from web.auth import require_account, require_principal
from web.paging import ShortListOptions, part
from web.schemas import NEXT, Word
from web.state import state

account = APIBlueprint(
    "account", __name__, tag={"name": "Account", "description": "What you may use, and what signs you in."}
)


class KeyIn(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "nightly report", "scope": "read", "days": 90}]}
    )

    name: Word = Field(min_length=1, max_length=100, description="What it is for.")
    scope: Scope = Field(default=Scope.WRITE, description="`read`, `write` or `admin`; each includes those before it.")
    days: int | None = Field(default=None, ge=1, le=3650, description="Until it expires; left out: never.")


class KeyOut(BaseModel):
    """An API key, without its secret."""

    id: uuid.UUID
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Within a minute.")

    @classmethod
    def of(cls, key: KeyInfo) -> KeyOut:
        """As the API says it."""
        return cls(**{name: getattr(key, name) for name in cls.model_fields})


class KeysOut(BaseModel):
    """Keys in force or expired, newest first."""

    keys: list[KeyOut]
    next: str | None = Field(description=NEXT)


class NewKeyOut(BaseModel):
    """A key, this once."""

    id: uuid.UUID
    key: str = Field(description="Keep it: only a hash of it is stored, and it is never shown again.")


class RevokedOut(BaseModel):
    """A key that opens nothing any more."""

    id: uuid.UUID


class LimitsOut(BaseModel):
    """What the account may use; 0 is no limit."""

    active_jobs: int
    uploads: int = Field(description="At the same time.")
    stored_bytes: int
    rows_a_day: int
    requests_a_minute: int


class UseOut(BaseModel):
    """What it uses now."""

    active_jobs: int
    uploads: int
    stored_bytes: int
    rows_today: int
    day_left_s: int = Field(description="Seconds until `rows_today` is 0 again: days are UTC's.")


class AccountOut(BaseModel):
    """Who asks, and what their account may use."""

    id: uuid.UUID
    scope: Scope = Field(description="What the asker may do in it.")
    limits: LimitsOut
    use: UseOut


@account.get("/account")
@account.output(AccountOut)
def get_account() -> Any:
    """Show who you are, and what your account may use and uses."""
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        limits, use = quotas.limits_of(db, state().settings, account_id), quotas.use_of(db, account_id)
    return AccountOut(
        id=account_id,
        scope=require_principal().scope,
        limits=LimitsOut(**vars(limits)),
        use=UseOut(**vars(use)),
    )


@account.get("/keys")
@account.input(ShortListOptions, location="query", arg_name="options")
@account.output(KeysOut)
def list_keys(options: ShortListOptions) -> Any:
    """List API keys: all of the account's for an admin, else your own."""
    page, following = part(members.list_keys(members.require_key_manager()), options, lambda key: key.id.hex)
    return KeysOut(keys=[KeyOut.of(key) for key in page], next=following)


@account.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_principal()


@account.post("/keys")
@account.input(KeyIn, arg_name="wanted")
@account.output(NewKeyOut, status_code=201)
def post_key(wanted: KeyIn) -> Any:
    """Make an API key. It is shown this once."""
    made = members.issue_key(members.require_key_manager(), wanted.name, wanted.scope, wanted.days)
    return NewKeyOut(id=uuid.UUID(hex=made.split("_")[1]), key=made)


@account.delete("/keys/<key_id>")
@account.output(RevokedOut)
def delete_key(key_id: str) -> Any:
    """Revoke an API key: it, and sessions begun with it, end at once."""
    members.revoke_key(members.require_key_manager(), key_id)
    return RevokedOut(id=uuid.UUID(key_id))
