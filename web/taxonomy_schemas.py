"""A user's own taxonomies as they go in and out of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from core.own_taxonomies import Groups, Kept
from web.schemas import NEXT, Word

_GROUPS: list[Any] = [
    {"label": "cross", "members": ["anger", "annoyance", "disapproval"]},
    {"label": "glad", "members": ["joy", "love", "gratitude"]},
]

Members = Annotated[list[Word], Field(max_length=100, description="Labels of the model, each in one group at most.")]


class GroupIO(BaseModel):
    """Labels of the model under a name."""

    model_config = ConfigDict(extra="forbid")

    label: Word = Field(description="What is said of a row: up to 60 characters without `|`.")
    members: Members


class TaxonomyIn(BaseModel):
    """Groups, in the order in which they are shown. Labels that are in none are left out of everything."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"groups": _GROUPS}]})

    groups: list[GroupIO] = Field(max_length=100)

    @property
    def pairs(self) -> Groups:
        """As `core.own_taxonomies` takes them."""
        return [(group.label, group.members) for group in self.groups]


class NewTaxonomyIn(TaxonomyIn):
    """A taxonomy to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "moods", "groups": _GROUPS}]})

    name: Word = Field(description="Up to 40 letters, digits, spaces, dots, hyphens or underscores.")


class TaxonomyOut(BaseModel):
    """One version of a taxonomy. Use `name` wherever `taxonomy` is asked for, or `reference`, which never changes."""

    name: str
    version: int
    reference: str = Field(description="`name@version`: means this version for ever, deleted or not.")
    groups: list[GroupIO]
    created_at: datetime
    deleted: bool

    @classmethod
    def of(cls, kept: Kept) -> Self:
        """A version as the API shows it."""
        return cls(
            name=kept.name,
            version=kept.version,
            reference=kept.reference,
            groups=[GroupIO(label=label, members=list(members)) for label, members in kept.groups],
            created_at=kept.created_at,
            deleted=kept.deleted_at is not None,
        )


class TaxonomiesOut(BaseModel):
    """Your taxonomies, each in its newest version, by name."""

    taxonomies: list[TaxonomyOut]
    next: str | None = Field(description=NEXT)
