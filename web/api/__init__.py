"""REST API v1, for programs: jobs, uploads, results, texts labelled at once, webhooks, and the system's own state."""

from apiflask import APIFlask

from web.api.account import account
from web.api.classify import classify
from web.api.corrections import corrections
from web.api.jobs import jobs
from web.api.preview import previews
from web.api.results import results
from web.api.reviews import reviews
from web.api.rows import row_api
from web.api.summary import summaries
from web.api.system import system
from web.api.taxonomies import taxonomies
from web.api.uploads import uploads
from web.api.versions import versions
from web.api.webhooks import webhooks
from web.sending_back import failed_rows

PREFIX = "/api/v1"


def install(app: APIFlask) -> None:
    """Adds every route of the API to the app."""
    for blueprint in (
        jobs,
        uploads,
        results,
        row_api,
        summaries,
        failed_rows,
        reviews,
        corrections,
        classify,
        previews,
        taxonomies,
        versions,
        webhooks,
        account,
        system,
    ):
        app.register_blueprint(blueprint, url_prefix=PREFIX)
