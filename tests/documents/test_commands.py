"""Every command in the documents is run, or, where it takes a GPU, Docker, root or hours, checked.

Run are those of the client and of curl, one after another on a real local stack, in a folder with the files they name.
`emobatch up` and `make` are what CI itself does first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emobatch import stack
from emobatch.client import Client
from tests.documents.checks import Wrong, check, split
from tests.documents.extract import ROOT, Command, commands, documents

ALL = [command for path in documents() for command in commands(path)]
RUN = {"emobatch", "curl", "head"}
SERVES = {"up"}
"""They do not end by themselves."""


def is_run(command: Command) -> bool:
    first = next((part for part in split(command.text) if part), [""])
    return not command.not_run and first[0] in RUN and not SERVES & set(first[:2])


def test_there_are_commands():
    assert len({command.file for command in ALL}) >= 3
    assert sum(map(is_run, ALL)) >= 8


@pytest.mark.parametrize("command", ALL, ids=str)
def test_a_command_is_what_it_says(command):
    try:
        check(command.text)
    except Wrong as wrong:
        pytest.fail(f"{command}\n{wrong}", pytrace=False)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("make nothing", "no target 'nothing'"),
        ("make train COLOUR=red", "no variable COLOUR"),
        ("emobatch label x.csv --shiny", "no option --shiny"),
        ("emobatch admin polish", "no command 'polish'"),
        ("python -m tests.nothing", "no module"),
        ("python -m migrations.run --fast upgrade", "no option --fast"),
        ("docker compose --profile fast up", "no profile 'fast'"),
        ("docker compose up --scale cook=4", "no service 'cook'"),
        ("export EMOBATCH_COLOUR=red", "no setting"),
        ("pip install 'emobatch[everything]'", "no extra"),
        ("frobnicate --all", "no program that this test knows"),
        ("head -c 5 x.csv | emobatch lable -", "no command 'lable'"),
    ],
)
def test_a_wrong_command_is_noticed(text, wrong):
    with pytest.raises(Wrong, match=wrong):
        check(text)


def test_commands_are_found_as_they_stand():
    text = (
        "```sh\nmake demo   # says 'hello'\n\ncurl 'http://x/#a' \\\n     -o y\ncurl --json '{\n  \"a\": 1}' z\n```\n\n"
        "```text\nno command\n```\n<!-- not run: takes hours -->\n```sh\nmake soak\n```\n"
    )
    spread = (6, "curl --json '{\n  \"a\": 1}' z", "")
    found = [(c.line, c.text, c.not_run) for c in commands(Path("x.md"), text)]
    assert found == [
        (2, "make demo", ""),
        (4, "curl 'http://x/#a'       -o y", ""),
        spread,
        (15, "make soak", "takes hours"),
    ]


@pytest.fixture(scope="module")
def ground(local_stack: stack.RunningStack, local_home: Path, tmp_path_factory: pytest.TempPathFactory):
    """A folder as a reader's, and the environment of a shell in it."""
    folder = tmp_path_factory.mktemp("reader")
    lines = (ROOT / "examples" / "reviews.csv").read_text().splitlines(keepends=True)
    (folder / "reviews.csv").write_text("".join(lines[:20]).replace("text", "body", 1))
    (folder / "survey.csv").write_bytes("Nr;Antwort\n1;Schön, danke\n2;Leider nicht gut\n".encode("cp1252"))
    programs = folder / ".bin"
    programs.mkdir()
    for name, line in {
        "emobatch": f'exec {sys.executable} -m emobatch.cli "$@"',
        "curl": f'exec {shutil.which("curl")} --fail-with-body --silent --show-error "$@"',
        "uuidgen": f"exec {sys.executable} -c 'import uuid; print(uuid.uuid4())'",
        "less": "exec cat",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    address = local_stack.address
    with Client(address.url, address.token) as client:
        job = client.create_job(folder / "reviews.csv")
        client.wait(job.id)
    return folder, os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "EMOBATCH_HOME": str(local_home),
        "URL": address.url,
        "TOKEN": address.token,
        "ID": str(job.id),
        "JOB": str(job.id),
        "NO_COLOR": "1",
    }


@pytest.mark.parametrize("command", [command for command in ALL if is_run(command)], ids=str)
def test_a_command_works(command, ground):
    folder, environment = ground
    if "curl" in command.text and not shutil.which("curl"):
        pytest.skip("needs curl")
    text = command.text.replace(" JOB", " $JOB")
    shell = ["bash", "-o", "pipefail", "-c", text]  # what comes before a pipe must work, too
    ran = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
