"""Processes whose output goes to a disk that is full, for which Linux has a device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="Linux alone has a full disk at hand")

SAY = "for stream in (sys.stdout, sys.stderr, sys.__stdout__): print('hello', file=stream, flush=True)"
OUTLIVE = "from core.outlets import outlive_full_disks; outlive_full_disks()"


def run(*lines: str, to: Path, unbuffered: str = "") -> int:
    command = [sys.executable, "-c", "\n".join(["import sys", *lines])]
    with to.open("wb") as file:
        return subprocess.call(command, stdout=file, stderr=file, env=os.environ | {"PYTHONUNBUFFERED": unbuffered})


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_cannot_be_written_is_lost_and_no_more(unbuffered):
    assert run(SAY, to=FULL, unbuffered=unbuffered) != 0
    assert run(OUTLIVE, SAY, to=FULL, unbuffered=unbuffered) == 0


def test_what_can_be_written_is(tmp_path):
    log = tmp_path / "log"
    assert run(OUTLIVE, SAY, "sys.stderr.write('ärger\\n')", to=log) == 0
    assert log.read_text() == "hello\nhello\nhello\närger\n"


def test_a_stream_that_somebody_put_in_place_stays():
    assert (
        run("import io; sys.stdout = mine = io.StringIO()", OUTLIVE, "sys.exit(sys.stdout is not mine)", to=FULL) == 0
    )
