"""Model versions as a signed-in account meets them, in the API and on its pages: which there are, a job labelled again
with another, and two jobs of one upload compared."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from apiflask import APIBlueprint
from flask import Flask, redirect, render_template, request, url_for

import core.jobs
from core import registry, reruns
from core.jobs import JobStatus
from core.queue import ring
from core.registry import KnownModel
from core.reruns import Sibling
from core.results import ResultOptions
from core.results.comparison import Agreement, Change, Comparison
from core.states import JobState
from web.api.ids import as_job_id
from web.auth import require_account
from web.paging import row_cursor
from web.present import colours
from web.schemas import parse
from web.state import state
from web.version_schemas import AgainOptions, ChangesOptions

ROWS_A_PAGE = 25

log = structlog.get_logger(__name__)

comparing = APIBlueprint("comparing", __name__, enable_openapi=False)


def install(app: Flask) -> None:
    """Adds the pages to the app."""
    app.register_blueprint(comparing)


@comparing.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


# --- what the API and the pages share -------------------------------------------------------------------------------


def known() -> list[KnownModel]:
    """Every model version of the installation, its own one first, then the newest."""
    with state().db.transaction(require_account()) as db:
        found = registry.known_models(db, state().models)
    return _own_first(found)


def _own_first(found: Sequence[KnownModel]) -> list[KnownModel]:
    return sorted(found, key=lambda model: model.sha256 != state().model.sha256)


def on_hand() -> list[KnownModel]:
    """Those that a job can be labelled with now: a living worker holds them. The installation's own one first."""
    with state().db.transaction(require_account()) as db:
        found = [model for model in registry.known_models(db) if model.workers]
    return _own_first(found)


def again(job_id: uuid.UUID, model: str | None) -> JobStatus:
    """Labels a job's file again with the version that `model` names, by default the installation's, and rings.

    Raises:
        BadOption, NotFound, NotReady, TooMany: as `core.registry.choose_model` and `core.reruns.label_again`.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as db:
        chosen = registry.choose_model(db, model or state().model.sha256, state().models)
        made = reruns.label_again(db, account_id, job_id, chosen, state().settings)
        status = core.jobs.get_status(db, account_id, made)
    ring(state().ringer)
    log.info("job labelled again", job_id=str(made), model=chosen.full_name)
    return status


def open_both(before: uuid.UUID, after: uuid.UUID, taxonomy: str | None) -> Comparison:
    """Two jobs of the current account, side by side.

    Raises:
        NotFound, NotReady, BadOption: as `core.results.Results.open` and `Comparison`.
    """
    account_id = require_account()
    first = state().results.open(account_id, before, ResultOptions.parse(taxonomy))
    # The second one in the first one's taxonomy, also where that is the default: defaults may differ.
    second = state().results.open(account_id, after, ResultOptions.parse(first.taxonomy.name))
    return Comparison(first, second)


def page_of(compared: Comparison, after_row: int, limit: int) -> tuple[list[Change], int | None]:
    """Changed rows after `after_row`, at most `limit`; and after which row to go on, None at the end."""
    found = compared.changes(after_row, limit + 1)
    return found[:limit], found[limit - 1].row if len(found) > limit else None


# --- pages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Versions:
    """What a job's page says of other versions: those it can be labelled with, and jobs of the same upload."""

    others: Sequence[KnownModel]
    siblings: Sequence[Sibling]

    @classmethod
    def of(cls, status: JobStatus) -> Versions | None:
        """Of a job that is done; None where there is nothing to choose and nothing to compare."""
        if status.state not in (JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS):
            return None
        account_id = require_account()
        with state().db.transaction(account_id) as db:
            others = [
                model for model in registry.known_models(db) if model.workers and model.sha256 != status.model_sha256
            ]
            found = reruns.siblings(db, account_id, status.id)
        return cls(others, found) if others or found else None


@comparing.post("/jobs/<job_id>/again")
def post_again(job_id: str) -> Any:
    """Labels a job's file again; the form of its page."""
    made = again(as_job_id(job_id), parse(AgainOptions, request.form).model)
    return redirect(url_for("pages.job", job_id=made.id), 303)


@comparing.get("/jobs/<job_id>/compare/<other_id>")
def compare(job_id: str, other_id: str) -> Any:
    """Two jobs of one upload: how often they agree, which labels became which, and the rows."""
    options = parse(ChangesOptions, request.args)
    account_id, ids = require_account(), (as_job_id(job_id), as_job_id(other_id))
    with state().db.transaction(account_id) as db:
        first, second = (core.jobs.get_status(db, account_id, each) for each in ids)
        model = registry.model_version(db, first.model_sha256)
    compared = open_both(*ids, options.taxonomy)
    rows, following = page_of(compared, options.begin, ROWS_A_PAGE)
    found: Agreement = compared.agreement()
    return render_template(
        "compare.html",
        before=first,
        after=second,
        taxonomy=compared.before.taxonomy.name,
        taxonomies=list(model.taxonomies),
        colours=colours(model, compared.before.taxonomy.name),
        found=found,
        pairs=found.pairs.most_common(12),
        rows=rows,
        options=options,
        following=row_cursor(following),
    )
