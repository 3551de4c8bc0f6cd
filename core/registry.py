"""Which model versions this installation has seen, with their taxonomies.

A job's stored logits outlive the model directory that made them: labels are read with the taxonomies of the version
that scored them, kept here, so replacing a model never changes or breaks an old result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.flags import Trust
from core.model_directory import ModelDirectory
from core.models import Model
from core.taxonomy import Taxonomy


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
