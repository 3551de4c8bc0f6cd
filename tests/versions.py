"""A second model version for tests: another identity, and other answers to some texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import text

from core import registry
from core.db import Database
from core.model_directory import ModelDirectory
from tests.fakes import NullScorer, null_logits
from tests.fixtures import Installation
from worker.engine import Pause, Scored, go_on

MOVED = "moved"
"""A text with this word in it is scored otherwise by the other version."""


_ANGER, _NEUTRAL = 2, 27
"""Columns of the model's labels."""


class OtherScorer(NullScorer):
    """Answers as the null model does, for which all is joy; but texts with `MOVED` are angry or neutral, by length."""

    def score(self, texts: Sequence[str], scope: bytes = b"", pause: Pause = go_on) -> Scored:
        scored = super().score(texts, scope, pause)
        logits = null_logits(texts)
        for at, given in enumerate(texts):
            if MOVED in given:
                logits[at] = -7
                logits[at, _ANGER if len(given) % 2 else _NEUTRAL] = 4
        return Scored(logits, scored.windows, scored.identical)


def other_model(model: ModelDirectory) -> ModelDirectory:
    """The same labels and taxonomies under another name, version and identity."""
    return replace(model, name="other-model", version="9.9.9", sha256="b" * 64)


def of_other(installation: Installation) -> Installation:
    """The same installation as a worker with the other version sees it."""
    return replace(installation, model=other_model(installation.model))


def come_alive(db: Database, model: ModelDirectory, worker_id: str = "w1", slots: int = 2) -> None:
    """A living worker that holds a model, and stays so however slowly a test gets on."""
    with db.transaction() as session:
        registry.register(session, model)
        alive = (
            "INSERT INTO worker (id, models, slots, heartbeat) VALUES (:id, ARRAY[:model], :slots, now() + '1 hour')"
        )
        session.execute(text(alive), {"id": worker_id, "model": model.sha256, "slots": slots})
