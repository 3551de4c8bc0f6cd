"""Taxonomies that users make: the model's labels, gathered under names of their own.

A taxonomy is called by its name, which means its newest version, or by name and version (``moods@2``), which means the
same for ever: editing adds a version, deleting hides the name, and neither changes what was read before. So a link or a
command that made a file last year makes it again.

A group's score is noisy-or over its members' probabilities, as everywhere (`core.taxonomy`), but raw: there are no
texts labelled with the user's groups to fit a calibration to. For the same reason "auto" is one threshold for all of
them, 0.5: the score from which, were the members independent, it is likelier than not that one of them holds.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from core.errors import BadOption, Conflict, LimitExceeded, NotFound
from core.models import OwnTaxonomy
from core.registry import ModelVersion
from core.taxonomy import Taxonomy, plain

THRESHOLD = 0.5
"""From which a label is said with "auto"."""

MOST = 100
"""Taxonomies of one account."""

_NAME = re.compile(r"\w(?:[\w .-]{0,38}[\w.-])?")
_LONGEST_LABEL = 60

Groups = Sequence[tuple[str, Sequence[str]]]
"""Labels in output order, each with the model's labels that it gathers."""


@dataclass(frozen=True)
class Kept:
    """One version of a user's taxonomy."""

    name: str
    version: int
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    created_at: datetime
    deleted_at: datetime | None

    @property
    def reference(self) -> str:
        """What means this version for ever: ``moods@2``."""
        return f"{self.name}@{self.version}"

    def taxonomy(self, labels: Sequence[str]) -> Taxonomy:
        """This taxonomy over a model's labels.

        Raises:
            BadOption: the model lacks some of them.
        """
        at = {label: index for index, label in enumerate(labels)}
        missing = [member for _, members in self.groups for member in members if member not in at]
        if missing:
            raise BadOption(
                f"The taxonomy {self.name!r} gathers labels that this model lacks: {', '.join(missing)}.",
                next_step="Choose another taxonomy, or edit this one.",
            )
        groups: dict[str, Sequence[int]] = {label: [at[one] for one in members] for label, members in self.groups}
        return plain(self.reference, groups, THRESHOLD)


def save(
    session: Session,
    account_id: uuid.UUID,
    name: str,
    groups: Groups,
    model: ModelVersion,
    *,
    new: bool,
) -> Kept:
    """Adds a taxonomy, or a version to one; the version in force, if it says just this already.

    Args:
        groups: each of the model's labels in one of them at most.
        model: whose labels may be gathered, and whose taxonomies' names are taken.
        new: whether there must be none of that name, or one.

    Raises:
        BadOption: naming what is wrong with the name or a group.
        Conflict: `new`, and the name is in use.
        NotFound: not `new`, and it is not.
        LimitExceeded: `MOST` are there.
    """
    # Two who save at once must not both be version 2.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"taxonomy {account_id}"})
    current = {kept.name: kept for kept in list_current(session, account_id)}
    if not new and name not in current:
        raise no_such_taxonomy()
    checked = _checked(name, groups, model)
    if new and name in current:
        raise Conflict(
            f"There is a taxonomy called {name!r} already.", next_step="Choose another name, or edit that one."
        )
    if not new and current[name].groups == checked:
        return current[name]
    if new and len(current) >= MOST:
        raise LimitExceeded(f"There are {MOST} taxonomies, as many as are allowed.", next_step="Delete one.")
    newest = session.scalar(
        select(func.max(OwnTaxonomy.version)).where(OwnTaxonomy.account_id == account_id, OwnTaxonomy.name == name)
    )
    row = OwnTaxonomy(
        account_id=account_id,
        name=name,
        version=(newest or 0) + 1,
        groups=[{"label": label, "members": list(members)} for label, members in checked],
    )
    session.add(row)
    session.flush()
    return _kept(row)


def list_current(session: Session, account_id: uuid.UUID) -> list[Kept]:
    """The newest version of each of an account's taxonomies, by name; deleted ones left out."""
    rows = session.scalars(
        select(OwnTaxonomy)
        .where(OwnTaxonomy.account_id == account_id, OwnTaxonomy.deleted_at.is_(None))
        .order_by(OwnTaxonomy.name, OwnTaxonomy.version.desc())
        .ext(distinct_on(OwnTaxonomy.name))
    )
    return [_kept(row) for row in rows]


