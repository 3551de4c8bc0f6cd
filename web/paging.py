"""How every list of the API is paged: `limit` and `cursor` are asked, `next` is answered, null at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import Field

from core.mark import Mark, no_such_cursor, opaque, plain
from web.schemas import Query, Word

CURSOR = "`next` of an earlier answer: what follows it."

T = TypeVar("T")


class PageOptions(Query):
    """Which part of a list."""

    limit: int = Field(default=50, ge=1, le=200, description="How many at most.")
    cursor: Word | None = Field(default=None, description=CURSOR)

    @property
    def before(self) -> Mark | None:
        """In a list from the newest on: what comes before. Raises BadOption for a cursor that is none."""
        return Mark.decode(self.cursor) if self.cursor else None


class RowPageOptions(PageOptions):
    """Which part of a list of a job's rows, in the file's order."""

    after: int = Field(default=0, ge=0, le=2**31 - 1, description="To begin with: what comes after this data row.")

    @property
    def begin(self) -> int:
        """After which row. Raises BadOption for a cursor that is none."""
        if not self.cursor:
            return self.after
        row = plain(self.cursor)
        if not (row.isascii() and row.isdecimal() and len(row) <= 10):
            raise no_such_cursor()
        return min(int(row), 2**31 - 1)


def row_cursor(row: int | None) -> str | None:
    """The `next` of a page that ends with a data row; None where none follows."""
    return None if row is None else opaque(str(row))


class ShortListOptions(PageOptions):
    """Which part of a list that is never long."""

    limit: int = Field(default=200, ge=1, le=200, description="How many at most.")


def newest_first(found: Sequence[T], limit: int) -> tuple[Sequence[T], str | None]:
    """A page, and its `next`, of one more than were asked for, if there are as many."""
    return found[:limit], Mark.of(found[limit - 1]).encode() if len(found) > limit else None


def part(every: Sequence[T], options: PageOptions, name: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """A page, and its `next`, of a list that is read as a whole.

    Args:
        every: all of it, in its order.
        options: which part.
        name: what tells one from all others.

    Raises:
        BadOption: the cursor is none, or what stood there is gone.
    """
    begin = 0
    if options.cursor:
        seen = plain(options.cursor)
        begin = next((at for at, one in enumerate(every, 1) if name(one) == seen), 0)
        if not begin:
            raise no_such_cursor()
    end = begin + options.limit
    return every[begin:end], opaque(name(every[end - 1])) if end < len(every) else None
