"""Failed rows, over the API and on the job's page: fetched, fixed, sent back."""

from __future__ import annotations

import uuid
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, redirect, render_template, request, url_for

from core.errors import EmobatchError, NotFound, NotSignedIn
from core.results import ResultOptions
from core.send_back import FixRequest, SentBack, children, open_parent
from core.table import Overrides
from core.uploads import Accepted
from web import downloads, intake, problems
from web.api.ids import as_job_id, links
from web.api.results import FILE
from web.auth import require_account
from web.multipart import FormStream
from web.schemas import AcceptedOut, FixOptions
from web.state import state

TAG = {"name": "Failed rows", "description": "Fetched alone, fixed, and sent back to take the place of the old ones."}

failed_rows = APIBlueprint("failed_rows", __name__, tag=TAG)
failed_page = APIBlueprint("failed_page", __name__, enable_openapi=False)


def install(app: Flask) -> None:
    """Adds the form on the job's page to the app."""
    app.register_blueprint(failed_page)
    app.jinja_env.globals["mending_jobs"] = mending_jobs


@failed_rows.before_request
@failed_page.before_request
def sign_in_first() -> None:
    """Before anything else, the body above all."""
    require_account()


@failed_rows.get("/jobs/<job_id>/failed.csv")
@failed_rows.output(FILE, content_type=downloads.MIMETYPES["csv"], description="The failed rows.")
def get_failed(job_id: str) -> Any:
    """Download the failed rows alone, to fix them.

    First the number of each row and why it failed, then your columns. Change whatever made it fail, keep the numbers,
    and send the file back.
    """
    found = state().results.open(require_account(), as_job_id(job_id), ResultOptions())
    return downloads.stream(
        job_id, found.files.failed(), f"{found.stem.removesuffix('.labelled')}.failed.csv", downloads.MIMETYPES["csv"]
    )


@failed_rows.post("/jobs/<job_id>/fixed")
@failed_rows.input(FixOptions, location="query", arg_name="options")
@failed_rows.output(AcceptedOut, status_code=202, description="A job that labels these rows, and then mends the first.")
def post_fixed(job_id: str, options: FixOptions) -> Any:
    """Send fixed rows back.

    The file is what `failed.csv` gave, with the same columns (`row_status` may be taken out) and any of its rows. They
    are labelled by a job of their own; when that is over they stand in the place of the failed ones, in the first job's
    downloads, rows and counts. The file is sent as for `POST /jobs`, and an `Idempotency-Key` means the same.
    """
    accepted = _send_back(as_job_id(job_id), options)
    where = links(accepted.job_id)
    headers = {"Location": where.self}
    if accepted.repeated:
        headers["Idempotent-Replayed"] = "true"
    return {**accepted.answer, "links": where}, 202, headers


@failed_page.post("/jobs/<job_id>/fixed")
def post_fixed_form(job_id: str) -> Any:
    """The form on the job's page, sent; a file that is refused is told why beside it."""
    try:
        accepted = _send_back(as_job_id(job_id), FixOptions())
    except (NotFound, NotSignedIn):
        raise
    except EmobatchError as error:
        document = problems.of_error(error)
        return render_template("send_back.html", problem=document, job_id=as_job_id(job_id)), document["status"]
    return redirect(url_for("pages.job", job_id=accepted.job_id), 303)


def mending_jobs(job_id: uuid.UUID) -> Any:
    """The jobs made of a job's fixed rows, for its page."""
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        return children(db, account_id, job_id)


def _send_back(parent_id: uuid.UUID, options: FixOptions) -> Accepted:
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        open_parent(db, account_id, parent_id)  # before anything of the body is read
    with intake.patience():
        filename, blocks, n_bytes = options.filename, intake.body(), request.content_length
        if request.mimetype == "multipart/form-data":
            form = FormStream(request.headers["Content-Type"], blocks)
            filename, blocks, n_bytes = form.find_file(), form.file(), None
        wanted = FixRequest(
            intake.plain_name(filename or "fixed.csv"),
            overrides=Overrides(encoding=options.encoding),
            idempotency_key=intake.idempotency_key(),
            n_bytes=n_bytes,
            parent_id=parent_id,
        )
        taken = SentBack(state().db, state().storage, state().settings, state().model)
        accepted = taken.accept(account_id, wanted, blocks)
    intake.note(accepted)
    return accepted
