"""A user's own taxonomies, through the API: the model's labels under names of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from core.errors import NotFound
from emobatch.connection import Connection, read

SHIPPED = ("ekman", "goemotions", "sentiment")
"""Those that every model has."""


@dataclass(frozen=True)
class OwnTaxonomy:
    """One version of a taxonomy.

    Attributes:
        name: means the newest version, wherever a taxonomy is asked for.
        reference: ``name@version``, which means this version for ever.
        groups: labels in output order, each with the model's labels that it gathers.
    """

    name: str
    version: int
    reference: str
    groups: Mapping[str, tuple[str, ...]]


class Taxonomies:
    """Those of one account. Methods raise what the methods of `emobatch.Client` raise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> tuple[OwnTaxonomy, ...]:
        """Each in its newest version, by name."""
        answer = self._connection.repeat("GET", "/taxonomies")
        return read(answer, lambda found: tuple(_parse(one) for one in found["taxonomies"]))

    def get(self, name: str) -> OwnTaxonomy:
        """A taxonomy by its name or by ``name@version``. Raises NotFound."""
        return read(self._connection.repeat("GET", _path(name)), _parse)

    def save(self, name: str, groups: Mapping[str, Sequence[str]]) -> OwnTaxonomy:
        """Makes a taxonomy, or the next version of one; the version in force, if it says just this.

        Args:
            groups: labels in output order, each with the model's labels that it gathers; a label of the model is in one
                of them at most.

        Raises:
            BadOption: naming what is wrong.
        """
        wanted = {"groups": [{"label": label, "members": [*members]} for label, members in groups.items()]}
        try:
            answer = self._connection.repeat("PUT", _path(name), json=wanted)
        except NotFound:
            answer = self._connection.repeat("POST", "/taxonomies", json={"name": name, **wanted})
        return read(answer, _parse)

    def delete(self, name: str) -> None:
        """Hides a taxonomy and frees its name. Raises NotFound."""
        self._connection.remove(_path(name))


def _path(name: str) -> str:
    return f"/taxonomies/{quote(name, safe='@')}"


def _parse(fields: Any) -> OwnTaxonomy:
    groups = {group["label"]: tuple(group["members"]) for group in fields["groups"]}
    return OwnTaxonomy(fields["name"], fields["version"], fields["reference"], groups)
