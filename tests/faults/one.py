"""One kind in a process of its own: what it is to do comes as JSON, what became of it goes into a file."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.faults.ground import REAL
from tests.faults.kinds import kinds
from tests.faults.trial import Outcome, Trial, ground_and_watch

SAMPLE_LEASE_S = 30.0


def run_one(asked: str) -> None:
    """Tries a kind out.

    Args:
        asked: JSON object: ``kind``, ``count``, ``seed``, ``references`` (a folder), ``result`` (a file), ``sample``
            (whether with the real model and the lease of an installation), ``keep`` (a folder for its logs,
            which stay if something is wrong).
    """
    given: dict[str, Any] = json.loads(asked)
    kind = kinds()[given["kind"]]
    began = time.monotonic()
    outcome = Outcome(kind.name, given["count"], given["seed"])
    changes = dict(kind.ground) | ({"engine": REAL, "lease_s": SAMPLE_LEASE_S} if given["sample"] else {})
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        try:
            with ground_and_watch(Path(folder), **changes) as (ground, watch):
                trial = Trial(kind.name, given["count"], given["seed"], Path(given["references"]), ground, watch)
                outcome = trial.outcome
                try:
                    kind.run(trial)
                finally:
                    # While the ground is there: some logs lie on a file system that goes with it.
                    _keep_logs(Path(folder), Path(given["keep"]))
        except Exception as error:  # one kind that fails must not end the campaign
            traceback.print_exc()
            outcome.problems.append(f"{type(error).__name__}: {error}")
        if not outcome.problems:
            shutil.rmtree(given["keep"], ignore_errors=True)
    outcome.seconds = round(time.monotonic() - began, 1)
    Path(given["result"]).write_text(json.dumps(outcome.to_dict(), indent=1))


def _keep_logs(folder: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for log in [*folder.rglob("*.log")]:
        (keep / log.name).write_bytes(log.read_bytes()[-2_000_000:])
