"""The pages, for people: sign in, upload, list, job. Forms and links do the work; scripts only make it nicer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from apiflask import APIBlueprint, APIFlask
from flask import (
    Flask,
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

import core.jobs
import core.removal
from core import own_taxonomies, registry, users
from core.errors import BadOption, EmobatchError, NotSignedIn, TooMany, Unavailable
from core.jobs import JobStatus
from core.mark import Mark
from core.preview import PREVIEW_BYTES
from core.registry import ModelVersion
from web import auth, problems
from web.api.ids import as_job_id
from web.auth import require_account
from web.comparing import Versions, on_hand
from web.figuring import top_counts
from web.intake import create_job
from web.paging import PageOptions, newest_first
from web.present import Bar, bars, colours, deleted
from web.reading import Offered
from web.reference import Reference
from web.schemas import CreateOptions, parse
from web.state import state
from web.tables import Table, TableOptions, options_in, options_shown

pages = APIBlueprint("pages", __name__, enable_openapi=False)

RECENT_JOBS = 5
JOBS_A_PAGE = 25

OPEN = frozenset({"pages.sign_in", "pages.post_sign_in", "pages.sign_out", "pages.docs", "pages.favicon"})


def install(app: Flask) -> None:
    """Adds the pages to the app."""
    app.register_blueprint(pages)
    app.context_processor(lambda: {"signed_in": bool(session)})


@pages.before_request
def sign_in_first() -> None:
    """Everything but the sign-in itself and the description of the API."""
    if request.endpoint not in OPEN:
        require_account()


# --- signing in and out ---------------------------------------------------------------------------------------------


@pages.get("/sign-in")
def sign_in() -> Any:
    """The form; or, with ``?token=``, the sign-in itself, by the link that `emobatch up` prints."""
    token, target = request.args.get("token"), _own_address(request.args.get("next"))
    if not token:
        return _sign_in_page(target)
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        # Another site must not sign a visitor in to an account of its choice.
        return _sign_in_page(target, "This link came from another site. Paste the token.")
    return _sign_in(partial(auth.sign_in, token), target)


@pages.post("/sign-in")
def post_sign_in() -> Any:
    """The form, sent: an e-mail address and a password, or a token or key."""
    given = request.form
    if "email" in given:
        act = partial(auth.sign_in_with_password, given["email"], given.get("password", ""))
    else:
        act = partial(auth.sign_in, given.get("token", ""))
    return _sign_in(act, _own_address(given.get("next")))


def _sign_in(act: Callable[[], object], target: str) -> Any:
    try:
        act()
    except (NotSignedIn, TooMany, Unavailable) as error:
        response = make_response(_sign_in_page(target, str(error)), problems.status_of(error))
        if isinstance(error, TooMany):
            response.headers["Retry-After"] = str(int(error.retry_after_s))
        return response
    return redirect(target, 303)


def _sign_in_page(target: str, error: str = "") -> str:
    try:
        with state().db.transaction() as db:
            has_users = users.exist(db)
    except Unavailable as away:
        has_users, error = True, error or str(away)
    by_email = has_users and (request.method == "GET" or "email" in request.form)
    return render_template("sign_in.html", target=target, error=error, has_users=has_users, by_email=by_email)


@pages.post("/sign-out")
def sign_out() -> Any:
    """Ends the session."""
    auth.sign_out()
    return redirect(url_for("pages.sign_in"), 303)


def _own_address(given: str | None) -> str:
    """A path of ours to go on to; anything that could lead elsewhere becomes the start page."""
    home = url_for("pages.upload")
    if not given or not given.startswith("/") or given.startswith(("//", "/\\")) or urlsplit(given).netloc:
        return home
    return given if given.isprintable() else home


# --- upload and list ------------------------------------------------------------------------------------------------


@pages.get("/")
def upload() -> Any:
    """The upload form, and the latest jobs."""
    return _upload_page()


@pages.post("/")
def post_upload() -> Any:
    """The upload form, sent without a script."""
    try:
        accepted = create_job(CreateOptions())
    except NotSignedIn:
        raise
    except EmobatchError as error:
        document = problems.of_error(error)
        return _upload_page(document), document["status"]
    return redirect(url_for("pages.job", job_id=accepted.job_id), 303)


def _upload_page(problem: dict[str, Any] | None = None) -> str:
    limit = state().settings.max_upload_bytes
    recent, _ = _jobs(RECENT_JOBS, None)
    keep_days = state().settings.retention_days
    return render_template(
        "upload.html",
        problem=problem,
        limit=limit,
        head=PREVIEW_BYTES,
        keep_days=keep_days,
        jobs=recent,
        models=on_hand(),
    )


@pages.get("/jobs")
def jobs() -> Any:
    """All jobs, newest first; only the table if htmx asks."""
    options = parse(PageOptions, request.args)
    found, more = _jobs(JOBS_A_PAGE, options.before)
    template = "_jobs.html" if "HX-Request" in request.headers else "jobs.html"
    return render_template(template, jobs=found, more=more, cursor=options.cursor)


@pages.get("/recent")
def recent() -> Any:
    """The latest jobs, for the upload page."""
    return render_template("_jobs.html", jobs=_jobs(RECENT_JOBS, None)[0], recent=True)


def _jobs(limit: int, before: Mark | None) -> tuple[Sequence[JobStatus], str | None]:
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        found = core.jobs.list_statuses(db, account_id, limit=limit + 1, before=before)
    return newest_first(found, limit)


# --- one job --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobView:
    """A job as its page shows it, read with the options in the address."""

    status: JobStatus
    model: ModelVersion
    options: TableOptions
    taxonomy: str
    bars: list[Bar]
    colours: dict[str, str]

    @classmethod
    def load(cls, job_id: str, options: TableOptions | None = None) -> JobView:
        """Reads the job of the current request, with the options in its address unless others are given.

        Raises:
            NotFound, BadOption: the id or an option is wrong.
        """
        options = options or options_in(request.args)
        account_id, asked = require_account(), as_job_id(job_id)
        with state().db.look(account_id) as db:
            status = core.jobs.get_status(db, account_id, asked)
            model = registry.model_version(db, status.model_sha256)
            model = own_taxonomies.with_own(db, account_id, model, options.taxonomy)
        status = state().broker.explain(status)
        taxonomy = options.taxonomy or model.default_taxonomy
        counts = status.label_counts.get(taxonomy)
        if counts is None:  # the user's own: nobody has counted it as rows were labelled
            counts = {} if status.state.active else top_counts(job_id, taxonomy)
        return cls(status, model, options, taxonomy, bars(counts, model, taxonomy), colours(model, taxonomy))

    def rows(self) -> Table | None:
        """Some labelled rows; None where there are none to read. Raises BadOption for an option that is wrong."""
        return Table.of(self)

    @property
    def offered(self) -> Offered:
        """The taxonomies to choose from."""
        return Offered(self.model, self.taxonomy)

    @property
    def etag(self) -> str:
        """Changes with anything that the moving part of the page shows."""
        return f"{self.status.etag}-{self.taxonomy}"

    def address(self, endpoint: str, **changes: Any) -> str:
        """An address of this job with the options in force, some of them changed."""
        kept = self.options.model_dump(exclude_defaults=True)
        return url_for(endpoint, job_id=self.status.id, **(kept | changes))  # None is left out


@pages.get("/jobs/<job_id>")
def job(job_id: str) -> Any:
    """One job: progress, counts, first rows, downloads."""
    view = JobView.load(job_id)
    versions = Versions.of(view.status)
    return render_template("job.html", view=view, status=view.status, rows=view.rows(), versions=versions)


@pages.get("/jobs/<job_id>/live")
def live(job_id: str) -> Any:
    """The part of the page that moves. Once the job is over the browser is told to load the whole page anew."""
    view = JobView.load(job_id, options_shown(request))
    response = make_response(render_template("_live.html", view=view, status=view.status))
    if not view.status.state.active:
        response.headers["HX-Refresh"] = "true"
    return _unless_seen(response, view.etag)


def _unless_seen(response: Response, etag: str) -> BaseResponse:
    """304 where the asker has it already: most of what is polled has not changed since."""
    response.set_etag(etag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


@pages.get("/jobs/<job_id>/rows")
def rows(job_id: str) -> Any:
    """The table of rows, for htmx: all of it, or what a question found; anybody else gets the page it is part of."""
    if "HX-Request" not in request.headers:
        return redirect(JobView.load(job_id).address("pages.job"))
    if request.headers.get("HX-Target") != "rows-found":
        view = JobView.load(job_id)
        return render_template("_rows.html", view=view, status=view.status, rows=view.rows())
    try:
        view = JobView.load(job_id)
        found, problem = view.rows(), None
    except BadOption as error:
        # A filter that says nothing sensible is told in the table's place.
        return render_template("_found.html", rows=None, problem=problems.of_error(error), fragment=True)
    part = render_template("_found.html", view=view, status=view.status, rows=found, problem=problem, fragment=True)
    # What is asked for stands in the address, so that it can be kept, sent, and loaded anew.
    return part, {"HX-Replace-Url": view.address("pages.job", paused=None) + "#rows"}


@pages.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> BaseResponse:
    """Stops a job."""
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        core.jobs.cancel(db, account_id, as_job_id(job_id))
    return redirect(url_for("pages.job", job_id=job_id), 303)


@pages.post("/jobs/<job_id>/delete")
def delete(job_id: str) -> BaseResponse:
    """Deletes a job; the page asked before."""
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        removed = core.removal.delete(db, account_id, as_job_id(job_id))
    flash(deleted(removed))
    return redirect(url_for("pages.jobs"), 303)


@pages.get("/docs")
def docs() -> Any:
    """The API, described."""
    return render_template("docs.html", reference=Reference.of(cast(APIFlask, current_app)))


@pages.get("/favicon.ico")
def favicon() -> Response:
    """Where browsers look by themselves."""
    return redirect(url_for("static", filename="favicon.svg"), 301)  # type: ignore[return-value]
