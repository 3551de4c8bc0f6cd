"""Failpoints: they kill where they are told to and as often, and nothing but a process' environment tells them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import failpoints
from core.failpoints import NAMES, armed_by

ROOT = Path(__file__).parents[2]

PASS_FIVE_TIMES = "from core.failpoints import failpoint\nfor n in range(5): failpoint('after-claim'); print(n)"


def run(armed: str, log: Path | None = None) -> subprocess.CompletedProcess[str]:
    given = {"EMOBATCH_FAILPOINTS": armed} | ({"EMOBATCH_FAILPOINTS_LOG": str(log)} if log else {})
    command = [sys.executable, "-u", "-c", PASS_FIVE_TIMES]
    return subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True)


def test_unarmed_nothing_happens():
    done = run("")
    assert (done.returncode, done.stdout.split()) == (0, ["0", "1", "2", "3", "4"])


def test_a_process_dies_at_its_nth_pass():
    done = run("after-claim:3")
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["0", "1"])


def test_so_many_processes_die_and_no_more(tmp_path):
    log = tmp_path / "log"
    ends = [run("before-commit:1,after-claim:2:2", log).returncode for _ in range(3)]
    assert ends == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert [line.split()[1] for line in log.read_text().splitlines()] == ["after-claim"] * 2


@pytest.mark.parametrize(
    "armed", ["after-clam:1", "after-claim", "after-claim:x", "after-claim:1:2", "after-claim:1:1:NO"]
)
def test_a_mistake_is_told_at_once(armed):
    with pytest.raises((ValueError, KeyError)):
        armed_by({"EMOBATCH_FAILPOINTS": armed})


def test_every_name_stands_in_the_code_and_nothing_else_arms():
    sources = [path for name in ("core", "web", "worker") for path in (ROOT / name).rglob("*.py")]
    found = {name for path in sources for name in re.findall(r'failpoint\("([a-z-]+)"\)', path.read_text())}
    assert found == NAMES
    readers = {path.name for path in sources if "EMOBATCH_FAILPOINTS" in path.read_text()}
    assert readers == {"failpoints.py"}
    assert not failpoints._armed, "this process is not armed"
