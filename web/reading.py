"""What results can be read with: the model's taxonomies and the user's own."""

from __future__ import annotations

from dataclasses import dataclass

from core import own_taxonomies
from core.own_taxonomies import Kept
from core.registry import ModelVersion
from web.auth import require_account
from web.state import state

SHIPPED = {"ekman": "six emotions and neutral", "goemotions": "all 28 emotions", "sentiment": "sentiment only"}
"""The model's taxonomies in words, in the order in which they are offered."""


@dataclass(frozen=True)
class Choice:
    """A taxonomy to choose."""

    value: str
    words: str


def with_own(model: ModelVersion, asked: str | None) -> ModelVersion:
    """A model version that also knows the current account's taxonomy asked for.

    Raises:
        BadOption: neither the model nor the account has it.
    """
    if asked is None or asked in model.taxonomies:
        return model
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return own_taxonomies.with_own(session, account_id, model, asked)


def choices(model: ModelVersion, own: list[Kept], chosen: str) -> list[Choice]:
    """What a page offers: the model's taxonomies, the user's in their newest version, and the one in force.

    The user's are offered with their version: an address with one means the same for ever.
    """
    found = [Choice(name, words) for name, words in SHIPPED.items() if name in model.taxonomies]
    found += [Choice(kept.reference, kept.name) for kept in own]
    if chosen not in {choice.value for choice in found}:
        found.append(Choice(chosen, chosen.replace("@", ", version ")))
    return found


def own_current() -> list[Kept]:
    """The current account's taxonomies."""
    account_id = require_account()
    with state().db.transaction(account_id) as session:
        return own_taxonomies.list_current(session, account_id)


class Offered:
    """The taxonomies that a job's page offers, with one of them in force."""

    def __init__(self, model: ModelVersion, taxonomy: str) -> None:
        self.named = model.taxonomies[taxonomy].name
        """The one in force; the user's own by its version."""
        self.shipped = tuple(name for name in model.taxonomies if name in SHIPPED)
        self.checked = taxonomy if taxonomy in self.shipped else model.default_taxonomy
        """In which labels are checked: the one in force, unless it is the user's own."""
        self.choices = choices(model, own_current(), self.named)

    @property
    def words(self) -> list[tuple[str, str]]:
        """The choices, for a field of a form."""
        return [(choice.value, choice.words) for choice in self.choices]
