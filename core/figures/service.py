"""Answering a question about a job's figures: from what is kept, or by counting (`core.figures.counting`)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.db import Database
from core.errors import BadOption
from core.figures import columns, kept, report
from core.figures.columns import Column
from core.figures.counting import Counting
from core.figures.grouping import Grouping
from core.figures.kept import Kept
from core.figures.report import Examples, Figures, Progress
from core.figures.tally import Tally, is_step
from core.figures.values import Kind
from core.intervals import Share
from core.results import JobResults, ResultOptions, Results
from core.results.labels import SENTIMENT
from core.storage import Storage

SHOWN_COLUMNS = 200
"""Of a file with more, the others can be asked for by name."""


@dataclass(frozen=True)
class FigureOptions:
    """What is asked.

    Attributes:
        by: name or number of a column to break down by; None: no breakdown.
        examples: labels whose rows are wanted, with their texts; None: all of them.
    """

    by: str | None = None
    examples: Sequence[str] | None = ()


class JobFigures:
    """The figures of jobs. One per web process."""

    def __init__(self, db: Database, storage: Storage, results: Results) -> None:
        self._db = db
        self._storage = storage
        self._results = results

    def open(self, account_id: uuid.UUID, job_id: uuid.UUID, reading: ResultOptions) -> JobCounts:
        """A finished job, read in one taxonomy at one threshold.

        Raises:
            NotFound: unknown, or another account's.
            NotReady: not finished, expired, or ended before any row was read.
            BadOption: there is no such taxonomy.
        """
        return self.of(self._results.open(account_id, job_id, reading))

    def of(self, results: JobResults) -> JobCounts:
        """A finished job that is opened already."""
        return JobCounts(self._db, self._storage, results)


class JobCounts:
    """One finished job, read in one taxonomy at one threshold."""

    def __init__(self, db: Database, storage: Storage, results: JobResults) -> None:
        self._db = db
        self._storage = storage
        self._results = results
        self._source = results.source
        self._job = results.job
        self.model = results.labeller.model
        self.filename = results.job.filename
        self.taxonomy = results.labeller.taxonomy
        self.threshold = results.labeller.options.threshold
        self.stem = results.stem

    def columns(self) -> list[Column]:
        """The columns that figures can be broken down by."""
        indices = [at for at in range(len(self._source.format.header)) if at != self._source.text_index]
        return [column for column in self._look(indices[:SHOWN_COLUMNS]) if column.kind.usable]

    def figures(self, options: FigureOptions, until: float) -> Figures | Progress:
        """All figures, or how far counting them has come.

        Args:
            until: when to stop counting, by `time.monotonic`; the next call goes on.

        Raises:
            BadOption: there is no such column, or rows cannot be gathered by it; or no such label.
        """
        column = self._column(options.by) if options.by is not None else None
        self.check_labels(options.examples or ())
        counting = Counting(self._db, self._storage, self._source, self._job.rows_total, until)
        tally = self._tally(counting)
        if isinstance(tally, Progress):
            return tally
        by = None
        if column:
            codes = counting.codes(column)
            if isinstance(codes, Progress):
                return codes
            grouping = codes.grouping()
            parts = self._tally(counting, f"by {column.index} {column.kind}", grouping, codes.codes)
            if isinstance(parts, Progress):
                return parts
            by = report.breakdown_of(parts, self.threshold, grouping, column.name, column.kind)
        return Figures(
            taxonomy=self.taxonomy.name,
            threshold=self.threshold,
            rows=int(tally.rows[0]),
            labels=report.labels_of(tally, self.threshold),
            none=report.none_of(tally, self.threshold),
            sentiment=self._sentiment(),
            together=report.together_of(tally, self.threshold),
            by=by,
            examples=self._examples(tally, options.examples),
        )

    def check_labels(self, labels: Iterable[str]) -> None:
        """Raises BadOption for a label that the taxonomy has not."""
        for label in labels:
            if label not in self.taxonomy.labels:
                raise BadOption(
                    f"label={label!r} is unknown.", next_step=f"Use one of: {', '.join(self.taxonomy.labels)}."
                )

    def _tally(
        self, counting: Counting, by: str = "", grouping: Grouping | None = None, codes: Any = None
    ) -> Tally | Progress:
        """The tally of the chosen taxonomy; the model's own are counted together, as who sees one looks at others."""
        counted = list(self._job.label_counts)
        own = self.taxonomy.name not in counted
        family = [self.taxonomy] if own else [self.model.taxonomies[name] for name in counted]
        extra = None if self.threshold is None or is_step(self.threshold) else self.threshold
        name = self.taxonomy.name if own else "model"
        groups = (grouping.of_code[codes], len(grouping.names)) if grouping else None
        found = counting.tallies(f"tally {name!r} {extra} {by}".rstrip(), family, extra, len(self.model.labels), groups)
        return found if isinstance(found, Progress) else found[0 if own else counted.index(self.taxonomy.name)]

    def _sentiment(self) -> tuple[tuple[str, Share], ...]:
        """The job's rows by sentiment, which was counted as they were labelled."""
        if self.taxonomy.name == SENTIMENT:
            return ()
        counts = self._job.label_counts.get(SENTIMENT, {})
        rows = sum(counts.values())
        return tuple((label, Share(counts.get(label, 0), rows)) for label in self.model.taxonomies[SENTIMENT].labels)

    # --- columns ----------------------------------------------------------------------------------------------------

    def _column(self, given: str) -> Column:
        header = self._source.format.header
        (column,) = self._look([columns.named(header, given, self._source.text_index)])
        if not column.kind.usable:
            why = "It is empty." if column.kind is Kind.EMPTY else "Nearly every row has another value there."
            raise BadOption(f"The figures cannot be broken down by {column.name!r}. {why}", next_step="Choose another.")
        return column

    def _look(self, indices: Sequence[int]) -> list[Column]:
        """What columns are: looked at once, and kept."""
        account_id, job_id = self._source.account_id, self._source.job_id
        header = self._source.format.header
        with self._db.transaction(account_id) as session:
            saved = kept.load(session, job_id, "columns")
        kinds = dict(zip(*(saved.arrays[name].tolist() for name in ("at", "kind")), strict=True)) if saved else {}
        if missing := [index for index in indices if index not in kinds]:
            found = columns.look(self._db, self._storage, self._source, missing)
            kinds |= {column.index: column.kind.value for column in found}
            arrays = {"at": np.array(list(kinds)), "kind": np.array(list(kinds.values()))}
            with self._db.transaction(account_id) as session:
                kept.save(session, account_id, job_id, "columns", Kept(arrays, len(kinds), 0, False))
        return [Column(index, header[index], Kind(kinds[index])) for index in indices]

    # --- examples ---------------------------------------------------------------------------------------------------

    def _examples(self, tally: Tally, wanted: Sequence[str] | None) -> tuple[Examples, ...]:
        if wanted is not None and not wanted:
            return ()
        labels = self.taxonomy.labels
        numbers = [labels.index(label) for label in wanted] if wanted else list(range(len(labels)))
        rows = np.concatenate([one.of(at)["row"] for one in (tally.typical, tally.uncertain) for at in numbers])
        read = {row["row"]: (row["line"], row["text"]) for row in self._results.table.reader.read(rows)}
        return tuple(report.examples_of(tally, read, wanted))
