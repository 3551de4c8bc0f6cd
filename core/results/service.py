"""The results of one job: as a file, as lines of JSON, as a page of rows, as a summary."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import PurePath
from typing import Any, TypeVar

import orjson
from sqlalchemy import select

from core import jobs, registry
from core.db import Database
from core.errors import BadOption, NotReady
from core.models import Job, Upload
from core.results.labels import Labeller, RowLabels
from core.results.options import ResultOptions, Scores
from core.results.walk import ChunkView, JobSource, join, walk
from core.states import JobState
from core.storage import Storage
from core.table import Format, OutputLayout, Record, RecordReader, TableWriter

T = TypeVar("T")

MAX_PAGE = 1_000

ROWS_PER_BLOCK = 256
"""Rows written at once: enough to be fast, few enough that many downloads of wide tables fit in memory together."""

PAGE_READS = 25
"""Batches of chunks a page may look through for rare rows before it answers with what it has and where to go on."""

_MISSING = {JobState.CANCELLED: "cancelled", JobState.FAILED: "the job failed"}


@dataclass(frozen=True)
class Page:
    """Some rows, in order; `next_after` is the row to go on after, None at the end."""

    rows: list[dict[str, Any]]
    next_after: int | None


class Results:
    """Opens jobs for reading. One per web process."""

    def __init__(self, db: Database, storage: Storage) -> None:
        self._db = db
        self._storage = storage

    def open(
        self, account_id: uuid.UUID, job_id: uuid.UUID, options: ResultOptions, *, partial: bool = False
    ) -> JobResults:
        """A job's results, read with `options`.

        Args:
            partial: also while the job is running: the rows finished so far.

        Raises:
            NotFound: unknown, or another account's.
            NotReady: still running and not `partial`, expired, or ended before any row was read.
            BadOption: the model has no such taxonomy.
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
        )
        return JobResults(self._db, self._storage, source, Labeller(model, options), job)


class JobResults:
    """One job, opened for reading with one choice of options."""

    def __init__(self, db: Database, storage: Storage, source: JobSource, labeller: Labeller, job: Job) -> None:
        self._db = db
        self._storage = storage
        self._source = source
        self._labeller = labeller
        self._job = job
        self._keys = _unique(source.format.header)

    @property
    def stem(self) -> str:
        """File name of the download, without its extension: ``reviews.labelled``."""
        name = PurePath(self._job.filename).name
        for ending in (".gz", ".csv", ".txt", ".tsv"):
            if name.lower().endswith(ending):
                name = name[: -len(ending)]
        return f"{name or 'upload'}.labelled"

    def csv(self, encoding: str = "utf-8") -> Iterator[bytes]:
        """The labelled file, in blocks: the same rows in the same order, every cell as it was.

        Args:
            encoding: ``utf-8``, or ``same`` for the input's own.

        Raises:
            EncodingFailed: a character that the output encoding lacks, naming its row.
        """
        if encoding not in ("utf-8", "same"):
            raise BadOption(f"output_encoding={encoding!r} is unknown.", next_step="Use utf-8 or same.")
        found = self._source.format
        labeller = self._labeller
        layout = OutputLayout(
            found.header, taxonomy=labeller.taxonomy.name, scores=labeller.options.scores, labels=labeller.fine.labels
        )
        writer = TableWriter(found, encoding=encoding)
        head = writer.write([layout.header()])
        fill = labeller.filler(layout.columns)
        for chunk, records in self._chunks():
            added = fill(chunk.stored) if chunk.stored else repeat(layout.unscored(self._missing), chunk.n_rows)
            rows = (layout.row(record.cells, cells) for record, cells in zip(records, added, strict=True))
            for number, some in enumerate(_blocks(rows)):
                yield head + writer.write(some, first_row=chunk.first_row + number * ROWS_PER_BLOCK)
                head = b""
        if head:
            yield head

    def jsonl(self) -> Iterator[bytes]:
        """One JSON object per row, in blocks of lines."""
        for chunk, records in self._chunks():
            lines = (
                orjson.dumps(self._as_dict(record, labels), option=orjson.OPT_APPEND_NEWLINE)
                for record, labels in zip(records, self._labels(chunk), strict=True)
            )
            yield from map(b"".join, _blocks(lines))

    def _chunks(self) -> Iterator[tuple[ChunkView, RecordReader]]:
        for chunks in walk(self._db, self._source):
            yield from join(self._storage, self._source, chunks)

    def _labels(self, chunk: ChunkView) -> Iterator[RowLabels]:
        if chunk.stored is None:
            return repeat(RowLabels(status=self._missing), chunk.n_rows)
        return self._labeller.rows(chunk.stored)

    @property
    def _missing(self) -> str:
        """Status of a row without a result."""
        return f"failed: {self._source.missing}"

    def page(self, *, after_row: int = 0, limit: int = 50, label: str | None = None, status: str | None = None) -> Page:
        """Rows after `after_row`, at most `limit`, by key: as quick at row nine million as at the first.

        Args:
            label: only rows whose emotion (in the chosen taxonomy) this is.
            status: only rows whose status is this: ``ok``, ``empty`` or ``failed``.

        Raises:
            BadOption: an unknown label or status, or a limit out of range.
        """
        taxonomy = self._labeller.taxonomy
        if not 1 <= limit <= MAX_PAGE:
            raise BadOption(f"limit={limit} is out of range.", next_step=f"Use 1 to {MAX_PAGE}.")
        if label is not None and label not in taxonomy.labels:
            raise BadOption(f"label={label!r} is unknown.", next_step=f"Use one of: {', '.join(taxonomy.labels)}.")
        if status not in (None, "ok", "empty", "failed"):
            raise BadOption(f"status={status!r} is unknown.", next_step="Use ok, empty or failed.")
        rows: list[dict[str, Any]] = []
        seen = after_row
        batches = walk(self._db, self._source, from_row=after_row + 1, limit=4, taxonomy=taxonomy.name, label=label)
        for number, chunks in enumerate(batches, start=1):
            rows_read = (
                zip(records, self._labels(chunk), strict=True)
                for chunk, records in join(self._storage, self._source, chunks)
            )
            for record, labels in chain.from_iterable(rows_read):
                if record.row <= after_row:
                    continue
                seen = record.row
                wanted = (label is None or labels.emotion == label) and (
                    status is None or labels.status.partition(":")[0] == status
                )
                if wanted:
                    rows.append(self._as_dict(record, labels))
                    if len(rows) == limit:
                        return Page(rows, seen)
            if number == PAGE_READS:
                return Page(rows, seen)
        return Page(rows, None)

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
        if self._labeller.options.scores is Scores.ALL:
            row["scores"] = self._labeller.scores_of(labels)
        return row


def _blocks(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while some := list(islice(rows, ROWS_PER_BLOCK)):
        yield some


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
