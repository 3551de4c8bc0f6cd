"""Model versions: which there are, the same file labelled again with another, and two of them compared on it."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint, FileSchema
from flask import Response

from core.results.comparison import Comparison
from web import comparing, downloads
from web.api.ids import as_job_id, links
from web.auth import require_account
from web.paging import ShortListOptions, part, row_cursor
from web.schemas import JobOut
from web.state import state
from web.version_schemas import (
    AgainOptions,
    ChangeOut,
    ChangesOptions,
    CompareOptions,
    ComparisonOut,
    ModelsOut,
    PairOut,
)

TAG = {"name": "Models", "description": "Model versions, and two of them compared on a file of yours."}

versions = APIBlueprint("versions", __name__, tag=TAG)


@versions.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@versions.get("/models")
@versions.input(ShortListOptions, location="query", arg_name="options")
@versions.output(ModelsOut)
def list_models(options: ShortListOptions) -> Any:
    """List the model versions this installation knows.

    The one that new jobs are labelled with unless they name another comes first. A version without a worker that is
    alive cannot label anything now; results that it made can be read for ever.
    """
    page, following = part(comparing.known(), options, lambda model: model.sha256)
    return ModelsOut.of(page, state().model.sha256, following)


@versions.post("/jobs/<job_id>/again")
@versions.input(AgainOptions, location="query", arg_name="options")
@versions.output(JobOut, status_code=202, description="Another job of the same upload.")
def post_again(job_id: str, options: AgainOptions) -> Any:
    """Label the file of a job again, with another model version.

    Nothing is sent again, and the old job stays as it is.
    """
    status = comparing.again(as_job_id(job_id), options.model)
    where = links(status.id)
    return JobOut.of(status, where), 202, {"Location": where.self}


@versions.get("/jobs/<job_id>/compare/<other_id>")
@versions.input(ChangesOptions, location="query", arg_name="options")
@versions.output(ComparisonOut)
def get_comparison(job_id: str, other_id: str, options: ChangesOptions) -> Any:
    """Compare two jobs of one upload, row by row: how often their labels agree, and the rows where they do not."""
    compared = _open(job_id, other_id, options)
    found = compared.agreement()
    rows, after = comparing.page_of(compared, options.begin, options.limit)
    return ComparisonOut(
        taxonomy=compared.before.taxonomy.name,
        rows=found.rows,
        same=found.same,
        changed=found.changed,
        agreement=found.share,
        pairs=[PairOut(before=before, after=then, rows=n) for (before, then), n in found.pairs.most_common()],
        changes=[ChangeOut.of(change) for change in rows],
        next=row_cursor(after),
    )


@versions.get("/jobs/<job_id>/compare/<other_id>/changes.csv")
@versions.input(CompareOptions, location="query", arg_name="options")
@versions.output(FileSchema(type="string", format="binary"), content_type="text/csv", description="The changed rows.")
def get_changes(job_id: str, other_id: str, options: CompareOptions) -> Response:
    """Download the rows whose label differs between two jobs of one upload, with both labels and their scores."""
    compared = _open(job_id, other_id, options)
    name = compared.before.stem.removesuffix(".labelled")
    return downloads.stream(job_id, compared.csv(), f"{name}.changes.csv", "text/csv")


def _open(job_id: str, other_id: str, options: CompareOptions) -> Comparison:
    return comparing.open_both(as_job_id(job_id), as_job_id(other_id), options.taxonomy)
