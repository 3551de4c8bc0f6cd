"""Accounts for measurements, each with an API key, made in the ledger of a running stack; and that ledger itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from benchmarks.stacks import LocalStack
from core.accounts import create_account, issue_key
from core.db import Database
from core.settings import Settings
from emobatch.client import Client
from emobatch.stack.postgres import Postgres
from emobatch.stack.redis import Redis


@dataclass(frozen=True)
class Tenant:
    """An account and a client signed in to it."""

    account_id: uuid.UUID
    key: str
    client: Client


def settings_of(stack: LocalStack) -> Settings:
    """The settings that name the servers of a running stack, with its secrets."""
    home, secrets = stack.home, stack.home.secrets()
    return Settings(
        database_url=SecretStr(Postgres.of(home).url),
        redis_url=SecretStr(Redis.of(home).url),
        storage_url=home.storage.as_uri(),
        secret_key=SecretStr(secrets.secret_key),
        access_token=SecretStr(secrets.access_token),
    )


@contextmanager
def ledger(stack: LocalStack, *, pool_size: int = 4) -> Iterator[Database]:
    """The stack's database as its owner, for the length of the block."""
    db = Database(settings_of(stack).database_url.get_secret_value(), None, pool_size=pool_size)
    try:
        yield db
    finally:
        db.close()


@contextmanager
def tenants(stack: LocalStack, count: int) -> Iterator[list[Tenant]]:
    """So many new accounts, their clients closed at the end of the block."""
    settings = settings_of(stack)
    with ledger(stack, pool_size=1) as db, db.transaction() as session:
        made = []
        for number in range(count):
            account_id = create_account(session, f"tenant {number}")
            made.append((account_id, issue_key(session, settings, account_id, "benchmark")))
    found = [Tenant(account_id, key, Client(stack.client.url, key)) for account_id, key in made]
    try:
        yield found
    finally:
        for tenant in found:
            tenant.client.close()
