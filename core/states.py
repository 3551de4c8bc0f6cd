"""Every status in one place: enums whose values are what Postgres stores and the API says."""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum


class Scope(StrEnum):
    """What somebody may do in an account; each includes those before it."""

    READ = "read"  # look at jobs and download results
    WRITE = "write"  # upload, cancel, delete, label texts
    ADMIN = "admin"  # keys and members of the account too

    def includes(self, other: Scope) -> bool:
        """Whether whoever has this may do what `other` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Role(StrEnum):
    """What a user is in an account."""

    MEMBER = "member"  # works with the account's jobs, and has keys of their own
    ADMIN = "admin"  # manages its members and all of its keys too

    @property
    def scope(self) -> Scope:
        """What that allows."""
        return Scope.ADMIN if self is Role.ADMIN else Scope.WRITE


class UploadState(StrEnum):
    """Life of the file as the user sent it."""

    RECEIVING = "receiving"  # bytes are arriving, under a lease; swept when the lease runs out
    STORED = "stored"  # complete, hashed, never changed again
    DELETING = "deleting"  # its job is gone; the sweeper removes the files, then the row


class JobState(StrEnum):
    """Life of a job."""

    QUEUED = "queued"  # accepted; no worker has looked at it yet
    INGESTING = "ingesting"  # records are being cut into chunks (classifying has begun too)
    RUNNING = "running"  # every record is in a chunk; chunks are being classified
    COMPLETED = "completed"  # every row has a status, none failed
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # every row has a status, some failed
    FAILED = "failed"  # the file or the model made it impossible to go on; `error` says why
    CANCELLED = "cancelled"  # its owner stopped it; what was labelled is kept
    EXPIRED = "expired"  # retention is over; the data is gone, the record remains

    @property
    def active(self) -> bool:
        """Whether work may still happen."""
        return self in ACTIVE_JOB_STATES


ACTIVE_JOB_STATES = (JobState.QUEUED, JobState.INGESTING, JobState.RUNNING)


class IngestState(StrEnum):
    """How far the records of a job have been cut into chunks."""

    CONVERTING = "converting"  # being turned into canonical UTF-8 beside the upload
    CUTTING = "cutting"  # being cut into chunks, slice by slice
    DONE = "done"


class ChunkState(StrEnum):
    """Life of a chunk."""

    READY = "ready"  # claimable once `not_before` has passed
    LEASED = "leased"  # a worker has the right to it until `lease_until`
    DONE = "done"  # its result_chunk is committed


class RowStatus(IntEnum):
    """Final status of one row, as stored in ``result_chunk.status``."""

    OK = 0
    EMPTY = 1  # nothing to classify: counted as skipped
    FAILED = 2  # `detail` says why


class RowFlag(IntFlag):
    """What else is known of a row. The first five are stored in ``result_chunk.flags``; the last two are read off the
    stored logits each time (`core.flags`), so that they follow the taxonomy that is asked for."""

    RAGGED = 1  # fewer or more cells than the header
    WINDOWED = 2  # longer than the model's window: scored in windows and pooled
    CAPPED = 4  # longer than what is classified of one cell
    NO_WORDS = 8  # nothing but numbers, signs, emoji and links
    NOT_ENGLISH = 16  # another language or script than the model learnt
    UNFAMILIAR = 32  # hardly a trace of any emotion: far from what the model was fitted on
    CLOSE = 64  # the two best labels are nearly as likely


RECORD = RowFlag.RAGGED | RowFlag.WINDOWED | RowFlag.CAPPED
"""What is known of the record; the others speak against the label (`core.flags`)."""


class WebhookEvent(StrEnum):
    """What a webhook may be told."""

    COMPLETED = "job.completed"  # every row has its status; some may have failed
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    TEST = "webhook.test"  # its owner asked for it; every webhook gets it


class DeliveryState(StrEnum):
    """Life of one message to one webhook."""

    PENDING = "pending"  # to be sent once `not_before` has passed
    DELIVERED = "delivered"  # answered with 2xx
    FAILED = "failed"  # given up; its owner may have it sent again
