"""What `emobatch.Client` does with single rows: finds them, page by page, and asks about one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emobatch.connection import Connection, read
from emobatch.job import View
from emobatch.query import given, job_path
from emobatch.rows import Row, RowFilter, RowPage

ROWS_A_PAGE = 500
"""Rows that `each_row` asks for at once: as many as the server gives."""


class RowReading:
    """The part of a client that reads rows."""

    _connection: Connection

    def rows(
        self,
        job_id: str,
        view: View | None = None,
        where: RowFilter | None = None,
        *,
        cursor: str | None = None,
        after: int = 0,
        limit: int = 50,
        label: str | None = None,
        status: str | None = None,
    ) -> RowPage:
        """Some labelled rows, also while the job is running.

        Args:
            where: which rows, in which order; by default all, as in the file.
            cursor: an earlier page's `next` or `previous`.
            after: in the file's order: rows after this data row.
            limit: at most so many.
            label, status: as in `where`.
        """
        params = {"after": after or None, "cursor": cursor, "limit": limit, "label": label, "status": status}
        params |= (view or View()).params() | (where or RowFilter()).params()
        response = self._connection.repeat("GET", job_path(job_id, "rows"), params=given(params))
        return read(response, RowPage.from_dict)

    def each_row(
        self, job_id: str, view: View | None = None, where: RowFilter | None = None, *, limit: int | None = None
    ) -> Iterator[Row]:
        """All labelled rows that are like that, asked for page by page as they are read.

        Args:
            where: which rows, in which order.
            limit: how many will be read, if that is known: smaller pages are asked for then.
        """
        cursor = None
        while True:
            page = self.rows(job_id, view, where, cursor=cursor, limit=min(limit or ROWS_A_PAGE, ROWS_A_PAGE))
            yield from page.rows
            if (cursor := page.next) is None:
                return

    def row(self, job_id: str, row: int, view: View | None = None) -> Row:
        """One data row, whole: every cell, all scores (``scores``), what each taxonomy says of it (``taxonomies``).

        Raises:
            NotFound: there is no such row.
            NotReady: it has no result yet.
        """
        return read(
            self._connection.repeat("GET", job_path(job_id, f"rows/{row}"), params=(view or View()).params()), dict
        )

    def words(self, job_id: str, row: int, view: View | None = None, *, label: str | None = None) -> Mapping[str, Any]:
        """Which words of a row mattered: what leaving out each does to the score of its top label, or of `label`.

        Raises:
            Unavailable: no worker answered, for longer than patience lasts.
        """
        params = given({**(view or View()).params(), "label": label})
        return read(self._connection.repeat("GET", job_path(job_id, f"rows/{row}/words"), params=params), dict)
