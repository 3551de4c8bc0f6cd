"""What one account may use at most, and what it uses: checked before a body is read, by the ledger's own counts.

Limits come from the settings; a row in ``quota`` says otherwise for one account. 0 is no limit.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, fields

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import LimitExceeded, TooMany
from core.models import Quota
from core.settings import Settings

TRY_AGAIN_S = 15
"""When to ask again where it depends on how soon a job or an upload ends."""


@dataclass(frozen=True)
class Limits:
    """What an account may use; 0: as much as it likes."""

    active_jobs: int
    uploads: int
    """At the same time."""
    stored_bytes: int
    """Of files as they were sent."""
    rows_a_day: int
    """Data rows of uploads and texts of requests, by UTC's days."""
    requests_a_minute: int


@dataclass(frozen=True)
class Use:
    """What an account uses at the moment."""

    active_jobs: int
    uploads: int
    stored_bytes: int
    rows_today: int
    day_left_s: int
    """Seconds until the rows of the day are counted anew."""


NAMES = tuple(field.name for field in fields(Limits))


def limits_of(session: Session, settings: Settings, account_id: uuid.UUID) -> Limits:
    """An account's limits."""
    own = session.get(Quota, account_id)
    return Limits(
        **{
            name: default if own is None or getattr(own, name) is None else getattr(own, name)
            for name, default in vars(default_limits(settings)).items()
        }
    )


def default_limits(settings: Settings) -> Limits:
    """The limits of an account without any of its own."""
    return Limits(
        active_jobs=settings.max_active_jobs,
        uploads=settings.max_uploads,
        stored_bytes=settings.max_stored_bytes,
        rows_a_day=settings.max_rows_a_day,
        requests_a_minute=settings.requests_a_minute,
    )


def use_of(session: Session, account_id: uuid.UUID) -> Use:
    """What an account uses, counted now."""
    row = session.execute(
        text("""
        SELECT
            (SELECT count(*) FROM job WHERE account_id = :id AND state IN ('queued', 'ingesting', 'running')
                AND deleted_at IS NULL) AS active_jobs,
            (SELECT count(*) FROM upload WHERE account_id = :id AND state = 'receiving' AND lease_until > now())
                AS uploads,
            (SELECT coalesce(sum(bytes), 0) FROM upload WHERE account_id = :id AND state = 'stored')::bigint
                AS stored_bytes,
            coalesce((SELECT rows FROM usage WHERE account_id = :id AND day = (now() AT TIME ZONE 'UTC')::date), 0)
                AS rows_today,
            ceil(extract(epoch FROM (now() AT TIME ZONE 'UTC')::date + interval '1 day' - now() AT TIME ZONE 'UTC'))
                ::integer AS day_left_s
        """),
        {"id": account_id},
    ).one()
    return Use(**row._asdict())


def admit(session: Session, settings: Settings, account_id: uuid.UUID, n_bytes: int | None = None) -> int | None:
    """Lets an account send a file, or says which of its limits is reached.

    Args:
        session: speaking for the account.
        settings: the installation's.
        account_id: who sends it.
        n_bytes: the file's size, where it is known.

    Returns:
        How many bytes may still be stored; None: as many as one likes.

    Raises:
        TooMany: it has too many unfinished jobs, uploads or rows: waiting helps.
        LimitExceeded: it stores as much as it may: deleting helps.
    """
    limits, use = limits_of(session, settings, account_id), use_of(session, account_id)
    _check_jobs(limits, use)
    if 0 < limits.uploads <= use.uploads:
        raise TooMany(
            f"{use.uploads} files are being uploaded, as many at once as are allowed.",
            limit="uploads",
            retry_after_s=TRY_AGAIN_S,
            next_step="Wait for one of them to end.",
        )
    if not limits.stored_bytes:
        return None
    room = limits.stored_bytes - use.stored_bytes
    if room <= 0 or (n_bytes or 0) > room:
        raise no_room(limits.stored_bytes)
    return room


def admit_job(session: Session, settings: Settings, account_id: uuid.UUID) -> None:
    """Lets an account have another job of a file that it has sent already.

    Raises:
        TooMany: it has too many unfinished jobs, or had as many rows as it may today.
    """
    _check_jobs(limits_of(session, settings, account_id), use_of(session, account_id))


def admit_rows(session: Session, settings: Settings, account_id: uuid.UUID) -> None:
    """Lets an account have some texts labelled.

    Raises:
        TooMany: it had as many rows as it may today.
    """
    limits = limits_of(session, settings, account_id)
    if limits.rows_a_day:
        _check_rows(limits, use_of(session, account_id))


def _check_jobs(limits: Limits, use: Use) -> None:
    if 0 < limits.active_jobs <= use.active_jobs:
        raise TooMany(
            f"There are {use.active_jobs} unfinished jobs, as many as are allowed.",
            limit="active_jobs",
            retry_after_s=TRY_AGAIN_S,
            next_step="Wait for one to finish, or cancel one.",
        )
    _check_rows(limits, use)


def _check_rows(limits: Limits, use: Use) -> None:
    if 0 < limits.rows_a_day <= use.rows_today:
        raise TooMany(
            f"{use.rows_today:,} rows were taken today; {limits.rows_a_day:,} a day are allowed.",
            limit="rows_a_day",
            retry_after_s=use.day_left_s,
            next_step="Go on tomorrow (UTC), or ask whoever runs this server for more.",
        )


def no_room(stored_bytes: int) -> LimitExceeded:
    """The file does not fit into what an account may store."""
    return LimitExceeded(
        f"With this file there would be more than {stored_bytes:,} bytes stored.",
        limit="stored_bytes",
        next_step="Delete jobs that are no longer needed: their files go with them.",
    )


def note_rows(session: Session, account_id: uuid.UUID, rows: int) -> None:
    """Counts rows that were taken, in the transaction that takes them."""
    if rows:
        session.execute(
            text("""
            INSERT INTO usage (account_id, day, rows) VALUES (:id, (now() AT TIME ZONE 'UTC')::date, :rows)
            ON CONFLICT (account_id, day) DO UPDATE SET rows = usage.rows + excluded.rows
            """),
            {"id": account_id, "rows": rows},
        )


def set_quota(session: Session, account_id: uuid.UUID, **limits: int | None) -> None:
    """Gives an account limits of its own; None: those of the settings again. The operator's session."""
    own = session.get(Quota, account_id)
    if own is None:
        own = Quota(account_id=account_id)
        session.add(own)
    for name, value in limits.items():
        if name not in NAMES:
            raise TypeError(f"there is no limit {name!r}")
        setattr(own, name, value)
    session.flush()
