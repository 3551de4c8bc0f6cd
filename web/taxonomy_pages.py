"""The page of a user's own taxonomies: each of the model's labels has a field for the group it goes into.

So a label is in one group at most by the form's very shape, and filling it takes a keyboard and nothing else.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Flask, flash, redirect, render_template, request, url_for

from core import own_taxonomies
from core.errors import EmobatchError, NotFound
from core.registry import ModelVersion, version_of
from web import problems
from web.auth import require_account
from web.present import GROUPS, colours
from web.reading import own_current
from web.state import state

taxonomy_pages = APIBlueprint("taxonomy_pages", __name__, enable_openapi=False)

NEUTRAL = "neutral"
"""The label that says that there is no emotion; its group stands last."""


def install(app: Flask) -> None:
    """Adds the pages to the app."""
    app.register_blueprint(taxonomy_pages)


@taxonomy_pages.before_request
def sign_in_first() -> None:
    """Before anything else."""
    require_account()


@taxonomy_pages.get("/taxonomies")
def taxonomies() -> Any:
    """The account's taxonomies, and where new ones are made."""
    return render_template("taxonomies.html", own=own_current(), colour=_colours())


@taxonomy_pages.get("/taxonomies/new")
def new_taxonomy() -> Any:
    """An empty form, or one that begins as another taxonomy (``?from=ekman``)."""
    model, begin = version_of(state().model), request.args.get("from", "")
    return _form("", _groups_of(model, begin), begin=begin)


@taxonomy_pages.get("/taxonomies/<name>")
def edit_taxonomy(name: str) -> Any:
    """The form with a taxonomy in it."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        kept = own_taxonomies.find(session, account_id, name)
    return _form(kept.name, {member: label for label, members in kept.groups for member in members}, kept=kept)


@taxonomy_pages.post("/taxonomies")
def post_taxonomy() -> Any:
    """The form, sent: a new taxonomy, or the next version of the one it was opened with."""
    name, was = request.form.get("name", "").strip(), request.form.get("was", "")
    model = version_of(state().model)
    chosen = {label: given for label in model.labels if (given := request.form.get(f"group-{label}", "").strip())}
    account_id, new = require_account(), not was or name != was
    try:
        with state().db.transaction(account_id) as session:
            kept = own_taxonomies.save(session, account_id, name, _in_order(model, chosen), model, new=new)
    except EmobatchError as error:
        document = problems.of_error(error)
        return _form(name, chosen, problem=document, was=was), document["status"]
    flash(f"Saved {kept.name}, version {kept.version}. Choose it wherever labels are read.")
    return redirect(url_for("taxonomy_pages.taxonomies"), 303)


@taxonomy_pages.post("/taxonomies/<name>/delete")
def delete_taxonomy(name: str) -> Any:
    """Hides a taxonomy; the page asked before."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        own_taxonomies.delete(session, account_id, name)
    flash(f"{name} is deleted. Links that name one of its versions go on working.")
    return redirect(url_for("taxonomy_pages.taxonomies"), 303)


def _form(name: str, chosen: dict[str, str], **context: Any) -> str:
    model = version_of(state().model)
    return render_template(
        "taxonomy.html",
        name=name,
        chosen=chosen,
        families=_families(model),
        colour=_colours(),
        **{"was": name, "kept": None, "problem": None, "begin": "", **context},
    )


def _families(model: ModelVersion) -> list[tuple[str, list[str]]]:
    """The model's labels, those of a kind together."""
    if GROUPS not in model.taxonomies:
        return [("Labels", list(model.labels))]
    groups = model.taxonomies[GROUPS]
    return [
        (label, sorted(model.labels[at] for at in members))
        for label, members in zip(groups.labels, groups.members, strict=True)
    ]


def _groups_of(model: ModelVersion, begin: str) -> dict[str, str]:
    """Each label's group in a taxonomy of the model or of the account; none for an unknown name."""
    if begin in model.taxonomies:
        taxonomy = model.taxonomies[begin]
        pairs = zip(taxonomy.labels, taxonomy.members, strict=True)
        return {model.labels[at]: label for label, members in pairs for at in members}
    account_id = require_account()
    try:
        with state().db.transaction(account_id) as session:
            kept = own_taxonomies.find(session, account_id, begin)
    except NotFound:
        return {}
    return {member: label for label, members in kept.groups for member in members}


def _in_order(model: ModelVersion, chosen: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Groups in the order in which the form names them; names that differ in case alone are one; neutral's is last."""
    found: dict[str, tuple[str, list[str]]] = {}
    for _, labels in _families(model):
        for label in labels:
            if label in chosen:
                found.setdefault(chosen[label].casefold(), (chosen[label], []))[1].append(label)
    return sorted(found.values(), key=lambda group: NEUTRAL in group[1])


def _colours() -> dict[str, str]:
    """The colour of each of the model's labels."""
    model = version_of(state().model)
    return colours(model, "goemotions") if "goemotions" in model.taxonomies else {}
