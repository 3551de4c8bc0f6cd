"""A whole stack, from its start over a job to its end, reaches for nobody but itself: no library reports its use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from emobatch import stack
from emobatch.client import Client

# Python imports this in every process of the stack; what C libraries do beside it, it does not see.
WATCH = """
import json, os, sys
def note(event, arguments):
    if event == "socket.connect":
        place = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        place = arguments[:1]
    else:
        return
    if not isinstance(place, (str, bytes)):
        with open(os.environ["REACHED"], "a") as file:
            file.write(json.dumps([" ".join(sys.orig_argv), str(place[0])]) + "\\n")
sys.addaudithook(note)
"""

HERE = ("127.0.0.1", "::1", "localhost")


def test_a_stack_reaches_for_nobody_but_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch/sitecustomize.py").write_text(WATCH)
    (tmp_path / "user").mkdir()
    (tmp_path / "reviews.csv").write_text("id,words\n" + "".join(f"{n},what a lovely day {n}\n" for n in range(300)))
    for name in [name for name in os.environ if name == "CI" or name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)  # libraries that report their use are silent there
    monkeypatch.setenv("REACHED", str(tmp_path / "reached"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "watch"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("EMOBATCH_CACHE_DIR", str(tmp_path / "cache"))
    with stack.start(tmp_path / "home", quiet=True) as running, Client(running.url, running.token) as client:
        job = client.wait(client.create_job(tmp_path / "reviews.csv", text_column="words").id)
        assert job.rows_ok == 300
        assert client.classify(["fine"])
    reached = [json.loads(line) for line in (tmp_path / "reached").read_text().splitlines()]
    assert [command for command, _ in reached if "celery" in command]  # it does watch
    assert [(command, host) for command, host in reached if host not in HERE] == []
    assert list((tmp_path / "user").iterdir()) == []
