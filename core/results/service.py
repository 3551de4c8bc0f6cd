"""The results of one job: as a file, as lines of JSON, as a page of rows, as a summary."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from sqlalchemy import select

from core import jobs, own_taxonomies, registry
from core.db import Database
from core.errors import BadOption, NotReady
from core.models import Job, Upload
from core.registry import ModelVersion
from core.results.columns import ColumnCache, JobColumns
from core.results.corrected import Corrections
from core.results.detail import RowDetail, detail_of
from core.results.files import ResultFiles
from core.results.labels import Labeller, RowLabels
from core.results.mended import Mended
from core.results.options import ResultOptions, Scores
from core.results.query import RowQuery
from core.results.reader import RowReader
from core.results.rows import SEARCH_S, Page, RowTable
from core.results.walk import JobSource
from core.settings import MIB
from core.states import JobState
from core.storage import Storage
from core.table import Format, Record
from core.taxonomy import Taxonomy

_MISSING = {JobState.CANCELLED: "cancelled", JobState.FAILED: "the job failed"}


class Results:
    """Opens jobs for reading. One per web process.

    Args:
        columns_bytes: memory for what tables are filtered and sorted by (`core.results.columns`).
    """

    def __init__(self, db: Database, storage: Storage, columns_bytes: int = 256 * MIB) -> None:
        self._db = db
        self._storage = storage
        self._columns = ColumnCache(columns_bytes)

    def open(
        self, account_id: uuid.UUID, job_id: uuid.UUID, options: ResultOptions, *, partial: bool = False
    ) -> JobResults:
        """A job's results, read with `options`.

        Args:
            partial: also while the job is running: the rows finished so far.

        Raises:
            NotFound: unknown, or another account's.
            NotReady: still running and not `partial`, expired, or ended before any row was read.
            BadOption: neither the model nor the account has such a taxonomy.
        """
        with self._db.transaction(account_id) as session:
            row = session.execute(
                select(Job, Upload)
                .outerjoin(Upload, Upload.id == Job.upload_id)
                .where(Job.id == job_id, Job.account_id == account_id, Job.deleted_at.is_(None))
            ).one_or_none()
            if row is None:
                raise jobs.no_such_job()
            job, upload = row.Job, row.Upload
            model = registry.model_version(session, job.model_sha256)
            model = own_taxonomies.with_own(session, account_id, model, options.taxonomy)
        state = JobState(job.state)
        if state is JobState.EXPIRED or upload is None:
            raise NotReady("The results have expired and were removed.", next_step="Upload the file again.")
        if state.active and not partial:
            raise NotReady(
                "The job is not finished.", next_step="Wait for it, or ask for the rows done so far with partial=yes."
            )
        if state in _MISSING and not job.rows_total:
            raise NotReady("The job ended before any row was read.", next_step="See its state and error.")
        source = JobSource(
            job_id=job.id,
            account_id=account_id,
            key=upload.canonical_key or upload.key,
            format=Format.from_dict(upload.detected),
            text_index=job.text_column["index"],
            missing=None if state.active else _MISSING.get(state, "no result"),
            revision=job.revision,
            mended=Mended(self._db, self._storage, job.account_id, job.id) if job.revision else None,
        )
        return JobResults(self._db, self._storage, source, Labeller(model, options), job, self._columns)


class JobResults:
    """One job, opened for reading with one choice of options."""

    def __init__(
        self, db: Database, storage: Storage, source: JobSource, labeller: Labeller, job: Job, columns: ColumnCache
    ) -> None:
        self._db = db
        self._storage = storage
        self._source = self.source = source
        self._labeller = self.labeller = labeller
        self._job = self.job = job
        self._columns = columns
        self._keys = _unique(source.format.header)
        self._corrections = Corrections(db, source, labeller.taxonomy)

    @property
    def model(self) -> ModelVersion:
        """What labelled the job."""
        return self._labeller.model

    @property
    def taxonomy(self) -> Taxonomy:
        """What it is read in."""
        return self._labeller.taxonomy

    @property
    def text_column(self) -> int:
        """Number, from 1, of the column that was labelled."""
        return self._source.text_index + 1

    def columns(self, numbers: Sequence[int] | None = None) -> list[str]:
        """Names of the file's columns as they stand in a row's ``cells``: all, or those of some numbers from 1.

        Raises:
            BadOption: there is no such column.
        """
        for number in numbers or ():
            if not 1 <= number <= len(self._keys):
                raise BadOption(
                    f"columns: there is no column {number}.", next_step=f"The file has {len(self._keys)} columns."
                )
        return self._keys if numbers is None else [self._keys[number - 1] for number in numbers]

    @property
    def upload_id(self) -> uuid.UUID | None:
        """Of the upload that the job was made from."""
        return self._job.upload_id

    @property
    def format(self) -> Format:
        """The upload's."""
        return self._source.format

    @property
    def stem(self) -> str:
        """File name of the download, without its extension: ``reviews.labelled``."""
        name = PurePath(self._job.filename).name
        for ending in (".gz", ".csv", ".txt", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx", ".xlsm"):
            if name.lower().endswith(ending):
                name = name[: -len(ending)]
        return f"{name or 'upload'}.labelled"

    @property
    def files(self) -> ResultFiles:
        """The files that it can be read as."""
        return ResultFiles(
            self._db,
            self._storage,
            self._source,
            self._labeller,
            self._job,
            self._keys,
            self._as_dict,
            self._corrections,
        )

    def csv(self, encoding: str = "utf-8") -> Iterator[bytes]:
        """The exact CSV, in blocks; see `ResultFiles.csv`."""
        return self.files.csv(encoding).blocks()

    def jsonl(self) -> Iterator[bytes]:
        """One JSON object per row, in blocks of lines."""
        return self.files.jsonl().blocks()

    @property
    def table(self) -> RowTable:
        """The rows as a table."""
        job = self._job
        columns = JobColumns(
            self._db,
            self._source,
            self._columns,
            chunks_total=job.chunks_total,
            chunks_done=job.chunks_done,
            n_logits=self._labeller.n_logits,
        )
        reader = RowReader(self._db, self._storage, self._source, self._labeller, columns.places, self._as_dict)
        return RowTable(self._storage, self._source, self._labeller, columns, reader)

    def page(
        self,
        query: RowQuery | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        after_row: int = 0,
        search_s: float = SEARCH_S,
    ) -> Page:
        """Some rows, by key: as quick at row nine million as at the first.

        Args:
            query: which rows, in which order; by default all, as in the file.
            limit: at most so many.
            cursor: an earlier page's `next` or `previous`.
            after_row: in the file's order: the row to go on after.
            search_s: how long texts are looked through before the page answers with what it has.

        Raises:
            BadOption: an unknown label, a limit out of range, a cursor that is none or of another order.
        """
        return self.table.page(query or RowQuery(), limit, cursor, after_row, search_s)

    def row(self, row: int) -> RowDetail:
        """One data row, whole.

        Raises:
            NotFound: there is no such row (yet).
            NotReady: it has no result yet.
        """
        return detail_of(self.table, self._labeller.model, row, self._labeller.options.threshold)

    def neighbours(self, query: RowQuery, row: int) -> tuple[int | None, int | None]:
        """The rows before and after a row in the table of `query`; of a search, among those found so far."""
        return self.table.neighbours(query, row)

    def summary(self) -> dict[str, Any]:
        """Counts of rows by status, and of top labels in every taxonomy."""
        job = self._job
        return {
            "rows": {
                "total": job.rows_total,
                "ok": job.rows_ok,
                "skipped": job.rows_skipped,
                "failed": job.rows_failed,
                "identical": job.rows_identical,
                "blank_lines": job.blank_lines,
            },
            "taxonomies": job.label_counts,
            "flags": job.flag_counts,
        }

    def _as_dict(self, record: Record, labels: RowLabels) -> dict[str, Any]:
        found = self._source.format
        at = self._source.text_index
        row = {
            "row": record.row,
            "line": record.line,
            "text": record.cells[at] if at < len(record.cells) else "",
            **self._labeller.as_dict(labels),
            "cells": dict(zip(self._keys, record.cells, strict=False)),
        }
        if len(record.cells) > len(found.header):
            row["overflow"] = record.cells[len(found.header) :]
        if self._labeller.options.corrections:
            row |= self._corrections.of(record.row)
        if self._labeller.options.scores is Scores.ALL:
            row["scores"] = self._labeller.scores_of(labels)
        return row


def _unique(header: Sequence[str]) -> list[str]:
    """Column names as the keys of an object: a blank one by its number, a repeated one with ``_2``, ``_3`` …"""
    keys: dict[str, None] = {}
    for number, name in enumerate(header, start=1):
        key, again = name or f"column_{number}", 1
        while key in keys:
            again += 1
            key = f"{name or 'column'}_{again}"
        keys[key] = None
    return list(keys)
