"""What people say of rows: one by one, and as a set to train and measure with."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint, FileSchema

from core.review import corrections as kept
from core.review.training_set import Form, file_stem, training_set
from web import downloads
from web.api.ids import as_job_id
from web.api.results import open_results
from web.auth import require_account
from web.paging import row_cursor
from web.review_schemas import (
    CorrectionIn,
    CorrectionOut,
    CorrectionsOptions,
    CorrectionsOut,
    TaxonomyOptions,
)
from web.schemas import ReadOptions
from web.state import state

TAG = {"name": "Corrections", "description": "What people say of rows, kept beside what the model said."}

corrections = APIBlueprint("corrections", __name__, tag=TAG)

_FILE = FileSchema(type="string", format="binary")


@corrections.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@corrections.get("/jobs/<job_id>/corrections")
@corrections.input(CorrectionsOptions, location="query", arg_name="options")
@corrections.output(CorrectionsOut)
def list_corrections(job_id: str, options: CorrectionsOptions) -> Any:
    """List corrections in the file's order, answers about a sample among them."""
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        _, taxonomy = kept.taxonomy_of(session, account_id, asked, options.taxonomy)
        found = kept.list_corrections(
            session, account_id, asked, taxonomy=taxonomy.name, after=options.begin, limit=options.limit + 1
        )
    page = found[: options.limit]
    following = page[-1].row if len(found) > options.limit else None
    return CorrectionsOut(
        taxonomy=taxonomy.name, corrections=[CorrectionOut.of(given) for given in page], next=row_cursor(following)
    )


@corrections.put("/jobs/<job_id>/corrections/<int:row>")
@corrections.input(CorrectionIn, arg_name="given")
@corrections.input(TaxonomyOptions, location="query", arg_name="options")
@corrections.output(CorrectionOut)
def put_correction(job_id: str, row: int, given: CorrectionIn, options: TaxonomyOptions) -> Any:
    """Correct a row, or confirm it: say which labels are true of it."""
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        return CorrectionOut.of(kept.correct(session, account_id, asked, row, given.labels, taxonomy=options.taxonomy))


@corrections.delete("/jobs/<job_id>/corrections/<int:row>")
@corrections.input(TaxonomyOptions, location="query", arg_name="options")
@corrections.output({}, status_code=204)
def delete_correction(job_id: str, row: int, options: TaxonomyOptions) -> Any:
    """Forget what was said of a row.

    A sample that holds it asks again. Forgetting nothing is no error.
    """
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        kept.withdraw(session, account_id, asked, row, taxonomy=options.taxonomy)
    return ""


@corrections.get("/jobs/<job_id>/corrections.tsv")
@corrections.input(TaxonomyOptions, location="query", arg_name="options")
@corrections.output(_FILE, content_type="text/tab-separated-values", description="GoEmotions' format.")
def get_tsv(job_id: str, options: TaxonomyOptions) -> Any:
    """Download corrections in GoEmotions' format: text, numbers of the labels, an id."""
    return _export(job_id, options, Form.TSV, "text/tab-separated-values")


@corrections.get("/jobs/<job_id>/corrections.csv")
@corrections.input(TaxonomyOptions, location="query", arg_name="options")
@corrections.output(_FILE, content_type="text/csv", description="The columns text and label.")
def get_csv(job_id: str, options: TaxonomyOptions) -> Any:
    """Download corrections as a CSV of texts and labels."""
    return _export(job_id, options, Form.CSV, "text/csv")


@corrections.get("/jobs/<job_id>/corrections.toml")
@corrections.input(TaxonomyOptions, location="query", arg_name="options")
@corrections.output(_FILE, content_type="application/toml", description="For `training/domains`.")
def get_toml(job_id: str, options: TaxonomyOptions) -> Any:
    """Download the description of that CSV, as evaluation on other domains wants it."""
    return _export(job_id, options, Form.TOML, "application/toml")


def _export(job_id: str, options: TaxonomyOptions, form: Form, mimetype: str) -> Any:
    account_id, asked = require_account(), as_job_id(job_id)
    with state().db.transaction(account_id) as session:
        _, taxonomy = kept.taxonomy_of(session, account_id, asked, options.taxonomy)
    found = open_results(job_id, ReadOptions(), partial=True)
    blocks = training_set(state().db, account_id, asked, found, taxonomy, form)
    return downloads.stream(job_id, blocks, f"{file_stem(found)}.{form}", mimetype)
