"""A job as the API tells of it: typed records for the client's answers.

Only fields that this client uses are named; `fields` keeps the whole answer, so that a newer server's additions are
not lost to a program that wants them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from core.errors import EmobatchError
from core.states import JobState
from emobatch.errors import JobStopped

Form = Literal["csv", "spreadsheet", "jsonl", "parquet", "xlsx"]
"""The files that results come in."""

SOONEST_S = 0.02
"""The shortest pause between two looks at a job."""


@dataclass(frozen=True)
class AcceptedJob:
    """A job that the server has promised: the answer to an upload."""

    id: str
    filename: str
    bytes: int
    fields: Mapping[str, Any]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> AcceptedJob:
        """Reads the answer to ``POST /jobs``."""
        return cls(fields["id"], fields["filename"], fields["bytes"], fields)


@dataclass(frozen=True)
class Job:
    """One job at one moment. `rate` is rows per second; times are UTC."""

    id: str
    filename: str
    state: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    rows_total: int
    rows_total_final: bool
    """False while the file is still being cut: `rows_total` then counts the rows seen so far."""
    rows_ok: int
    rows_skipped: int
    rows_failed: int
    rate: float | None
    eta_s: float | None
    """Seconds left, if they can be known; and as a range:"""
    eta_low_s: float | None
    eta_high_s: float | None
    waiting_for: str | None
    """A sentence that says why nothing moves, if nothing does."""
    error: EmobatchError | None
    fields: Mapping[str, Any]

    @property
    def rows_done(self) -> int:
        """Rows that have their final status."""
        return self.rows_ok + self.rows_skipped + self.rows_failed

    def next_look_s(self, waited_s: float, age_s: float) -> float:
        """Seconds until it is worth looking at this unfinished job again.

        Often at first, since most jobs are short, then once a second, and often around the time it should end: whoever
        waits should not wait for an end that is past. One that is overdue is looked at less and less often.

        Args:
            waited_s: how long it has been waited for.
            age_s: how long it has been as it is here.
        """
        pause = SOONEST_S + waited_s / 4
        if self.eta_s is not None:
            pause = min(pause, max(SOONEST_S, abs(self.eta_s - age_s) / 5))
        return min(1.0, pause)

    @property
    def seconds(self) -> float | None:
        """From the first work on it to its end, if it has ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def with_result(self) -> Self:
        """This job, if it ended with a result.

        Raises:
            EmobatchError: what it failed of; `JobStopped` if it was cancelled, has expired, or goes on.
        """
        if self.state in (JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS):
            return self
        raise self.error or JobStopped(
            f"The job {self.id} is {self.state} and has no result.", next_step="Label the file again."
        )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Job:
        """Reads one status of the API."""
        error = fields.get("error")
        return cls(
            id=fields["id"],
            filename=fields["filename"],
            state=JobState(fields["state"]),
            created_at=datetime.fromisoformat(fields["created_at"]),
            started_at=_time(fields.get("started_at")),
            finished_at=_time(fields.get("finished_at")),
            rows_total=fields["rows_total"],
            rows_total_final=fields["rows_total_final"],
            rows_ok=fields["rows_ok"],
            rows_skipped=fields["rows_skipped"],
            rows_failed=fields["rows_failed"],
            rate=fields.get("rate"),
            eta_s=fields.get("eta_s"),
            eta_low_s=fields.get("eta_low_s"),
            eta_high_s=fields.get("eta_high_s"),
            waiting_for=fields.get("waiting_for"),
            error=EmobatchError.from_dict(error) if error else None,
            fields=fields,
        )


@dataclass(frozen=True)
class JobPage:
    """Some jobs, newest first; `next` asks for older ones, None: there are none."""

    jobs: tuple[Job, ...]
    next: str | None


@dataclass(frozen=True)
class View:
    """How results are to be read; all of it can be changed at any time, without running the model again.

    Attributes:
        taxonomy: ``ekman`` (None), ``goemotions``, ``sentiment``, or one of your own.
        threshold: the score from which `emotions` says a label; None: as fitted for each label.
        scores: ``none``, ``top`` (None) or ``all``.
    """

    taxonomy: str | None = None
    threshold: float | None = None
    scores: str | None = None

    def params(self) -> dict[str, str]:
        """As query parameters."""
        found = {"taxonomy": self.taxonomy, "scores": self.scores}
        params = {name: value for name, value in found.items() if value is not None}
        return params if self.threshold is None else params | {"threshold": repr(self.threshold)}


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
