"""What goes in and out of the API, as pydantic models: they check input and make the OpenAPI document."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import BadOption
from core.jobs import JobStatus
from core.states import JobState
from core.table import Overrides

YesNo = Literal["yes", "no"]

TAXONOMY = "`ekman` (default), `goemotions`, `sentiment`, or one of your own: its name, or `name@version`."


def _printable(value: str) -> str:
    """Postgres stores no NUL, and an error message should not ring a terminal's bell."""
    if any(ord(character) < 32 and character != "\t" for character in value):
        raise ValueError("control characters are not allowed")
    return value


NEXT = "Give it as `cursor` to go on; null at the end."

Word = Annotated[
    str,
    Field(max_length=1024, json_schema_extra={"pattern": r"^[^\u0000-\u0008\u000a-\u001f]*$"}),
    AfterValidator(_printable),
]


class Query(BaseModel):
    """Options in a query or a form: an empty one counts as not given, an unknown one is an error."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given


class CreateOptions(Query):
    """What may be said about a file. All of it is detected where it is left out."""

    filename: Word | None = Field(default=None, description="The file's name, for you to know it again.")
    text_column: Word | None = Field(default=None, description="Name of the column to label, else its number from 1.")
    delimiter: Word | None = Field(
        default=None, description="One ASCII character, or `comma`, `semicolon`, `tab`, `pipe`, `none` (one column)."
    )
    encoding: Word | None = Field(default=None, description="`utf-8`, `utf-16`, `cp1252`, `shift_jis` …")
    header: YesNo | None = Field(default=None, description="Whether the first record names the columns.")
    quoting: YesNo | None = Field(default=None, description='`no`: the character `"` encloses nothing.')
    file_type: Literal["csv", "jsonl", "parquet", "xlsx"] | None = Field(
        default=None, description="What the file is, where its first bytes are not to be trusted. TSV is csv."
    )
    sheet: Word | None = Field(default=None, description="Of a workbook: the sheet's name, else its number from 1.")
    keep_days: int | None = Field(
        default=None, ge=1, le=3650, description="Days from the job's end until file and results are removed."
    )
    model: Word | None = Field(
        default=None,
        description="Model version to label with: name, `name@version` or hash, as `GET /models` lists them.",
    )

    @property
    def overrides(self) -> Overrides:
        """These options as `core.table` takes them. Raises BadOption for an unknown encoding or delimiter."""
        return Overrides(
            encoding=self.encoding,
            delimiter=self.delimiter,
            has_header=None if self.header is None else self.header == "yes",
            quoting=None if self.quoting is None else self.quoting == "yes",
            source=self.file_type,
            sheet=self.sheet,
        )


class FixOptions(Query):
    """What may be said about a file of fixed rows."""

    filename: Word | None = Field(default=None, description="The file's name, for you to know it again.")
    encoding: Word | None = Field(default=None, description="As for a job; detected where it is left out.")


class ReadOptions(Query):
    """How to read results. They can be chosen anew for every reading: the model is not run again."""

    taxonomy: Word | None = Field(default=None, description=TAXONOMY)
    threshold: Word | None = Field(
        default=None, description="A number from 0 to 1 for every label, or `auto` (fitted)."
    )
    scores: Word | None = Field(default=None, description="`none`, `top` (default) or `all`.")


class FileOptions(ReadOptions):
    """Options of a download."""

    partial: YesNo = Field(default="no", description="`yes`: also while the job is running, the rows done so far.")
    corrections: YesNo = Field(
        default="no", description="`yes`: what people say of rows, as the last column: `corrected_emotion`."
    )


class CsvOptions(FileOptions):
    """Options of a CSV download."""

    output_encoding: Literal["utf-8", "same"] = Field(
        default="utf-8", description="`same`: the encoding of the upload."
    )
    spreadsheet: YesNo = Field(
        default="no", description="`yes`: safe to open in a spreadsheet program; cells like formulas are changed."
    )


Options = TypeVar("Options", bound=Query)


def parse(model: type[Options], given: Mapping[str, str]) -> Options:
    """Checks options that did not come through an API route.

    Raises:
        BadOption: naming the first that is wrong.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise BadOption(f"There is no option {name!r}.", next_step="Check its spelling.") from error
        raise BadOption(f"{name}: {first['msg'].removeprefix('Value error, ')}.") from error


class Links(BaseModel):
    """Addresses of a job's parts."""

    self: str
    cancel: str
    failed_csv: str
    fixed: str
    results_csv: str
    results_jsonl: str
    results_parquet: str
    results_xlsx: str
    rows: str
    summary: str
    page: str


