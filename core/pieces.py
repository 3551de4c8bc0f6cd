"""The bytes of a transfer: pieces in storage, written under a lease, read as one file.

A piece is made durable first; only then does a transaction move the transfer's offset over it, and only while the
writer's token is good. So the offset never promises a byte that could be lost, and of two writers one fails. A killed
writer leaves at most a file that no row names, and a lease that runs out within seconds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import LimitExceeded, Locked
from core.failpoints import failpoint
from core.ledger import changed
from core.models import Piece, Transfer
from core.settings import Settings
from core.storage import StagedWriter, Storage

PREFIX = "pieces/"
"""Of every piece's key; then follow the transfer's id and a dot."""

PIECE_BYTES = 16 * 1024 * 1024
"""A piece ends here, so that a killed process loses no more than this ..."""
PIECE_S = 5.0
"""... and after so many seconds, so that a slow sender does not lose minutes."""


def lease_s(settings: Settings) -> float:
    """Seconds. A writer from whom nothing came for so long may be overtaken: its connection is most likely dead.

    A sender that comes back after its connection broke waits for this; so it is shorter than an upload's lease, which
    nobody waits for.
    """
    return settings.upload_lease_s / 4


def take(session: Session, settings: Settings, transfer_id: uuid.UUID, offset: int) -> bool:
    """Leases a transfer to whoever wants to go on at byte `offset`; False: it goes on elsewhere, or is taken."""
    return (
        changed(
            session,
            """
            UPDATE transfer SET lease_token = lease_token + 1, lease_until = now() + make_interval(secs => :lease_s)
            WHERE id = :id AND received = :offset AND expires_at > now()
                AND (lease_until IS NULL OR lease_until < now())
            """,
            {"lease_s": lease_s(settings), "id": transfer_id, "offset": offset},
        )
        == 1
    )


def release(session: Session, transfer: Transfer) -> None:
    """Ends a lease, if nobody has it by now."""
    changed(
        session,
        "UPDATE transfer SET lease_until = NULL WHERE id = :id AND lease_token = :token",
        {"id": transfer.id, "token": transfer.lease_token},
    )


def blocks_of(db: Database, storage: Storage, transfer: Transfer) -> Iterator[bytes]:
    """The whole file, block by block."""
    pieces = select(Piece.key).where(Piece.transfer_id == transfer.id).order_by(Piece.start)
    with db.transaction(transfer.account_id) as session:
        keys = session.execute(pieces).scalars().all()
    for key in keys:
        with storage.open(key) as blocks:
            yield from blocks


def locked() -> Locked:
    """Somebody else has the lease."""
    return Locked("Another request is writing to this upload.", next_step="Ask again in a moment.")


class PieceWriter:
    """Cuts what arrives into pieces.

    Args:
        db: where the offset is.
        storage: where pieces go.
        settings: how long a lease lasts, and a transfer after a piece.
        transfer: as it was when its lease was taken.
        whole: what comes is one piece, however long.
    """

    def __init__(self, db: Database, storage: Storage, settings: Settings, transfer: Transfer, *, whole: bool) -> None:
        self._db = db
        self._storage = storage
        self._transfer = transfer
        self._settings = settings
        self._whole = whole
        self._start = transfer.received
        self._began = 0.0
        self._staged: StagedWriter | None = None

    def write(self, block: bytes) -> None:
        """Takes the next bytes.

        Raises:
            LimitExceeded: the file has not so many.
            Locked: another writer has overtaken this one.
        """
        if self._staged is None:
            self._began = time.monotonic()
            # Two leases never write to one key.
            key = f"{PREFIX}{self._transfer.id}.{self._start}-{self._transfer.lease_token}"
            self._staged = self._storage.stage(key)
        if self._start + self._staged.size + len(block) > self._transfer.length:
            raise LimitExceeded(
                f"There are more bytes than the {self._transfer.length:,} that were announced.",
                next_step="Make a new upload, with the length that the file has now.",
            )
        self._staged.write(block)
        failpoint("piece-arriving")
        is_full = self._staged.size >= PIECE_BYTES or time.monotonic() - self._began > PIECE_S
        if is_full and not self._whole:
            self.end()

    def end(self, *, keep: bool = True) -> None:
        """Ends the piece at hand, if there is one. Raises Locked as `write`."""
        staged, self._staged = self._staged, None
        if staged is None:
            return
        try:
            if keep and staged.size:
                self._settle(staged)
        finally:
            staged.abort()

    def _settle(self, staged: StagedWriter) -> None:
        self._storage.commit(staged)
        failpoint("piece-stored")
        transfer = self._transfer
        with self._db.transaction(transfer.account_id) as session:
            held = changed(
                session,
                """
                UPDATE transfer SET received = received + :bytes,
                    lease_until = now() + make_interval(secs => :lease_s),
                    expires_at = now() + make_interval(hours => :hours)
                WHERE id = :id AND lease_token = :token AND received = :start AND expires_at > now()
                """,
                {
                    "bytes": staged.size,
                    "lease_s": lease_s(self._settings),
                    "hours": self._settings.transfer_keep_hours,
                    "id": transfer.id,
                    "token": transfer.lease_token,
                    "start": self._start,
                },
            )
            if not held:
                raise locked()
            session.add(
                Piece(
                    transfer_id=transfer.id,
                    start=self._start,
                    account_id=transfer.account_id,
                    bytes=staged.size,
                    key=staged.key,
                )
            )
        self._start += staged.size
