"""All the files that one job's results can be read as, with one choice of options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice, repeat
from typing import Any, TypeVar

import orjson
from sqlalchemy import select

from core.db import Database
from core.errors import BadOption, NotReady
from core.fixed_rows import fixed_format
from core.ledger.commits import to_json
from core.models import Job
from core.results.corrected import Corrections
from core.results.files.base import FileWriter
from core.results.files.csv_file import CsvFile, SpreadsheetFile
from core.results.files.parquet_file import ParquetFile
from core.results.files.workbook import WorkbookFile
from core.results.labels import Labeller, RowLabels
from core.results.walk import ChunkView, JobSource, join, walk
from core.send_back import check_mendable
from core.states import JobState
from core.storage import Storage
from core.table import OutputLayout, Record, TableWriter

T = TypeVar("T")

ROWS_PER_BLOCK = 256
"""Rows written at once: enough to be fast, few enough that many downloads of wide tables fit in memory together."""

FAILED = "failed: "
"""What the status of a failed row begins with."""

OnChunk = Callable[[int], None]
"""Is called with the first row of a chunk, when the bytes of the rows before it have been given and no others."""


@dataclass(frozen=True)
class ResultFile:
    """One file of results, not yet written.

    Attributes:
        form: ``csv``, ``spreadsheet``, ``jsonl``, ``parquet`` or ``xlsx``.
        etag: two files with the same one are the same bytes; None: they may change at any time.
        may_begin_anywhere: whether it can be written from any chunk on; else `from_row` must be 1.
    """

    form: str
    etag: str | None
    may_begin_anywhere: bool
    write: Callable[[int, OnChunk], Iterator[bytes]]

    def blocks(self, *, from_row: int = 1, on_chunk: OnChunk = lambda row: None) -> Iterator[bytes]:
        """Writes it, from the chunk on that begins with `from_row`.

        Raises:
            EncodingFailed: a character that the output encoding lacks, naming its row.
            NotReady: the results changed while they were read: what was given is no file.
        """
        return self.write(from_row, on_chunk)


class ResultFiles:
    """Writes the results of one job.

    Args:
        keys: of the input's columns, each once.
        describe: an object of JSON lines for a record and what is said of it.
    """

    def __init__(
        self,
        db: Database,
        storage: Storage,
        source: JobSource,
        labeller: Labeller,
        job: Job,
        keys: list[str],
        describe: Callable[[Record, RowLabels], dict[str, Any]],
        corrections: Corrections,
    ) -> None:
        self._db = db
        self._storage = storage
        self._source = source
        self._labeller = labeller
        self._job = job
        self._keys = keys
        self._describe = describe
        self._corrections = corrections

    def csv(self, encoding: str = "utf-8") -> ResultFile:
        """The labelled file: the same rows in the same order, every cell as it was.

        Args:
            encoding: ``utf-8``, or ``same`` for the input's own.

        Raises:
            BadOption: another encoding.
        """
        if encoding not in ("utf-8", "same"):
            raise BadOption(f"output_encoding={encoding!r} is unknown.", next_step="Use utf-8 or same.")
        layout, fmt = self._layout(self._source.format.header), self._source.format
        # Other encodings may have a state, which only those who began at the beginning know.
        return self._file("csv", encoding == "utf-8", layout, lambda: CsvFile(fmt, layout, encoding), encoding)

    def spreadsheet(self) -> ResultFile:
        """CSV that is safe to open in a spreadsheet program: cells that would be formulas are changed."""
        layout, fmt = self._layout(self._source.format.header), self._source.format
        return self._file("spreadsheet", True, layout, lambda: SpreadsheetFile(fmt, layout))

    def parquet(self) -> ResultFile:
        """Typed columns. Raises BadOption where it cannot be written."""
        layout = self._layout(self._keys)
        active = JobState(self._job.state).active  # its next rows may be the first long ones
        overflow = active or any(warning["code"] == "long_row" for warning in self._job.warnings)
        ParquetFile.check()
        made_by = _version("pyarrow")

        def make() -> ParquetFile:
            return ParquetFile(layout, overflow=overflow, empty=self._corrections.none_of_them)

        return self._file("parquet", False, layout, make, made_by)

    def xlsx(self) -> ResultFile:
        """A workbook. Raises BadOption where it cannot be written."""
        layout = self._layout(self._source.format.header)
        WorkbookFile.check()
        return self._file("xlsx", False, layout, lambda: WorkbookFile(layout), _version("xlsxwriter"))

    def jsonl(self) -> ResultFile:
        """One JSON object per row, in blocks of lines."""
        return ResultFile("jsonl", self._etag("jsonl", self._layout(self._keys)), True, self._write_jsonl)

    def failed(self) -> Iterator[bytes]:
        """The failed rows alone, as a CSV to be fixed and sent back: see `core.fixed_rows`.

        Raises:
            NotReady, Conflict: the job has none that may be sent back.
        """
        check_mendable(self._job)
        fmt = fixed_format(self._source.format)
        writer = TableWriter(fmt, encoding=fmt.encoding)
        return self._write_failed(writer, writer.write([fmt.header]))

    def _layout(self, header: Iterable[str]) -> OutputLayout:
        labeller = self._labeller
        return OutputLayout(
            list(header),
            taxonomy=labeller.taxonomy.name,
            scores=labeller.options.scores,
            labels=labeller.fine.labels,
            corrected=labeller.options.corrections,
        )

    def _file(
        self, form: str, anywhere: bool, layout: OutputLayout, make: Callable[[], FileWriter], *more: str
    ) -> ResultFile:
        def write(from_row: int, on_chunk: OnChunk) -> Iterator[bytes]:
            return self._write(layout, make(), from_row, on_chunk)

        return ResultFile(form, self._etag(form, layout, *more), anywhere, write)

    def _etag(self, form: str, layout: OutputLayout, *more: str) -> str | None:
        """Changes with everything that a file is made of; the file that was uploaded never changes."""
        job, labeller = self._job, self._labeller
        if JobState(job.state).active:
            return None
        said = self._corrections.digest if labeller.options.corrections else None
        read = [labeller.taxonomy.to_dict(), labeller.sentiment.to_dict(), labeller.options.threshold]
        made = [form, *more, layout.header(), layout.columns, self._source.format.to_dict(), _version("emobatch")]
        seen = [str(job.id), job.state, job.revision, job.rows_total, job.model_sha256, job.text_column]
        return hashlib.sha256(to_json([seen, read, made, said]).encode()).hexdigest()[:32]

    def _write(self, layout: OutputLayout, writer: FileWriter, from_row: int, on_chunk: OnChunk) -> Iterator[bytes]:
        fill = self._labeller.filler(layout.said_columns)
        written = writer.begin()
        if from_row > 1:
            written = b""
        for chunk, records in self._chunks(from_row):
            if not written:
                on_chunk(chunk.first_row)
            added = fill(chunk.stored) if chunk.stored else repeat(layout.unscored(self._missing), chunk.n_rows)
            if self._labeller.options.corrections:
                added = self._corrections.beside(added, chunk.first_row)
            for some in _blocks(zip(records, added, strict=True)):
                written += writer.write([record for record, _ in some], [cells for _, cells in some])
                if written:
                    yield written
                    written = b""
        written += writer.end()
        if written:
            yield written
        self._check_unchanged()

    def _write_jsonl(self, from_row: int, on_chunk: OnChunk) -> Iterator[bytes]:
        for chunk, records in self._chunks(from_row):
            on_chunk(chunk.first_row)
            lines = (
                orjson.dumps(self._describe(record, labels), option=orjson.OPT_APPEND_NEWLINE)
                for record, labels in zip(records, self._labels(chunk), strict=True)
            )
            yield from map(b"".join, _blocks(lines))
        self._check_unchanged()

    def _write_failed(self, writer: TableWriter, written: bytes) -> Iterator[bytes]:
        for chunks in walk(self._db, self._source, failed=True):
            for chunk, records in join(self._storage, self._source, chunks):
                rows = zip(records, self._labels(chunk), strict=True)
                written += writer.write(
                    [str(record.row), labels.status, *record.cells]
                    for record, labels in rows
                    if labels.status.startswith(FAILED)
                )
            yield written
            written = b""
        if written:
            yield written

    def _chunks(self, from_row: int) -> Iterator[tuple[ChunkView, Iterable[Record]]]:
        for chunks in walk(self._db, self._source, from_row=from_row):
            yield from join(self._storage, self._source, chunks)

    def _labels(self, chunk: ChunkView) -> Iterator[RowLabels]:
        if chunk.stored is None:
            return repeat(RowLabels(status=self._missing), chunk.n_rows)
        return self._labeller.rows(chunk.stored)

    @property
    def _missing(self) -> str:
        """Status of a row without a result."""
        return f"{FAILED}{self._source.missing}"

    def _check_unchanged(self) -> None:
        """What was read in many short looks must have been one thing: no row was mended meanwhile."""
        with self._db.transaction(self._source.account_id) as session:
            revision = session.execute(select(Job.revision).where(Job.id == self._job.id)).scalar_one_or_none()
        if revision != self._job.revision:
            raise NotReady("The results changed while they were read.", next_step="Download them again.")


def _blocks(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while some := list(islice(rows, ROWS_PER_BLOCK)):
        yield some


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
