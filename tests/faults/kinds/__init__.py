"""The kinds of faults, by name: how often each is due in a full campaign, how long it may take, what tries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.trial import Trial


@dataclass(frozen=True)
class Kind:
    """One kind of fault."""

    name: str
    title: str
    """As in the table."""
    due: int
    limit_s: float
    """A full run that takes longer hangs."""
    run: Callable[[Trial], None]
    ground: Mapping[str, Any] = field(default_factory=dict)
    """What its ground has that others have not."""
    root: bool = False
    """Whether only root can try it."""
    sampled: bool = True
    """Whether one fault is tried out with the real model, and the lease of an installation, as well."""
    alone: bool = False
    """Whether it compares speeds, so that nothing else may run beside it."""


def kinds() -> dict[str, Kind]:
    """All kinds, in the order of the table."""
    from tests.faults.kinds import brokers, children, closing, databases, disks, files, rows, uploads, workers

    modules = (children, workers, brokers, databases, uploads, rows, files, closing, disks)
    found = [kind for module in modules for kind in module.KINDS]
    return {kind.name: kind for kind in found}
