"""The campaign's short form: the eight kinds that matter most, a few faults each, on one ground.

What is asserted is the oracle's word, and that each fault due hit and was recovered from; no time is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.kinds import kinds
from tests.faults.kinds.uploads import WEB
from tests.faults.trial import Trial
from tests.faults.watch import Watch

SHORT = {
    "child-before-commit": 2,
    "parent": 3,
    "zombies": 2,
    "redis-cut": 2,
    "postgres-restart": 2,
    "commit-cut": 3,
    "web-upload": 3,
    "bytes": 4,
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("ground"), web=WEB) as made:
        yield made


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("references")


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost(ground: Ground, references: Path, name: str):
    _empty(ground)
    with Watch(ground.admin_url) as watch:
        trial = Trial(name, SHORT[name], 1, references, ground, watch)
        kinds()[name].run(trial)
    outcome = trial.outcome
    assert outcome.problems == []
    assert (outcome.lost, outcome.duplicated) == (0, 0)
    assert min(outcome.count, outcome.recovered) >= SHORT[name]


def _empty(ground: Ground) -> None:
    """Nothing of the kinds before is left."""
    for kept in ground.crew:
        kept.stop()
    ground.crew = []
    with ground.database() as database:
        database.execute("TRUNCATE result_chunk, chunk, row_poison, job, upload, idempotency, worker CASCADE")
    shutil.rmtree(ground.storage, ignore_errors=True)
