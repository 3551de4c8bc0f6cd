"""All kinds, two at a time, each in a process of its own under a time limit, and the table of what came out.

Most of a kind's time is waiting: for leases to end, for a service to come back, for a frozen one to be woken. So two
lanes go through the kinds, one from the front and one from the back: alike kinds, which want the same of the machine at
the same time, do not meet. Kinds that compare speeds run alone, after the others. Each has its own servers and files.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.kinds import Kind, kinds
from tests.faults.table import show, write

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".faults"

SAMPLE_LIMIT_S = 300.0

Task = tuple[Kind, bool]
"""A kind, and whether it is the sample with the real model."""


class Campaign:
    """One call of the command."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        found = kinds()
        names = [name for name in given.only.split(",") if name] or list(found)
        unknown = [name for name in names if name not in found]
        if unknown:
            sys.exit(f"There is no kind {', '.join(unknown)}. --list names them.")
        self._kinds = [found[name] for name in names]
        self._whole = names == list(found) and given.scale >= 1 and not (given.acks_late or given.minutes)
        label = f"seed{given.seed}-scale{given.scale:g}{'-late' if given.acks_late else ''}"
        self._folder = RESULTS / label
        self._references = RESULTS / "references"
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def run(self) -> int:
        """Runs what is asked for; the exit code: 0 if all is well."""
        given = self._given
        self._folder.mkdir(parents=True, exist_ok=True)
        self._references.mkdir(exist_ok=True)
        if not given.resume:
            for old in self._references.glob("*.csv"):
                old.unlink()
        self._began = time.monotonic()
        tasks = [
            (kind, sample)
            for sample in (False, True)
            for kind in self._kinds
            if (kind.sampled or not sample) and given.samples != ("no" if sample else "only")
            if not (kind.root and os.geteuid() != 0)
        ]
        together = deque(task for task in tasks if not task[0].alone)
        alone = deque(task for task in tasks if task[0].alone)
        takes = [together.popleft, together.pop][: given.lanes]
        found: dict[tuple[str, bool], dict[str, Any]] = {}
        with ThreadPoolExecutor(len(takes)) as lanes:
            try:
                for lane in [lanes.submit(self._lane, take, found) for take in takes]:
                    lane.result()
                self._lane(alone.popleft, found)
            except BaseException:
                self._end()
                raise
        done = [found[kind.name, sample] for kind, sample in tasks if (kind.name, sample) in found]
        done = [self._told(one) for one in done]
        print(show(done))
        if self._whole or given.write:
            minutes = (time.monotonic() - self._began) / 60
            write(ROOT / "docs" / "reliability.md", done, given.seed, given.acks_late, minutes)
        return 0 if all(one["ok"] for one in done) else 1

    def _lane(self, take: Callable[[], Task], found: dict[tuple[str, bool], dict[str, Any]]) -> None:
        """One kind after another, until none is left, or time is up."""
        minutes = self._given.minutes
        with suppress(IndexError):
            while not self._over and not (minutes and time.monotonic() - self._began > 60 * minutes):
                kind, sample = take()
                found[kind.name, sample] = self._one(kind, sample)

    def _end(self) -> None:
        """No further kind begins, and those that run stop their servers and go."""
        self._over = True
        for process in list(self._running):
            process.terminate()

    def _one(self, kind: Kind, sample: bool) -> dict[str, Any]:
        given = self._given
        name = f"{kind.name}{'-sample' if sample else ''}"
        result = self._folder / f"{name}.json"
        if given.resume and result.exists():
            return json.loads(result.read_text()) | {"title": kind.title, "sample": sample}
        result.unlink(missing_ok=True)
        asked = {
            "kind": kind.name,
            "count": 1 if sample else max(1, math.ceil(kind.due * given.scale)),
            "seed": given.seed,
            "references": str(self._references),
            "result": str(result),
            "sample": sample,
            "keep": str(self._folder / f"{name}.logs"),
        }
        limit_s = SAMPLE_LIMIT_S if sample else max(180.0, kind.limit_s * given.scale)
        print(f"{time.strftime('%H:%M:%S')} {name}: {asked['count']}", flush=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults", "--one", json.dumps(asked)],
            cwd=ROOT,
            env=os.environ | ({"EMOBATCH_FAULTS_LATE": "1"} if given.acks_late else {}),
            start_new_session=True,
        )
        self._running.add(process)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finally:
            self._running.discard(process)
        if not result.exists():
            empty = {"kind": kind.name, "due": asked["count"], "count": 0, "recovered": 0, "lost": 0, "duplicated": 0}
            said = f"it did not end within {limit_s:g} s" if process.returncode == -signal.SIGKILL else "it died"
            empty |= {
                "worst_s": 0.0,
                "problems": [said],
                "notes": {},
                "ok": False,
                "seconds": limit_s,
                "seed": given.seed,
            }
            result.write_text(json.dumps(empty))
        found = json.loads(result.read_text()) | {"title": kind.title, "sample": sample}
        lines = [f"{show([found]).splitlines()[-1]}  {found['seconds']:.0f} s"]
        lines += [f"! {problem}" for problem in found["problems"][:5]]
        print("\n".join(f"         {line}" for line in lines), flush=True)
        return found

    @staticmethod
    def _told(one: dict[str, Any]) -> dict[str, Any]:
        return one | {"title": f"{one['title']}, real model, lease 30 s"} if one["sample"] else one
