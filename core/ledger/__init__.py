"""The ledger: who has the right to which work, and what is done. The only truth about progress.

Workers claim work here, prove here that they still hold it, and write results and progress here in one transaction.
Redis messages only make somebody look sooner. All clocks are Postgres'. Functions take a session; the caller owns the
transaction and keeps it short. Locks are always taken in the order chunk, job.
"""

from core.ledger.claims import claim_chunks, claim_ingest, claimable, file_waits
from core.ledger.commits import (
    RATE_TAU_S,
    ChunkResult,
    Committed,
    commit_chunks,
    is_committed,
)
from core.ledger.leases import (
    ChunkLease,
    IngestLease,
    Source,
    StaleLease,
    changed,
    condemned_rows,
    note_isolated_row,
    release_chunk,
    release_ingest,
    renew_chunk,
    renew_ingest,
)
from core.ledger.recovery import (
    charge_dead_child,
    close_job,
    count_crash,
    fail_job,
    finish,
    finishable,
    held_by,
    return_expired,
)
from core.ledger.slices import NewChunk, Slice, commit_canonical, commit_slice

__all__ = [
    "RATE_TAU_S",
    "ChunkLease",
    "ChunkResult",
    "Committed",
    "IngestLease",
    "NewChunk",
    "Slice",
    "Source",
    "StaleLease",
    "changed",
    "charge_dead_child",
    "claim_chunks",
    "claim_ingest",
    "claimable",
    "close_job",
    "commit_canonical",
    "commit_chunks",
    "commit_slice",
    "condemned_rows",
    "count_crash",
    "fail_job",
    "file_waits",
    "finish",
    "finishable",
    "held_by",
    "is_committed",
    "note_isolated_row",
    "release_chunk",
    "release_ingest",
    "renew_chunk",
    "renew_ingest",
    "return_expired",
]
