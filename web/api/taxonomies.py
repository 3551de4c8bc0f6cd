"""A user's own taxonomies: made, listed, changed, deleted."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from core import own_taxonomies
from core.registry import version_of
from web.auth import require_account
from web.paging import ShortListOptions, part
from web.reading import own_current
from web.state import state
from web.taxonomy_schemas import NewTaxonomyIn, TaxonomiesOut, TaxonomyIn, TaxonomyOut

TAG = {"name": "Taxonomies", "description": "The model's labels, gathered under names of your own."}

taxonomies = APIBlueprint("taxonomies", __name__, tag=TAG)


@taxonomies.before_request
def sign_in_first() -> None:
    """Before the body is read."""
    require_account()


@taxonomies.get("/taxonomies")
@taxonomies.input(ShortListOptions, location="query", arg_name="options")
@taxonomies.output(TaxonomiesOut)
def list_taxonomies(options: ShortListOptions) -> Any:
    """List your taxonomies.

    The model's own, which everybody has, are at `/api/v1/models`.
    """
    page, following = part(own_current(), options, lambda kept: kept.name)
    return TaxonomiesOut(taxonomies=[TaxonomyOut.of(kept) for kept in page], next=following)


@taxonomies.post("/taxonomies")
@taxonomies.input(NewTaxonomyIn, arg_name="wanted")
@taxonomies.output(TaxonomyOut, status_code=201)
def post_taxonomy(wanted: NewTaxonomyIn) -> Any:
    """Make a taxonomy.

    From then on its name can be given wherever `taxonomy` is asked for. Scores are noisy-or over the members' raw
    probabilities; `auto` says a label from 0.5 on.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        model = version_of(state().model)
        kept = own_taxonomies.save(session, account_id, wanted.name, wanted.pairs, model, new=True)
    return TaxonomyOut.of(kept), 201


@taxonomies.get("/taxonomies/<name>")
@taxonomies.output(TaxonomyOut)
def get_taxonomy(name: str) -> Any:
    """Show a taxonomy: its newest version, or with `name@version` that one."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return TaxonomyOut.of(own_taxonomies.find(session, account_id, name))


@taxonomies.put("/taxonomies/<name>")
@taxonomies.input(TaxonomyIn, arg_name="wanted")
@taxonomies.output(TaxonomyOut)
def put_taxonomy(name: str, wanted: TaxonomyIn) -> Any:
    """Make the next version of a taxonomy.

    Versions that are there stay as they are: what was read with one is read the same with it again. Saying the same
    again makes no new version.
    """
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        model = version_of(state().model)
        return TaxonomyOut.of(own_taxonomies.save(session, account_id, name, wanted.pairs, model, new=False))


@taxonomies.delete("/taxonomies/<name>")
@taxonomies.output({}, status_code=204, description="It is hidden, and its name is free.")
def delete_taxonomy(name: str) -> Any:
    """Delete a taxonomy. What `name@version` means stays readable."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        own_taxonomies.delete(session, account_id, name)
    return ""
