"""A place in a list that is read from the newest on: what the last one seen is sorted by, not how many came before it.

So what is added or deleted meanwhile, the last one seen among it, moves nothing.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, tuple_

from core.errors import BadOption

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Mark:
    """Where something stands among others that are sorted by time, then by id."""

    created_at: datetime
    id: uuid.UUID

    @classmethod
    def of(cls, one: Any) -> Mark:
        """The place of a thing that has both."""
        return cls(one.created_at, one.id)

    def comes_after(self, kind: Any) -> ColumnElement[bool]:
        """The condition of a query from the newest on that goes on here: what is older, of a table that has both."""
        return tuple_(kind.created_at, kind.id) < tuple_(self.created_at, self.id)

    def encode(self) -> str:
        """As it stands in an address: opaque to whoever is given it."""
        return opaque(f"{(self.created_at - _EPOCH) // _MICROSECOND}.{self.id.hex}")

    @classmethod
    def decode(cls, given: str) -> Mark:
        """The inverse of `encode`. Raises BadOption for what is none."""
        try:
            at, _, name = plain(given).partition(".")
            return cls(_EPOCH + int(at) * _MICROSECOND, uuid.UUID(hex=name))
        except (ValueError, OverflowError):
            raise no_such_cursor() from None


def opaque(text: str) -> str:
    """A text as it can stand in an address."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def plain(given: str) -> str:
    """The inverse of `opaque`. Raises BadOption for what is none."""
    try:
        return base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise no_such_cursor() from None


def no_such_cursor() -> BadOption:
    """What a cursor is answered with that was not given out, or whose place is gone."""
    return BadOption("cursor is not one that was given out.", next_step="Leave it out to begin anew.")
