"""(h) From the command `emobatch up` to an address that works, and to the first label."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.corpus import write_csv
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure, rounds
from benchmarks.plan import Plan
from benchmarks.stacks import clean_environment
from emobatch.client import Client
from emobatch.stack import leftovers
from emobatch.stack.home import Home

READY = "emobatch is ready: "
PATIENCE_S = 120

HOW = (
    "`emobatch up` as a process of its own. Ready: it has printed its address, so web, database and broker answer. "
    "First label: a job of one row, sent at that moment, is over; its worker has the engine loaded. Fresh: an empty "
    "data directory and an empty cache of graphs; existing: the directory and cache of an earlier start. Python's "
    "byte code and the machine's file cache are warm in both."
)


def measure(plan: Plan) -> Group:
    """A fresh directory and an existing one, in turns."""
    group = Group("h", "Cold start: `emobatch up`", HOW)
    plan.say(f"(h) {plan.rounds} rounds")
    text = write_csv(plan.path("h.csv"), plan.corpus.texts(1))
    existing = plan.path("h.existing")
    _start(existing, text)

    def fresh() -> tuple[float, float]:
        folder = plan.path("h.fresh")
        try:
            return _start(folder, text)
        finally:
            shutil.rmtree(folder)

    found = rounds({"fresh": fresh, "existing": lambda: _start(existing, text)}, plan.rounds, warm_up=0, say=plan.say)
    shutil.rmtree(existing)
    for name in ("fresh", "existing"):
        ready, label = (Figure.of(one[place] for one in found[name]) for place in (0, 1))
        group.add(f"ready_{name}_s", f"ready, {name} data directory", ready, "s", at_most(6.0))
        group.add(f"first_label_{name}_s", f"first label, {name} data directory", label, "s")
    return group


def _start(folder: Path, source: Path) -> tuple[float, float]:
    """Seconds from the command until it is ready, and until a row is labelled; the stack is stopped again."""
    home = folder / "home"
    environment = clean_environment({"EMOBATCH_HOME": str(home), "EMOBATCH_CACHE_DIR": str(folder / "cache")})
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "emobatch.cli", "up"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        ready = time.perf_counter() - began
        if not line.startswith(READY):
            raise RuntimeError(f"`emobatch up` did not become ready: {line!r}")
        with Client(line.removeprefix(READY).strip()) as client:
            client.wait(client.create_job(source, text_column="text").id, timeout_s=PATIENCE_S)
        return ready, time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        leftovers.stop(Home(home))
