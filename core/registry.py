"""Which model versions this installation has seen, with their taxonomies.

A job's stored logits outlive the model directory that made them: labels are read with the taxonomies of the version
that scored them, kept here, so replacing a model never changes or breaks an old result.

A new job may name the version it is to be labelled with: any that a living worker holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.errors import BadOption
from core.flags import Trust
from core.model_directory import ModelDirectory
from core.models import Model
from core.taxonomy import Taxonomy
from core.workers import WORKER_SILENT_S


@dataclass(frozen=True)
class ModelVersion:
    """What is needed to read results: the model's labels and the taxonomies derived from them."""

    sha256: str
    version: str
    labels: tuple[str, ...]
    taxonomies: Mapping[str, Taxonomy]
    default_taxonomy: str
    trust: Trust = field(default_factory=Trust)


def register(session: Session, model: ModelDirectory) -> None:
    """Makes a model version known; does nothing if it is."""
    manifest = {
        "name": model.name,
        "labels": list(model.labels),
        "default_taxonomy": model.default_taxonomy,
        "taxonomies": {name: taxonomy.to_dict() for name, taxonomy in model.taxonomies.items()},
        "trust": model.trust.to_dict(),
    }
    session.execute(
        insert(Model)
        .values(sha256=model.sha256, version=model.version, manifest=manifest)
        .on_conflict_do_nothing(index_elements=[Model.sha256])
    )


def version_of(model: ModelDirectory) -> ModelVersion:
    """A model directory's version, as it would be registered."""
    return ModelVersion(
        model.sha256, model.version, model.labels, model.taxonomies, model.default_taxonomy, model.trust
    )


def model_version(session: Session, sha256: str) -> ModelVersion:
    """A registered model version.

    Raises:
        LookupError: not registered. The foreign key of `job` makes this impossible for a job's own version.
    """
    row = session.execute(select(Model.version, Model.manifest).where(Model.sha256 == sha256)).one_or_none()
    if row is None:
        raise LookupError(f"Model version {sha256} is not registered.")
    return _parse(sha256, row.version, orjson.dumps(row.manifest, option=orjson.OPT_SORT_KEYS))


LEAST_HEX = 8
"""Of a sha256, by which a version may be named."""


@dataclass(frozen=True)
class KnownModel:
    """A model version that this installation has seen.

    Attributes:
        sha256: its identity.
        name, version: as its directory gives them.
        manifest: labels, taxonomies, trust, as `register` wrote them.
        first_seen: when.
        workers, slots: how many living workers hold it, and how many slots these have.
    """

    sha256: str
    name: str
    version: str
    manifest: Mapping[str, Any]
    first_seen: datetime
    workers: int
    slots: int

    @property
    def full_name(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def is_called(self, wanted: str) -> bool:
        """Whether `wanted` names it: its name, ``name@version``, or at least `LEAST_HEX` digits of its sha256."""
        is_hex = len(wanted) >= LEAST_HEX and self.sha256.startswith(wanted.lower())
        return wanted in (self.name, self.full_name) or is_hex


_KNOWN = text("""
SELECT m.sha256, m.version, m.manifest, m.created_at, count(w.id) AS workers, coalesce(sum(w.slots), 0) AS slots
FROM model m LEFT JOIN worker w ON m.sha256 = ANY(w.models) AND w.heartbeat > now() - make_interval(secs => :silent)
GROUP BY m.sha256 ORDER BY m.created_at DESC, m.sha256
""")


def known_models(session: Session, own: Iterable[ModelDirectory] = ()) -> list[KnownModel]:
    """Every model version that was ever seen, the newest first; `own` ones are seen by now."""
    for each in own:
        register(session, each)
    return [
        KnownModel(
            sha256=row.sha256,
            name=row.manifest["name"],
            version=row.version,
            manifest=row.manifest,
            first_seen=row.created_at,
            workers=row.workers,
            slots=int(row.slots),
        )
        for row in session.execute(_KNOWN, {"silent": WORKER_SILENT_S})
    ]


def choose_model(session: Session, wanted: str, own: Sequence[ModelDirectory]) -> KnownModel:
    """The version that `wanted` names (see `KnownModel.is_called`): of several the newest that can be had.

    Args:
        own: the installation's, made known here. They are taken even while no living worker holds them: jobs may wait.

    Raises:
        BadOption: none is called so, or it is not the installation's own, and no living worker holds it.
    """
    expected = {each.sha256 for each in own}
    known = known_models(session, own)
    on_hand = [model for model in known if model.workers or model.sha256 in expected]
    for model in on_hand:
        if model.is_called(wanted):
            return model
    said = f"Use one of: {', '.join(model.full_name for model in on_hand)}." if on_hand else "No worker is alive."
    if any(model.is_called(wanted) for model in known):
        raise BadOption(f"No worker that is alive has model {wanted!r}.", next_step=said)
    raise BadOption(f"There is no model {wanted!r}.", next_step=said)


@lru_cache(maxsize=16)
def _parse(sha256: str, version: str, manifest_json: bytes) -> ModelVersion:
    manifest: dict[str, Any] = orjson.loads(manifest_json)
    return ModelVersion(
        sha256=sha256,
        version=version,
        labels=tuple(manifest["labels"]),
        taxonomies={name: Taxonomy.from_dict(fields) for name, fields in manifest["taxonomies"].items()},
        default_taxonomy=manifest["default_taxonomy"],
        trust=Trust.from_dict(manifest.get("trust")),
    )
