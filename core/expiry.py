"""Which finished jobs lose their data, when an operator wants room sooner than retention gives it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Expiring:
    """A finished job whose data may go: how much that is, of its file and of its results."""

    id: uuid.UUID
    account_id: uuid.UUID
    finished_at: datetime
    rows: int
    bytes: int


_OLDER = text("""
SELECT j.id, j.account_id, j.finished_at, j.rows_total, coalesce(u.bytes, 0)
    + coalesce((SELECT sum(octet_length(r.logits))::bigint FROM result_chunk r WHERE r.job_id = j.id), 0) AS n_bytes
FROM job j LEFT JOIN upload u ON u.id = j.upload_id
WHERE j.finished_at < now() - make_interval(days => :days) AND j.state <> 'expired' AND j.deleted_at IS NULL
ORDER BY j.finished_at, j.id
""")


def older_than(session: Session, days: int) -> list[Expiring]:
    """Finished jobs that ended more than `days` days ago and still have their data, oldest first."""
    rows = session.execute(_OLDER, {"days": days})
    return [Expiring(row.id, row.account_id, row.finished_at, row.rows_total, row.n_bytes) for row in rows]


def expire(session: Session, job_ids: list[uuid.UUID]) -> int:
    """Lets these finished jobs expire now; the sweeper takes their data away. How many it were."""
    return len(
        session.scalars(
            text("""
            UPDATE job SET expires_at = now(), state = 'expired'
            WHERE id = ANY(:ids) AND finished_at IS NOT NULL AND state <> 'expired' AND deleted_at IS NULL RETURNING id
            """),
            {"ids": job_ids},
        ).all()
    )
