"""What a user asks for with a file, and what is answered."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.ledger.commits import to_json
from core.table import CONTAINERS, Format, Overrides

_FIRST = ("encoding", "delimiter", "has_header", "quoting")


@dataclass(frozen=True)
class JobRequest:
    """What a user asks for with a file."""

    filename: str
    text_column: str | None = None
    """Name, else 1-based number; None: guess."""
    overrides: Overrides = field(default_factory=Overrides)
    keep_days: int | None = None
    """Days from its end until the job expires; None: `Settings.retention_days`."""
    idempotency_key: str | None = None
    model: str | None = None
    """Name, ``name@version`` or hash of the version that labels it; None: the installation's."""
    n_bytes: int | None = None
    """How large the file is said to be."""

    def fingerprint(self, sha256: str) -> str:
        """Hash of everything that decides the job: the options and the body's `sha256`. The file's name does not."""
        # What came later counts only where it is said: a key that an older release was given stays the same key.
        overrides = {name: said for name, said in asdict(self.overrides).items() if said is not None or name in _FIRST}
        options: list[Any] = [self.text_column, sorted(overrides.items()), sha256]
        options += [] if self.keep_days is None else [self.keep_days]
        options += [] if self.model is None else [f"model {self.model}"]
        return hashlib.sha256(to_json(options).encode()).hexdigest()

    def job_options(self, found: Format) -> dict[str, Any]:
        """What is kept of it with the job, for the worker."""
        options: dict[str, Any] = {} if self.keep_days is None else {"keep_days": self.keep_days}
        if found.source in CONTAINERS and self.text_column is not None:
            options["text_column"] = self.text_column
        return options


@dataclass(frozen=True)
class Accepted:
    """A job that is promised: the answer to the request, the same each time it is repeated."""

    job_id: uuid.UUID
    answer: Mapping[str, Any]
    repeated: bool = False
