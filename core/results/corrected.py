"""What people say of rows, beside what the model says of them in a download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import count
from typing import Any

from core.db import Database
from core.ledger.commits import to_json
from core.results.walk import JobSource
from core.review.corrections import of_rows
from core.table.output import corrected_column
from core.taxonomy import Taxonomy


class Corrections:
    """The corrections of one job in one taxonomy, read when they are first asked for: a file is of one moment."""

    def __init__(self, db: Database, source: JobSource, taxonomy: Taxonomy) -> None:
        self._db = db
        self._source = source
        self._taxonomy = taxonomy.name
        self.none_of_them = "none" if "none" not in taxonomy.labels else "none of them"
        """The cell of a row that has none of the taxonomy's labels; users name theirs as they like."""

    @cached_property
    def _said(self) -> Mapping[int, tuple[str, ...]]:
        with self._db.transaction(self._source.account_id) as session:
            return of_rows(session, self._source.job_id, self._taxonomy, 1, 2**31 - 1)

    @property
    def digest(self) -> str:
        """Two files with the same one say the same of all rows."""
        return hashlib.sha256(to_json(sorted(self._said.items())).encode()).hexdigest()

    def beside(self, added: Iterable[tuple[str, ...]], first_row: int) -> Iterator[tuple[str, ...]]:
        """Added cells of rows from `first_row` on, each with what is said of its row as one more."""
        for row, cells in zip(count(first_row), added, strict=False):
            labels = self._said.get(row)
            yield (*cells, "" if labels is None else "|".join(labels) or self.none_of_them)

    def of(self, row: int) -> dict[str, Any]:
        """The same of one row, as it stands in JSON."""
        labels = self._said.get(row)
        return {corrected_column(self._taxonomy): None if labels is None else list(labels)}