class TextColumn(BaseModel):
    """The column that is labelled, and how it was found."""

    model_config = ConfigDict(extra="allow")

    index: int = Field(description="From 0.")
    name: str


class AcceptedOut(BaseModel):
    """A job that is promised. The same request with the same Idempotency-Key gets the same answer."""

    id: uuid.UUID
    filename: str
    bytes: int
    sha256: str
    format: dict[str, Any] = Field(description="What was detected about the file, overrides included.")
    text_column: TextColumn
    model_version: str
    links: Links


class UploadOut(BaseModel):
    """A file that comes by pieces."""

    id: uuid.UUID
    filename: str | None
    bytes: int = Field(description="Of the whole file.")
    received: int = Field(description="Bytes that are safe, from the first on: go on from here.")
    expires_at: datetime = Field(description="When it is given up, unless more comes.")
    job: AcceptedOut | None = Field(description="The job that was made of it, once it was all there.")


class JobOut(BaseModel):
    """One job, at one moment. Times are UTC."""

    id: uuid.UUID
    filename: str
    state: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    bytes: int | None
    format: dict[str, Any] | None
    text_column: TextColumn
    model_name: str
    model_version: str
    model_sha256: str
    rows_total: int
    rows_total_final: bool = Field(description="False while the file is still being cut: more rows may come.")
    rows_done: int = Field(description="Rows that have their final status: ok, skipped or failed.")
    rows_ok: int
    rows_skipped: int
    rows_failed: int
    rows_identical: int = Field(description="Rows whose text had been scored before.")
    blank_lines: int
    warnings: list[dict[str, Any]] = Field(description="What is odd about the file: code, message, row, line, count.")
    label_counts: dict[str, dict[str, int]] = Field(description="Top labels so far: taxonomy, label, count.")
    flag_counts: dict[str, int] = Field(description="Rows so far by trust flag, in the default taxonomy.")
    runtimes: dict[str, int] = Field(
        description="Labelled rows by what computed them: library, version, precision. Precisions differ in the last"
        " digits of a score."
    )
    rate: float | None = Field(description="Rows per second.")
    eta_s: float | None = Field(description="Seconds left, if they can be known ...")
    eta_low_s: float | None = Field(description="... and as a range:")
    eta_high_s: float | None = Field(description="the recent speed and that of the whole job seldom agree.")
    jobs_before: int | None = Field(description="Unfinished jobs that were there first, before this one begins ...")
    rows_before: int | None = Field(
        description="... and how many of their rows have no status yet, so far as is known."
    )
    waiting_for: str | None = Field(description="Why nothing moves, if nothing does.")
    error: dict[str, Any] | None = Field(description="Why the job failed: code, what, next_step, row, line, column.")
    mends_job_id: uuid.UUID | None = Field(description="The job whose failed rows this one mends.")
    revision: int = Field(description="How often failed rows of this job were mended.")
    links: Links

    @classmethod
    def of(cls, status: JobStatus, links: Links) -> Self:
        """A job's status with where to go from it."""
        return cls.model_validate(vars(status) | {"rows_done": status.rows_done, "links": links})


class RemovedOut(BaseModel):
    """What a deletion removed, for good."""

    id: uuid.UUID
    filename: str
    rows: int = Field(description="Rows of the file that had been read.")
    upload_bytes: int = Field(description="Of the file as it was sent; 0 if another job of yours still needs it.")
    result_bytes: int = Field(description="Of the numbers the model gave for its rows.")


class JobsOut(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobOut]
    next: str | None = Field(description=NEXT)


class HealthOut(BaseModel):
    """The process is up."""

    status: Literal["ok"]


class ReadyOut(BaseModel):
    """Whether the parts a job needs answer; for each one ``ok`` or what is wrong."""

    status: Literal["ready", "not ready"]
    parts: dict[str, str]


class Problem(BaseModel):
    """Every error (RFC 9457): what is wrong, where, and what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    next_step: str | None = None
    row: int | None = Field(default=None, description="Data row, from 1.")
    line: int | None = Field(default=None, description="Line of the file, from 1.")
    column: str | int | None = None
    limit: str | None = Field(default=None, description="Which limit was reached, for 413 and 429.")
    retry_after_s: int | None = Field(default=None, description="Seconds to wait, as `Retry-After` says.")
    reference: str | None = Field(default=None, description="Quote it when you report a fault of the server.")