def find(session: Session, account_id: uuid.UUID, reference: str) -> Kept:
    """A taxonomy by its name (the newest version), or by ``name@version``, which finds deleted ones too.

    Raises:
        NotFound: unknown, deleted, or another account's.
    """
    name, _, version = reference.partition("@")
    query = select(OwnTaxonomy).where(OwnTaxonomy.account_id == account_id, OwnTaxonomy.name == name)
    if version.isascii() and version.isdecimal() and len(version) < 10:
        query = query.where(OwnTaxonomy.version == int(version))
    elif "@" in reference:
        raise no_such_taxonomy()
    else:
        query = query.where(OwnTaxonomy.deleted_at.is_(None)).order_by(OwnTaxonomy.version.desc()).limit(1)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise no_such_taxonomy()
    return _kept(row)


def delete(session: Session, account_id: uuid.UUID, name: str) -> None:
    """Hides a taxonomy: its name is free again, and its versions are found by ``name@version`` only.

    Raises:
        NotFound: as `find`.
    """
    find(session, account_id, name)
    session.execute(
        update(OwnTaxonomy)
        .where(OwnTaxonomy.account_id == account_id, OwnTaxonomy.name == name, OwnTaxonomy.deleted_at.is_(None))
        .values(deleted_at=func.now())
    )


def with_own(session: Session, account_id: uuid.UUID, model: ModelVersion, asked: str | None) -> ModelVersion:
    """A model version that also knows the user's taxonomy asked for, if one is: under the word it was asked by.

    The taxonomy itself is named by its version, so that whatever is made with it can say what made it.

    Raises:
        BadOption: neither the model nor the account has it.
    """
    if asked is None or asked in model.taxonomies:
        return model
    try:
        found = find(session, account_id, asked)
    except NotFound:
        own = [kept.name for kept in list_current(session, account_id)]
        raise BadOption(
            f"taxonomy={asked!r} is unknown.", next_step=f"Use one of: {', '.join([*model.taxonomies, *own])}."
        ) from None
    taxonomy = found.taxonomy(model.labels)
    extended = {**model.taxonomies, asked: taxonomy, taxonomy.name: taxonomy}
    return replace(model, taxonomies=MappingProxyType(extended))


def no_such_taxonomy() -> NotFound:
    """The one answer for a name that is unknown, deleted or another account's."""
    return NotFound("There is no such taxonomy.", next_step="List your taxonomies to see their names.")


def _checked(name: str, groups: Groups, model: ModelVersion) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not _NAME.fullmatch(name):
        raise BadOption(
            f"A taxonomy cannot be called {name!r}.",
            next_step="Use up to 40 letters, digits, spaces, dots, hyphens or underscores.",
        )
    if name in model.taxonomies:
        raise BadOption(f"{name!r} is one of the model's own taxonomies.", next_step="Choose another name.")
    if not groups:
        raise BadOption("A taxonomy needs a group.", next_step="Put at least one label into a group.")
    homes: dict[str, str] = {}
    labels: set[str] = set()
    for label, members in groups:
        _check_label(label)
        if label.casefold() in labels:
            raise BadOption(f"Two groups are called {label!r}.", next_step="Give each group a name of its own.")
        labels.add(label.casefold())
        if not members:
            raise BadOption(f"The group {label!r} is empty.", next_step="Put a label into it, or leave it out.")
        for member in members:
            if member not in model.labels:
                raise BadOption(
                    f"The model has no label {member!r}.", next_step=f"Its labels are: {', '.join(model.labels)}."
                )
            if member in homes:
                raise BadOption(
                    f"{member!r} is in {homes[member]!r} and in {label!r}.",
                    next_step="A label belongs to one group, or to none.",
                )
            homes[member] = label
    # In the model's order, so that the same groups are the same version however they were written.
    return tuple((label, tuple(sorted(members, key=model.labels.index))) for label, members in groups)


def _check_label(label: str) -> None:
    if not label or label != label.strip() or len(label) > _LONGEST_LABEL or not label.isprintable() or "|" in label:
        raise BadOption(
            f"A group cannot be called {label!r}.",
            next_step=f"Use up to {_LONGEST_LABEL} characters without |, which stands between labels in the output.",
        )


def _kept(row: OwnTaxonomy) -> Kept:
    return Kept(
        name=row.name,
        version=row.version,
        groups=tuple((group["label"], tuple(group["members"])) for group in row.groups),
        created_at=row.created_at,
        deleted_at=row.deleted_at,
    )
