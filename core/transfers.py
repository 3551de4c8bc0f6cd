"""A file on its way in by pieces, so that a broken connection costs seconds and not the file.

What the tus protocol needs of us, without HTTP (`web.api.uploads` speaks it). A transfer is a row that says how many of
the file's bytes are safe, and until when the rest is waited for. Once every byte is there (`core.pieces`), they pass
through `core.uploads` as any other body does, which makes exactly one job.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core import pieces, quotas
from core.db import Database
from core.errors import (
    ChecksumMismatch,
    EmobatchError,
    InputError,
    KeyReused,
    NotFound,
    NotReady,
    TooMany,
    WrongOffset,
)
from core.failpoints import failpoint
from core.ledger import changed
from core.ledger.commits import to_json
from core.models import Transfer
from core.pieces import PieceWriter
from core.settings import Settings
from core.storage import Storage
from core.uploads import Accepted, JobRequest, Uploads, too_large


class Checksum(Protocol):
    """A digest that grows, as `hashlib` has them, and what it is meant to become."""

    expected: bytes

    def update(self, block: bytes, /) -> None:
        """Takes the next bytes."""

    def digest(self) -> bytes:
        """Of all bytes so far."""


class Transfers:
    """Takes files in by pieces. One per web process."""

    def __init__(self, db: Database, storage: Storage, settings: Settings, uploads: Uploads) -> None:
        self._db = db
        self._storage = storage
        self._settings = settings
        self._uploads = uploads

    def create(
        self,
        account_id: uuid.UUID,
        length: int,
        options: dict[str, Any],
        *,
        resume_key: str | None = None,
        idempotency_key: str | None = None,
    ) -> Transfer:
        """Makes a transfer, or finds the unfinished one that this sender began.

        Args:
            account_id: who sends.
            length: bytes of the whole file.
            options: what the sender says about it.
            resume_key: by which it is found again, with the options of the last time it was asked for.
            idempotency_key: makes one job of all transfers that carry it; None: one for each transfer.

        Raises:
            LimitExceeded: the file is too large.
            TooMany: unfinished jobs, or transfers.
            KeyReused: the resume key belongs to a file of another length.
        """
        if length > self._settings.max_upload_bytes:
            raise too_large(self._settings.max_upload_bytes)
        values = {
            "account_id": account_id,
            "length": length,
            "options": to_json(options),
            "resume_key": resume_key,
            "idempotency_key": idempotency_key,
            "hours": self._settings.transfer_keep_hours,
        }
        with self._db.transaction(account_id) as session:
            self._check_room(session, account_id, resume_key, length)
            session.execute(
                text("UPDATE transfer SET resume_key = NULL WHERE resume_key = :resume_key AND expires_at <= now()"),
                values,
            )
            row = session.execute(
                text("""
                INSERT INTO transfer (account_id, length, options, resume_key, idempotency_key, expires_at)
                VALUES (:account_id, :length, CAST(:options AS jsonb), :resume_key, :idempotency_key,
                    now() + make_interval(hours => :hours))
                ON CONFLICT (account_id, resume_key) WHERE resume_key IS NOT NULL
                    DO UPDATE SET options = excluded.options, idempotency_key = excluded.idempotency_key
                RETURNING id, length
                """),
                values,
            ).one()
            if row.length != length:
                raise KeyReused("This key belongs to a file of another length.", next_step="Use a new key.")
            return session.get_one(Transfer, row.id)

    def get(self, account_id: uuid.UUID, transfer_id: uuid.UUID) -> Transfer:
        """How far a transfer is.

        Raises:
            NotFound: unknown, another account's, ended by its sender, or given up after its time.
        """
        with self._db.transaction(account_id) as session:
            return _get(session, account_id, transfer_id)

    def receive(
        self,
        account_id: uuid.UUID,
        transfer_id: uuid.UUID,
        offset: int,
        blocks: Iterable[bytes],
        checksum: Checksum | None = None,
    ) -> Transfer:
        """Takes the next bytes of a file.

        Whatever came before the blocks broke off stays, but for bytes with a checksum: those stay together or not at
        all.

        Args:
            account_id: who sends.
            transfer_id: to which file.
            offset: where the first of them belongs: at the end of what is there.
            blocks: of any size. An InputError that they raise means that the rest did not come.
            checksum: of all of them.

        Raises:
            NotFound: as `get`.
            Locked: another request is writing.
            WrongOffset: the file goes on elsewhere.
            LimitExceeded: there are more bytes than the file has.
            ChecksumMismatch: they are not the bytes that were sent.
        """
        transfer = self._take(account_id, transfer_id, offset)
        writer = PieceWriter(self._db, self._storage, self._settings, transfer, whole=checksum is not None)
        try:
            for block in blocks:
                if checksum:
                    checksum.update(block)
                writer.write(block)
            if checksum and checksum.digest() != checksum.expected:
                raise ChecksumMismatch("The bytes have not the checksum they came with.", next_step="Send them again.")
            writer.end()
        except InputError:
            writer.end(keep=checksum is None)
            raise
        except BaseException:
            writer.end(keep=False)
            raise
        finally:
            with suppress(EmobatchError), self._db.transaction(account_id) as session:
                pieces.release(session, transfer)
        return self.get(account_id, transfer_id)

    def complete(self, account_id: uuid.UUID, transfer_id: uuid.UUID, request: JobRequest) -> Accepted:
        """Makes the job of a file that is all there; asked again, gives the same answer. The caller rings afterwards.

        Args:
            account_id: who asks.
            transfer_id: of the file.
            request: name and options. What they are refused for may be corrected, without sending the file again.

        Raises:
            NotReady: bytes are missing.
            EmobatchError: as `Uploads.accept`; the transfer stays as it is.
        """
        transfer = self.get(account_id, transfer_id)
        if transfer.job_id:
            return Accepted(transfer.job_id, transfer.response or {}, repeated=True)
        if transfer.received < transfer.length:
            raise NotReady(
                f"{transfer.length - transfer.received:,} of the file's {transfer.length:,} bytes are missing.",
                next_step=f"Go on sending from byte {transfer.received}.",
            )
        key = transfer.idempotency_key or f"transfer:{transfer_id}"
        accepted = self._uploads.accept(
            account_id, replace(request, idempotency_key=key), pieces.blocks_of(self._db, self._storage, transfer)
        )
        failpoint("transfer-settled")
        with self._db.transaction(account_id) as session:
            changed(
                session,
                """
                UPDATE transfer SET job_id = :job_id, response = CAST(:response AS jsonb), resume_key = NULL
                WHERE id = :id
                """,
                {"job_id": accepted.job_id, "response": to_json(dict(accepted.answer)), "id": transfer_id},
            )
        return accepted

    def terminate(self, account_id: uuid.UUID, transfer_id: uuid.UUID) -> None:
        """Gives a transfer up: gone at once, its pieces soon. A job made of it stays.

        Raises:
            NotFound: as `get`.
        """
        with self._db.transaction(account_id) as session:
            _get(session, account_id, transfer_id)
            changed(
                session,
                """
                UPDATE transfer SET expires_at = now(), resume_key = NULL, lease_token = lease_token + 1,
                    lease_until = NULL
                WHERE id = :id
                """,
                {"id": transfer_id},
            )

    def _check_room(self, session: Session, account_id: uuid.UUID, resume_key: str | None, length: int) -> None:
        """A transfer becomes a job: what limits those is said before the first byte."""
        most = quotas.limits_of(session, self._settings, account_id).active_jobs
        quotas.admit(session, self._settings, account_id, length)
        others = (
            select(func.count())
            .select_from(Transfer)
            .where(
                Transfer.account_id == account_id,
                Transfer.job_id.is_(None),
                Transfer.expires_at > func.now(),
                Transfer.resume_key.is_distinct_from(resume_key) | Transfer.resume_key.is_(None),
            )
        )
        waiting = session.execute(others).scalar_one()
        if 0 < most <= waiting:
            raise TooMany(
                f"There are {waiting} unfinished uploads, as many as are allowed.",
                limit="uploads",
                retry_after_s=quotas.TRY_AGAIN_S,
                next_step="Finish one, or delete one.",
            )

    def _take(self, account_id: uuid.UUID, transfer_id: uuid.UUID, offset: int) -> Transfer:
        with self._db.transaction(account_id) as session:
            taken = pieces.take(session, self._settings, transfer_id, offset)
            transfer = _get(session, account_id, transfer_id)
        if not taken:
            raise pieces.locked() if transfer.received == offset else _wrong_offset(transfer)
        return transfer


def _get(session: Session, account_id: uuid.UUID, transfer_id: uuid.UUID) -> Transfer:
    found = session.execute(
        select(Transfer)
        .where(Transfer.id == transfer_id, Transfer.account_id == account_id, Transfer.expires_at > func.now())
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if found is None:
        raise no_such_transfer()
    return found


def no_such_transfer() -> NotFound:
    """The one answer for an id that is unknown, given up or another account's."""
    return NotFound("There is no such upload, or it was given up.", next_step="Begin a new one.")


def _wrong_offset(transfer: Transfer) -> WrongOffset:
    return WrongOffset(f"The file goes on at byte {transfer.received}.", next_step="Ask where, and send from there.")
