"""A bundle: chunks of one job that are claimed, scored and committed together, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.ledger import ChunkLease, Source
from worker.classify import Rows, Together

Read = list[tuple[ChunkLease, Rows]]
"""Chunks with their rows."""


@dataclass
class Bundle:
    """Chunks of one job that are scored together.

    Attributes:
        leases: at least one.
        read: those that are to be scored, with their rows.
        together: the same rows, ready for the engine; None: nothing is to be scored, or a chunk is isolated.
        file_waits: whether there was a file to cut as they were claimed.
        claimed: when, by `time.monotonic`.
    """

    leases: list[ChunkLease]
    read: Read
    together: Together | None
    file_waits: bool
    claimed: float

    @property
    def isolated(self) -> bool:
        """Whether it is one chunk that killed a child before."""
        return self.leases[0].isolated

    @property
    def source(self) -> Source:
        """The job it is of."""
        return self.leases[0].source

    @property
    def chars(self) -> int:
        """Characters that are to be scored."""
        return sum(len(text) for _, rows in self.read for text in rows.texts)

    @property
    def traits(self) -> dict[str, Any]:
        """What a trace says of it."""
        return {
            "job_id": self.source.job_id,
            "chunks": len(self.leases),
            "rows": sum(lease.n_rows for lease in self.leases),
        }
