"""What came out: files and pages of rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import structlog
from apiflask import APIBlueprint, FileSchema
from flask import Response
from werkzeug.http import quote_header_value

from core.results import JobResults, ResultOptions
from web.api.ids import as_job_id
from web.auth import require_account
from web.schemas import CsvOptions, FileOptions, ReadOptions
from web.state import state

TAG = {"name": "Results", "description": "Files and pages of rows, read with any taxonomy."}

results = APIBlueprint("results", __name__, tag=TAG)

FILE = FileSchema(type="string", format="binary")

log = structlog.get_logger(__name__)


@results.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@results.get("/jobs/<job_id>/results.csv")
@results.input(CsvOptions, location="query", arg_name="options")
@results.output(FILE, content_type="text/csv", description="The labelled file.")
def get_csv(job_id: str, options: CsvOptions) -> Any:
    """Download the labelled CSV.

    The same rows in the same order, every original cell as it was, with the label columns after them.
    """
    found = open_results(job_id, options, partial=options.partial == "yes")
    return download(job_id, found.csv(options.output_encoding), f"{found.stem}.csv", "text/csv")


@results.get("/jobs/<job_id>/results.jsonl")
@results.input(FileOptions, location="query", arg_name="options")
@results.output(FILE, content_type="application/jsonl", description="One JSON object per row.")
def get_jsonl(job_id: str, options: FileOptions) -> Any:
    """Download the labelled rows as JSON lines."""
    found = open_results(job_id, options, partial=options.partial == "yes")
    return download(job_id, found.jsonl(), f"{found.stem}.jsonl", "application/jsonl")


def open_results(job_id: str, options: ReadOptions, *, partial: bool) -> JobResults:
    """A job's results, as the current account may read them.

    Raises:
        NotFound, NotReady, BadOption: as `core.results.Results.open`.
    """
    account_id, asked = require_account(), as_job_id(job_id)
    corrected = isinstance(options, FileOptions) and options.corrections == "yes"
    chosen = ResultOptions.parse(options.taxonomy, options.threshold, options.scores, corrections=corrected)
    return state().results.open(account_id, asked, chosen, partial=partial)


def download(job_id: str, blocks: Iterator[bytes], filename: str, mimetype: str) -> Response:
    """A file in blocks, saved by browsers under `filename`."""
    # What can go wrong at the start goes wrong here, while it can still be an answer of its own.
    first = next(blocks, b"")

    def body() -> Iterator[bytes]:
        with closing(blocks):  # type: ignore[type-var]
            try:
                yield first
                yield from blocks
            except Exception:
                # The status is sent. The connection is cut, so that what arrived cannot pass for the whole file.
                log.exception("download broke off", job_id=job_id)
                raise

    response = Response(body(), mimetype=mimetype)
    response.headers["Content-Disposition"] = attachment(filename)
    return response


def attachment(filename: str) -> str:
    """A Content-Disposition that saves under `filename`, with an ASCII one for clients that read no other."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    value = f"attachment; filename={quote_header_value(plain)}"
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe='')}"
