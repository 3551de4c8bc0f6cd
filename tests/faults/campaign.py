"""All kinds one after another, each in a process of its own under a time limit, and the table of what came out."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.faults.kinds import Kind, kinds
from tests.faults.table import show, write

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".faults"

SAMPLE_LIMIT_S = 300.0


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
        self._whole = names == list(found) and given.scale >= 1
        label = f"seed{given.seed}-scale{given.scale:g}{'-late' if given.acks_late else ''}"
        self._folder = RESULTS / label
        self._references = RESULTS / "references"

    def run(self) -> int:
        """Runs what is asked for; the exit code: 0 if all is well."""
        given = self._given
        self._folder.mkdir(parents=True, exist_ok=True)
        self._references.mkdir(exist_ok=True)
        if not given.resume:
            for old in self._references.glob("*.csv"):
                old.unlink()
        began = time.monotonic()
        done: list[dict[str, Any]] = []
        for sample in [False, True]:
            if (sample and given.samples == "no") or (not sample and given.samples == "only"):
                continue
            for kind in self._kinds:
                if (sample and not kind.sampled) or (kind.root and os.geteuid() != 0):
                    continue
                if given.minutes and time.monotonic() - began > 60 * given.minutes:
                    break
                done.append(self._one(kind, sample))
        done = [self._told(one) for one in done]
        print(show(done))
        if self._whole or given.write:
            write(ROOT / "docs" / "reliability.md", done, given.seed, given.acks_late)
        return 0 if all(one["ok"] for one in done) else 1

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
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        except BaseException:
            process.terminate()
            process.wait(60)
            raise
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
        print(f"         {show([found]).splitlines()[-1]}  {found['seconds']:.0f} s", flush=True)
        for problem in found["problems"][:5]:
            print(f"         ! {problem}", flush=True)
        return found

    @staticmethod
    def _told(one: dict[str, Any]) -> dict[str, Any]:
        return one | {"title": f"{one['title']}, real model, lease 30 s"} if one["sample"] else one
