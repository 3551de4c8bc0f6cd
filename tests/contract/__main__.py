"""Schemathesis asks a live server what the OpenAPI document allows, and what it forbids: ``python -m tests.contract``.

All checks, in all phases: examples, boundaries (coverage), random requests (fuzzing), and one request after another
with what the last one made (stateful). It ends with 1 if a check failed or fewer cases were tried than were asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.contract.live import Live, fill, serve

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
LEAST = 2000


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    cases: int
    operations: int
    statuses: Counter[int]
    failed: bool
    said: str


def run(live: Live, *, phases: str, examples: int, seed: int) -> Outcome:
    """Runs Schemathesis against a server."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "run.har"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", f"{live.url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {live.token}"),
            *("--phases", phases, "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
            *("--no-color", "--report", "har", "--report-har-path", str(report)),
        ]
        # In a folder of its own: it keeps what once failed, and would begin with that the next time.
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.contract.hooks", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        asked = json.loads(report.read_text())["log"]["entries"] if report.exists() else []
    paths = live.make("GET", "/openapi.json")["paths"]
    return Outcome(
        cases=len(asked),
        operations=sum(map(len, paths.values())),
        statuses=Counter(entry["response"]["status"] for entry in asked),
        failed=done.returncode != 0,
        said=done.stdout + done.stderr,
    )


def main() -> int:
    """Runs it all and prints figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__.split("\n")[0])
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--examples", type=int, default=10, help="random requests for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=int, default=LEAST, help="fewer cases are a failure")
    asked = parser.parse_args()
    with serve() as live:
        fill(live)
        found = run(live, phases=asked.phases, examples=asked.examples, seed=asked.seed)
    print(found.said[-20_000:])
    kinds = ", ".join(f"{n} × {status}" for status, n in sorted(found.statuses.items()))
    print(f"{found.cases} requests to {found.operations} operations, seed {asked.seed}: {kinds}.")
    print("A check failed." if found.failed else "No check failed.")
    return int(found.failed or found.cases < asked.least)


if __name__ == "__main__":
    sys.exit(main())
