"""A job's id in an address, and the addresses of a job."""

from __future__ import annotations

import uuid

from flask import url_for

from core.jobs import no_such_job
from web.schemas import Links


def as_job_id(given: str) -> uuid.UUID:
    """The id in an address.

    Raises:
        NotFound: it is none, which to the asker is the same as an id nobody has.
    """
    try:
        return uuid.UUID(given)
    except ValueError:
        raise no_such_job() from None


def links(job_id: uuid.UUID) -> Links:
    """Where a job's parts are."""

    def to(endpoint: str) -> str:
        return url_for(endpoint, job_id=job_id)

    return Links(
        self=to("jobs.get_job"),
        cancel=to("jobs.cancel_job"),
        failed_csv=to("failed_rows.get_failed"),
        fixed=to("failed_rows.post_fixed"),
        results_csv=to("results.get_csv"),
        results_jsonl=to("results.get_jsonl"),
        results_parquet=to("results.get_parquet"),
        results_xlsx=to("results.get_xlsx"),
        rows=to("row_api.get_rows"),
        summary=to("summary.get_summary"),
        page=to("pages.job"),
    )
