"""How right it is on one file: a sample, answers about it, what they say of the whole file."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from core.errors import BadOption
from core.review import answers
from core.review import reviews as kept
from core.review.report import report
from core.review.reviews import Reviews
from core.review.tables import Verdict
from web.api.ids import as_job_id
from web.api.results import open_results
from web.auth import require_account
from web.review_schemas import (
    AnswerIn,
    AnswerOut,
    AskedRow,
    AskedRowsOut,
    DrawIn,
    NextOptions,
    ReportOut,
    ReviewOut,
    TaxonomyOptions,
)
from web.schemas import ReadOptions
from web.state import state

TAG = {"name": "Review", "description": "How right the labels are on one file, from a sample that you label."}

reviews = APIBlueprint("reviews", __name__, tag=TAG)


@reviews.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@reviews.post("/jobs/<job_id>/review")
@reviews.input(DrawIn, arg_name="asked")
@reviews.output(ReviewOut)
def draw_review(job_id: str, asked: DrawIn) -> Any:
    """Draw a sample of rows to label.

    Stratified by best label: a few rows of each, the rest by the square root of its frequency. Drawn again, it grows,
    or takes in rows labelled since; answers are kept.
    """
    if request.get_json() is None:
        raise BadOption("The body is null.", next_step="Send an object, which may be empty: {}.")
    found = Reviews(state().db).draw(
        require_account(), as_job_id(job_id), taxonomy=asked.taxonomy, size=asked.size, seed=asked.seed
    )
    return ReviewOut.of(found)


@reviews.get("/jobs/<job_id>/review")
@reviews.input(TaxonomyOptions, location="query", arg_name="options")
@reviews.output(ReviewOut)
def get_review(job_id: str, options: TaxonomyOptions) -> Any:
    """Read how far a sample is."""
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        return ReviewOut.of(kept.progress(session, account_id, asked, taxonomy=options.taxonomy))


@reviews.delete("/jobs/<job_id>/review")
@reviews.input(TaxonomyOptions, location="query", arg_name="options")
@reviews.output({}, status_code=204)
def delete_review(job_id: str, options: TaxonomyOptions) -> Any:
    """Remove a sample.

    What was said of its rows stays among the corrections. Removing none is no error.
    """
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        kept.remove(session, account_id, asked, taxonomy=options.taxonomy)
    return ""


@reviews.get("/jobs/<job_id>/review/rows")
@reviews.input(NextOptions, location="query", arg_name="options")
@reviews.output(AskedRowsOut)
def get_review_rows(job_id: str, options: NextOptions) -> Any:
    """Read the next rows of a sample, without what the model says of them."""
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        rows = answers.next_rows(session, account_id, asked, taxonomy=options.taxonomy, limit=options.limit)
    found = open_results(job_id, ReadOptions(), partial=True).table.reader.read(rows)
    return AskedRowsOut(rows=[AskedRow(row=one["row"], line=one["line"], text=one["text"]) for one in found])


@reviews.put("/jobs/<job_id>/review/rows/<int:row>")
@reviews.input(AnswerIn, arg_name="given")
@reviews.input(TaxonomyOptions, location="query", arg_name="options")
@reviews.output(AnswerOut)
def put_answer(job_id: str, row: int, given: AnswerIn, options: TaxonomyOptions) -> Any:
    """Answer a row of a sample.

    What had been said of it comes back. Several labels may be true; answering again replaces the answer.
    """
    account_id, asked = require_account(), as_job_id(job_id)
    verdict = Verdict(given.verdict) if given.verdict else Verdict.LABELLED
    with state().db.transaction(account_id) as session:
        found = answers.answer(
            session, account_id, asked, row, given.labels, verdict=verdict, taxonomy=options.taxonomy
        )
    return AnswerOut.model_validate(vars(found) | {"labels": list(found.labels)})


@reviews.delete("/jobs/<job_id>/review/rows/<int:row>")
@reviews.input(TaxonomyOptions, location="query", arg_name="options")
@reviews.output(ReviewOut)
def delete_answer(job_id: str, row: int, options: TaxonomyOptions) -> Any:
    """Take the answer about a row back."""
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        answers.take_back(session, account_id, asked, row, taxonomy=options.taxonomy)
        return ReviewOut.of(kept.progress(session, account_id, asked, taxonomy=options.taxonomy))


@reviews.get("/jobs/<job_id>/review/results")
@reviews.input(TaxonomyOptions, location="query", arg_name="options")
@reviews.output(ReportOut)
def get_report(job_id: str, options: TaxonomyOptions) -> Any:
    """Read what the answers say of the whole file.

    Accuracy, precision and recall of each label, the share of rows that each label is true of, corrected for the known
    errors, and what thresholds give and cost; with 95 % intervals. A sample in a finer taxonomy answers for a coarser.
    """
    return ReportOut.of(report(state().db, require_account(), as_job_id(job_id), options.taxonomy))
