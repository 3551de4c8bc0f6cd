"""What came out: files and pages of rows."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint, FileSchema

from core.errors import BadOption
from core.results import JobResults, ResultOptions
from web import downloads
from web.api.ids import as_job_id
from web.auth import require_account
from web.schemas import CsvOptions, FileOptions, ReadOptions
from web.state import state

TAG = {"name": "Results", "description": "Files and pages of rows, read with any taxonomy."}

results = APIBlueprint("results", __name__, tag=TAG)

FILE = FileSchema(type="string", format="binary")


@results.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@results.get("/jobs/<job_id>/results.csv")
@results.input(CsvOptions, location="query", arg_name="options")
@results.output(FILE, content_type=downloads.MIMETYPES["csv"], description="The labelled file.")
def get_csv(job_id: str, options: CsvOptions) -> Any:
    """Download the labelled CSV.

    The same rows in the same order, every original cell as it was, with the label columns after them. With
    `spreadsheet=yes` it is made safe to open in a spreadsheet program instead: UTF-8 with a byte order mark, every cell
    quoted, and an apostrophe before what would be taken for a formula.
    """
    found = open_results(job_id, options, partial=options.partial == "yes")
    if options.spreadsheet == "no":
        return downloads.send(job_id, found.files.csv(options.output_encoding), f"{found.stem}.csv")
    if options.output_encoding != "utf-8":
        raise BadOption("A CSV for spreadsheets is always UTF-8.", next_step="Leave output_encoding out.")
    return downloads.send(job_id, found.files.spreadsheet(), f"{found.stem}.spreadsheet.csv")


@results.get("/jobs/<job_id>/results.jsonl")
@results.input(FileOptions, location="query", arg_name="options")
@results.output(FILE, content_type=downloads.MIMETYPES["jsonl"], description="One JSON object per row.")
def get_jsonl(job_id: str, options: FileOptions) -> Any:
    """Download the labelled rows as JSON lines."""
    found = open_results(job_id, options, partial=options.partial == "yes")
    return downloads.send(job_id, found.files.jsonl(), f"{found.stem}.jsonl")


@results.get("/jobs/<job_id>/results.parquet")
@results.input(FileOptions, location="query", arg_name="options")
@results.output(FILE, content_type=downloads.MIMETYPES["parquet"], description="Typed columns.")
def get_parquet(job_id: str, options: FileOptions) -> Any:
    """Download the labelled rows as Parquet.

    Your columns as strings, scores as doubles, `emotions` as a list, and `row` and `line` as numbers.
    """
    found = open_results(job_id, options, partial=options.partial == "yes")
    return downloads.send(job_id, found.files.parquet(), f"{found.stem}.parquet")


@results.get("/jobs/<job_id>/results.xlsx")
@results.input(FileOptions, location="query", arg_name="options")
@results.output(FILE, content_type=downloads.MIMETYPES["xlsx"], description="A workbook.")
def get_xlsx(job_id: str, options: FileOptions) -> Any:
    """Download the labelled rows as a workbook.

    Your cells as text, never as formulas or links; scores as numbers; a further sheet for each 1,048,575 rows.
    """
    found = open_results(job_id, options, partial=options.partial == "yes")
    return downloads.send(job_id, found.files.xlsx(), f"{found.stem}.xlsx")


def open_results(job_id: str, options: ReadOptions, *, partial: bool) -> JobResults:
    """A job's results, as the current account may read them.

    Raises:
        NotFound, NotReady, BadOption: as `core.results.Results.open`.
    """
    account_id, asked = require_account(), as_job_id(job_id)
    corrected = isinstance(options, FileOptions) and options.corrections == "yes"
    chosen = ResultOptions.parse(options.taxonomy, options.threshold, options.scores, corrections=corrected)
    return state().results.open(account_id, asked, chosen, partial=partial)
