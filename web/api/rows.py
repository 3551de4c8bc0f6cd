"""Rows of a job: found, sorted, paged; one of them whole; and which of its words mattered."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from core.results.query import Sort
from web.api.results import TAG, open_results
from web.auth import require_account
from web.row_schemas import RowDetailOut, RowsOptions, RowsOut, WordsOptions, WordsOut
from web.schemas import ReadOptions
from web.words import words_of

row_api = APIBlueprint("row_api", __name__, tag=TAG)


@row_api.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@row_api.get("/jobs/<job_id>/rows")
@row_api.input(RowsOptions, location="query", arg_name="options")
@row_api.output(RowsOut)
def get_rows(job_id: str, options: RowsOptions) -> Any:
    """Find rows, also while the job is running.

    Pages are by key: go on with `cursor` = `next` until it is null, however many rows there are. A `search` reads the
    file: an answer says how far it looked, and may hold fewer rows than `limit` while there is more.
    """
    query = options.query
    found = open_results(job_id, options, partial=True)
    page = found.page(query, limit=options.limit, cursor=options.cursor, after_row=options.after)
    # Of rows sorted by score none is known to be the first before the last text was looked at.
    unsorted = page.searched is not None and not page.searched.done and query.sort is Sort.SCORE
    if options.columns:
        shown = found.columns(options.column_numbers)
        for row in page.rows:
            row["cells"] = {name: row["cells"].get(name, "") for name in shown}
    return {
        "rows": [] if unsorted else page.rows,
        "total": page.total,
        "next": page.next,
        "previous": page.previous,
        "searched": page.searched and vars(page.searched),
    }


@row_api.get("/jobs/<job_id>/rows/<int:row>")
@row_api.input(ReadOptions, location="query", arg_name="options")
@row_api.output(RowDetailOut)
def get_row(job_id: str, row: int, options: ReadOptions) -> Any:
    """Read one row, whole: every cell, all 28 scores, and what each taxonomy says of it."""
    return RowDetailOut.of(open_results(job_id, options.model_copy(update={"scores": "all"}), partial=True).row(row))


@row_api.get("/jobs/<job_id>/rows/<int:row>/words")
@row_api.input(WordsOptions, location="query", arg_name="options")
@row_api.output(WordsOut)
def get_words(job_id: str, row: int, options: WordsOptions) -> Any:
    """Tell which words of a row mattered.

    Each word is left out in turn and the text labelled anew, before the next chunk of any job: what that does to the
    score of the label is the word's `change`. In a long text some words in a row are left out together. Nothing is
    kept.
    """
    found = words_of(open_results(job_id, options, partial=True), row, options.label)
    return {
        "row": row,
        "taxonomy": found.taxonomy,
        "label": found.label,
        "score": found.score,
        "words": [vars(word) for word in found.words],
    }
