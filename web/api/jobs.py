"""Jobs: made, listed, watched, cancelled, deleted."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request

import core.jobs
import core.removal
from web.api.ids import as_job_id, links
from web.auth import require_account
from web.intake import create_job
from web.paging import PageOptions, newest_first
from web.schemas import AcceptedOut, CreateOptions, JobOut, JobsOut, RemovedOut
from web.state import state

TAG = {"name": "Jobs", "description": "One upload to be labelled with one model version."}

jobs = APIBlueprint("jobs", __name__, tag=TAG)


@jobs.before_request
def sign_in_first() -> None:
    """Before anything else, the body above all."""
    require_account()


@jobs.post("/jobs")
@jobs.input(CreateOptions, location="query", arg_name="options")
@jobs.output(AcceptedOut, status_code=202, description="The job is promised: nothing short of deleting it loses it.")
def post_job(options: CreateOptions) -> Any:
    """Upload a file to be labelled.

    Send the CSV as the body (`text/csv`, options in the query), or as `multipart/form-data` with the file in any file
    field and the options in fields of the same names. A gzipped CSV is taken as it is. With an `Idempotency-Key`
    header a repeated request gets the first answer again instead of a second job.
    """
    accepted = create_job(options)
    where = links(accepted.job_id)
    headers = {"Location": where.self}
    if accepted.repeated:
        headers["Idempotent-Replayed"] = "true"
    return {**accepted.answer, "links": where}, 202, headers


@jobs.get("/jobs")
@jobs.input(PageOptions, location="query", arg_name="options")
@jobs.output(JobsOut)
def list_jobs(options: PageOptions) -> Any:
    """List jobs, newest first."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        found = core.jobs.list_statuses(session, account_id, limit=options.limit + 1, before=options.before)
    page, following = newest_first(found, options.limit)
    return JobsOut(jobs=[JobOut.of(status, links(status.id)) for status in page], next=following)


@jobs.get("/jobs/<job_id>")
@jobs.output(JobOut)
def get_job(job_id: str) -> Any:
    """Watch one job.

    The `ETag` changes with anything a user would notice: ask with `If-None-Match` and get 304 while nothing did.
    """
    account_id = require_account()
    with state().db.look(account_id) as session:
        status = core.jobs.get_status(session, account_id, as_job_id(job_id))
    status = state().broker.explain(status)
    # Most answers to those who ask again and again are 304: their body is not even made.
    unchanged = request.if_none_match.contains_weak(status.etag)
    response = Response(status=304) if unchanged else _job_response(status)
    response.set_etag(status.etag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@jobs.post("/jobs/<job_id>/cancel")
@jobs.output(JobOut)
def cancel_job(job_id: str) -> Any:
    """Stop a job.

    The rows labelled so far are kept. Cancelling a finished job changes nothing.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        status = core.jobs.cancel(session, account_id, as_job_id(job_id))
    return _job_response(status)


@jobs.delete("/jobs/<job_id>")
@jobs.output(RemovedOut, description="It is gone, and this is what went with it.")
def delete_job(job_id: str) -> Any:
    """Delete a job, its file and its results, for good."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        removed = core.removal.delete(session, account_id, as_job_id(job_id))
    return vars(removed)


def _job_response(status: core.jobs.JobStatus) -> Response:
    return jsonify(JobOut.of(status, links(status.id)).model_dump(mode="json"))
