"""`emobatch up --also-model`, as a real stack: each job is labelled by the model it names, and results say by which."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.model_directory import find_model
from emobatch.stack import leftovers
from emobatch.stack.home import Home

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "reviews.csv"
SIX = "emobatch-distilbert-6x384"
EMOBATCH = (sys.executable, "-m", "emobatch.cli")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, issued) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    made.create()
    yield made
    leftovers.stop(made)


@pytest.fixture
def command(home: Home, tmp_path: Path) -> dict[str, Any]:
    """How a user types one: in a folder of their own, where the other model lies."""
    (tmp_path / "six").symlink_to(find_model(SIX))
    environment = os.environ | {"EMOBATCH_HOME": str(home.root), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return {"cwd": tmp_path, "env": environment, "text": True}


@pytest.fixture
def run(command: dict[str, Any]) -> Run:
    return lambda *words: subprocess.run([*EMOBATCH, *words], capture_output=True, timeout=120, **command)


@pytest.fixture
def up(command: dict[str, Any]) -> Iterator[None]:
    started = subprocess.Popen(
        [*EMOBATCH, "up", "--also-model", "./six"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **command,
    )
    try:
        assert started.stdout
        assert started.stdout.readline().startswith("emobatch is ready: ")
        yield
    finally:
        os.killpg(started.pid, signal.SIGINT)
        ended = started.wait(90)
    assert ended == 0


def scores(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["emotion"], row["emotion_score"]) for row in csv.DictReader(file)]


def test_each_job_is_labelled_by_the_model_it_names(up, run: Run, tmp_path: Path):
    # At once: its worker may still be starting, and then the job waits for it.
    asked = {"six.csv": ["--model", SIX], "own.csv": []}
    for name, options in asked.items():
        labelled = run("label", str(EXAMPLE), *options, "-o", name)
        assert labelled.returncode == 0, labelled.stderr
    jobs = json.loads(run("list", "--json").stdout)
    found = [(job["model_name"], job["model_version"], job["state"], job["rows_ok"]) for job in reversed(jobs)]
    manifests = [json.loads((find_model(name) / "emobatch.json").read_text()) for name in (SIX, None)]
    assert found == [(each["name"], each["version"], "completed", 295) for each in manifests]
    six, own = (scores(tmp_path / name) for name in asked)
    assert len(six) == len(own) == 300
    assert six != own
    assert sum(a == b for (a, _), (b, _) in zip(six, own, strict=True)) > 200, "two models of the same labels"
    give_up = time.monotonic() + 60
    while "only read" in (models := run("models").stdout):  # a starved worker was silent for a while
        assert time.monotonic() < give_up, models
    assert SIX in models


def test_a_model_that_is_not_there_is_told_before_anything_starts(run: Run, home: Home):
    refused = run("up", "--also-model", "nothing")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "No model directory is called 'nothing'" in refused.stderr
    assert leftovers.find(home) == {}
