"""What has been counted of a job, kept in Postgres so that it is counted once: the table ``figure``.

A count is saved as far as it has come, with the chunk to go on from, so a long one survives the request that began it
and may be carried on by another process. It belongs to the job and goes with it; of one job the `MOST` used last are
kept.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

MOST = 40
"""Counts kept of one job."""

LARGEST = 64 * 1024 * 1024
"""Bytes of one count: what is larger is counted anew each time. A column of ten million rows has some twenty MB."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Kept:
    """A count, as far as it has come."""

    arrays: Arrays
    next_chunk: int
    """Chunks before this one are in it."""
    rows: int
    """Rows before that chunk."""
    complete: bool


def load(session: Session, job_id: uuid.UUID, key: str) -> Kept | None:
    """A count of a job, if there is one; notes, at most once an hour, that it was of use."""
    row = session.execute(_LOAD, {"job_id": job_id, "key": key}).one_or_none()
    if row is None:
        return None
    if row.rested:
        session.execute(_USED, {"job_id": job_id, "key": key})
    with np.load(io.BytesIO(row.state), allow_pickle=False) as found:
        return Kept({name: found[name] for name in found.files}, row.next_chunk, row.rows_done, row.complete)


def save(session: Session, account_id: uuid.UUID, job_id: uuid.UUID, key: str, kept: Kept) -> None:
    """Keeps a count, unless another process has brought it further."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept.arrays)  # type: ignore[arg-type]
    state = buffer.getvalue()
    if len(state) > LARGEST:
        return
    values = {"account_id": account_id, "job_id": job_id, "key": key, "state": state}
    session.execute(_SAVE, values | {"next_chunk": kept.next_chunk, "rows": kept.rows, "complete": kept.complete})
    session.execute(_FORGET, {"job_id": job_id, "most": MOST})


_LOAD = text("""
SELECT state, next_chunk, rows_done, complete, used_at < now() - interval '1 hour' AS rested FROM figure
WHERE job_id = :job_id AND key = :key
""")

_USED = text("UPDATE figure SET used_at = now() WHERE job_id = :job_id AND key = :key")

_SAVE = text("""
INSERT INTO figure (job_id, key, account_id, next_chunk, rows_done, complete, state)
VALUES (:job_id, :key, :account_id, :next_chunk, :rows, :complete, :state)
ON CONFLICT (job_id, key) DO UPDATE
    SET next_chunk = excluded.next_chunk, rows_done = excluded.rows_done, complete = excluded.complete,
        state = excluded.state, used_at = now()
    WHERE NOT figure.complete AND (figure.next_chunk < excluded.next_chunk OR excluded.complete)
""")

_FORGET = text("""
DELETE FROM figure WHERE job_id = :job_id AND key IN (
    SELECT key FROM figure WHERE job_id = :job_id ORDER BY used_at DESC, key OFFSET :most)
""")
