"""The command line: what goes to stdout and to stderr, exit codes, and where the result lands."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import Unavailable
from emobatch import cli, local
from emobatch.job import View
from emobatch.options import download_words
from emobatch.output import Output
from emobatch.stack import RunningStack
from emobatch.stack.home import Address
from tests.emobatch.fake_api import DROPPED, TOKEN, Answer, FakeApi, fake_api, problem

CSV = b"id,text\n1,fine\n2,awful\n"
RESULT = b"text,emotion\r\nfine,joy\r\n"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


@pytest.fixture
def csv_file(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "reviews.csv"
    path.write_bytes(CSV)
    return path


@dataclass
class Ran:
    code: int
    out: bytes
    err: str


@pytest.fixture
def run(api, capfdbinary, monkeypatch, tmp_path) -> Callable[..., Ran]:
    """Runs a command line against the fake server."""
    monkeypatch.setenv("EMOBATCH_SERVER", api.url)
    monkeypatch.setenv("EMOBATCH_TOKEN", TOKEN)
    monkeypatch.setenv("EMOBATCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EMOBATCH_DEBUG", raising=False)

    def run(*words: str | Path) -> Ran:
        code = cli.main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Ran(code, out, err.decode())

    return run


def test_a_file_is_labelled_beside_itself_and_stdout_stays_empty(api, run, csv_file):
    ran = run("label", csv_file)
    assert (ran.code, ran.out) == (0, b"")
    assert csv_file.with_name("reviews.labelled.csv").read_bytes() == RESULT
    assert csv_file.read_bytes() == CSV
    (job_id,) = api.jobs
    said = ran.err.splitlines()
    assert said[:5] == [
        "rows    2: 2 ok, 0 skipped (empty), 0 failed",
        "labels  joy 2",
        "read as utf-8, comma, header",
        "text    column 'text' (number 2), guessed because its name says so",
        "model   small 1.2.0, null",
    ]
    assert said[5].startswith("time    ")
    assert said[5].endswith("2.5 s of it labelling (0.8 rows/s)")
    assert said[6:] == [f"job     {job_id}", f"output  {csv_file.with_name('reviews.labelled.csv')}"]


def test_every_option_reaches_the_server(api, run, csv_file):
    reading = ("--text-column", "2", "--delimiter", r"\t", "--encoding", "cp1252", "--no-header", "--no-quoting")
    reading += ("--model", "small@1.0.0")
    view = ("--taxonomy", "sentiment", "--threshold", "0.25", "--scores", "all", "--output-encoding", "same")
    assert run("label", csv_file, "-o", "out.csv", *reading, *view).code == 0
    created = next(asked for asked in api.asked if asked.method == "POST")
    assert created.query == {
        "filename": "reviews.csv",
        "text_column": "2",
        "delimiter": r"\t",
        "encoding": "cp1252",
        "header": "no",
        "quoting": "no",
        "model": "small@1.0.0",
    }
    assert api.asked[-1].query == {
        "taxonomy": "sentiment",
        "threshold": "0.25",
        "scores": "all",
        "output_encoding": "same",
    }
    assert Path("out.csv").read_bytes() == RESULT


def test_auto_is_no_threshold(api, run, csv_file):
    assert run("label", csv_file, "--threshold", "auto").code == 0
    assert api.asked[-1].query == {}


def test_to_stdout_goes_the_file_and_nothing_else(run, csv_file):
    ran = run("label", csv_file, "-o", "-")
    assert (ran.code, ran.out) == (0, RESULT)
    assert "written to a stream" in ran.err
    assert sorted(path.name for path in csv_file.parent.iterdir()) == ["reviews.csv"]


def test_stdout_gets_nothing_of_a_download_that_breaks(api, run, csv_file):
    api.faults["results"] = [Answer(200, RESULT, cut=5), problem(500, "internal_server_error")]
    ran = run("label", csv_file, "-o", "-")
    assert (ran.code, ran.out) == (1, b"")


def test_stdin_is_labelled_to_stdout(api, run, csv_file, monkeypatch):
    with csv_file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        api.faults["create"] = [DROPPED]  # It can be sent again, though a pipe can be read only once.
        ran = run("label", "-")
    assert (ran.code, ran.out) == (0, RESULT)
    assert [asked.body for asked in api.asked if asked.method == "POST"] == [CSV, CSV]
    assert api.asked[0].query["filename"] == "stdin.csv"


def test_a_gzipped_file_is_sent_as_it_is(api, run, csv_file):
    packed = csv_file.with_name("reviews.csv.gz")
    packed.write_bytes(gzip.compress(CSV) + b"\n\n")
    assert run("label", packed).code == 0
    assert api.asked[0].body == packed.read_bytes()
    assert csv_file.with_name("reviews.labelled.csv").exists()


def test_rows_that_failed_are_named_and_give_3(api, run, csv_file):
    api.changes = {"rows_ok": 1, "rows_failed": 1}
    api.states = ["completed_with_errors"]
    ran = run("label", csv_file)
    assert ran.code == 3
    assert "rows    2: 1 ok, 0 skipped (empty), 1 failed\n" in ran.err
    assert "failed  data row 5 (file line 7): crashed the model\n" in ran.err
    assert f"to fix  emobatch failed {next(iter(api.jobs))} --server {api.url}\n" in ran.err
    assert csv_file.with_name("reviews.labelled.csv").exists()


def test_json_is_the_summary_for_programs(api, run, csv_file):
    ran = run("label", csv_file, "--json")
    found = json.loads(ran.out)
    assert found["job"]["id"] in api.jobs
    assert found["job"]["rows_ok"] == 2
    assert found["output"] == str(csv_file.with_name("reviews.labelled.csv"))
    assert found["failed_rows"] == []
    assert run("label", csv_file, "--json", "-o", "-").code == 2


MISTAKES = [
    (("label", "missing.csv"), "'missing.csv' does not exist"),
    (("label", "."), "is a directory"),
    (("label",), "Missing argument 'IN.csv'"),
    (("label", "reviews.csv", "--threshold", "1.5"), "'1.5' is neither a number from 0 to 1 nor auto"),
    (("label", "reviews.csv", "--threshold", "nan"), "'nan' is neither a number from 0 to 1 nor auto"),
    (("label", "reviews.csv", "--taxonomy", "plutchik"), "There is no such taxonomy"),
    (("label", "reviews.csv", "--scores", "some"), "'some' is not one of"),
    (("label", "reviews.csv", "-o", "reviews.csv"), "The output would overwrite the input"),
    (("label", "reviews.csv", "-o", "no/folder/out.csv"), "There is no folder"),
    (("label", "reviews.csv", "--server", "localhost:80"), "'localhost:80' is not the address of a server"),
    (("label", "reviews.csv", "--token", "wrong"), "The token or API key is not valid"),
    (("status", "nothing"), "There is no such job"),
    (("download", "x", "--format", "jsonl", "--output-encoding", "same"), "one encoding"),
    (("list", "--limit", "0"), "0 is not in the range"),
    (("lable", "reviews.csv"), "No such command 'lable'"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_told_and_gives_2(api, run, csv_file, words, said):
    ran = run(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not api.jobs
    assert csv_file.read_bytes() == CSV


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(422, "no_text_column"), 2),
        (problem(413, "limit_exceeded"), 2),
        (problem(500, "upload_damaged"), 1),
        (problem(500, "internal_server_error"), 1),
        (Answer(200, b"<html>", {"Content-Type": "text/html"}), 1),
        (Answer(200, b"null", {"Content-Type": "application/json"}), 1),
    ],
)
def test_whose_fault_it_was_decides_the_code(api, run, csv_file, answer, code):
    api.faults["create"] = [answer]
    ran = run("label", csv_file)
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.startswith("Error: ")


def test_an_error_in_the_file_says_what_where_and_what_next(api, run, csv_file):
    place = {"row": 7, "line": 9, "column": "text", "next_step": "Close it."}
    api.faults["create"] = [problem(422, "unclosed_quote", "The file ends inside quotes.", **place)]
    assert run("label", csv_file).err == (
        "Error: The file ends inside quotes.\n"
        "  where reviews.csv, data row 7 (file line 9), column 'text'\n"
        "  next  Close it.\n"
    )


@pytest.mark.parametrize(
    ("state", "error", "code", "said"),
    [
        (
            "failed",
            {"code": "unclosed_quote", "what": "It ends inside quotes.", "line": 3},
            2,
            "reviews.csv, file line 3",
        ),
        ("failed", {"code": "something_new", "what": "The model is broken."}, 1, "The model is broken."),
        ("failed", None, 1, "is failed and has no result"),
        ("cancelled", None, 1, "is cancelled and has no result"),
        ("expired", None, 1, "is expired and has no result"),
    ],
)
def test_a_job_without_a_result_leaves_no_file(api, run, csv_file, state, error, code, said):
    api.states = [state]
    api.changes = {"error": error}
    ran = run("label", csv_file)
    assert ran.code == code
    assert said in ran.err
    assert sorted(path.name for path in csv_file.parent.iterdir()) == ["reviews.csv"]


def test_warnings_are_sentences_with_their_places(api, run, csv_file):
    api.changes = {
        "warnings": [
            {"code": "a", "message": "The encoding is a guess.", "row": None, "line": None, "count": 1},
            {"code": "b", "message": "Too many cells.", "row": 7, "line": 9, "count": 1},
            {"code": "c", "message": "Too few cells.", "row": None, "line": 9, "count": 1200},
        ]
    }
    said = [line for line in run("label", csv_file).err.splitlines() if line.startswith("warning")]
    assert said == [
        "warning The encoding is a guess.",
        "warning data row 7 (file line 9): Too many cells.",
        "warning 1,200 times, first at file line 9: Too few cells.",
    ]


# --- the other commands -----------------------------------------------------------------------------------------------


@pytest.fixture
def job_id(api, run, csv_file) -> str:
    api.states = ["running"]
    api.jobs["4f0c"] = {"id": "4f0c", "filename": "ünï.csv", "bytes": 9, "rows": 40, "looks": 0, "cancelled": False}
    return "4f0c"


@pytest.mark.parametrize("group", [(), ("admin",), ("webhooks",)])
def test_what_a_command_is_for_stands_on_one_line(run, group):
    commands = run(*group, "--help").out.decode().partition("Commands:\n")[2].splitlines()
    assert len(commands) > 5
    assert [line for line in commands if line.endswith("...") or len(line) > 79 or not line.startswith("  ")] == []


def test_status_goes_to_stdout(run, job_id):
    ran = run("status", job_id)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().splitlines()[:4] == [
        "job     4f0c",
        "file    ünï.csv",
        "state   running",
        "so far  0 of 40 rows, 12 rows/s, 2.0 s to 4.0 s left",
    ]
    assert json.loads(run("status", job_id, "--json").out)["state"] == "running"


def test_list_is_a_table_with_whole_ids(api, run, job_id):
    ran = run("list")
    assert (ran.code, ran.err) == (0, "")
    head, row = ran.out.decode().splitlines()
    assert head.split() == ["JOB", "STATE", "ROWS", "CREATED", "FILE"]
    assert row.split()[:3] == ["4f0c", "running", "0/40"]
    assert row.endswith("ünï.csv")
    assert [job["id"] for job in json.loads(run("list", "--json").out)] == ["4f0c"]


def test_models_are_a_table_that_says_which_can_label(run):
    head, own, old = run("models").out.decode().splitlines()
    assert head.split() == ["MODEL", "VERSION", "HASH", "WORKERS"]
    assert own.split() == ["small", "1.1.0", "a" * 12, "2", "default"]
    assert old.split() == ["small", "1.0.0", "b" * 12, "0", "only", "read"]
    assert len(json.loads(run("models", "--json").out)) == 2


def test_a_job_again_and_compared(api, run, job_id):
    api.states = ["completed"]
    ran = run("again", job_id, "--model", "small@1.0.0")
    assert (ran.code, ran.out.decode().splitlines()[0]) == (0, "job     4f0c-again")
    lines = run("compare", job_id, "4f0c-again").out.decode().splitlines()
    assert lines[0] == "40 rows labelled by both: 97.5% the same, 1 changed."
    assert lines[1].split() == ["joy", "->", "neutral", "1"]
    assert lines[2] == "row 7  joy -> neutral  fine, I guess"


def test_a_download_is_named_by_the_server(run, job_id):
    ran = run("download", job_id, "--taxonomy", "goemotions")
    assert (ran.code, ran.out) == (0, b"")
    assert Path("reviews.labelled.csv").read_bytes() == RESULT
    assert "Wrote" in ran.err
    assert run("download", job_id, "-o", "-").out == RESULT


def test_a_download_has_what_it_is_asked_for(api, run, job_id):
    assert run("download", job_id, "-o", "x.csv", "--corrections", "--partial", "--output-encoding", "same").code == 0
    assert api.asked[-1].query == {"output_encoding": "same", "partial": "yes", "corrections": "yes"}


def test_a_download_that_is_not_ready_gives_2(api, run, job_id):
    api.faults["results"] = [problem(409, "not_ready", "The job is not finished.", next_step="Wait for it.")]
    ran = run("download", job_id)
    assert ran.code == 2
    assert ran.err == "Error: The job is not finished.\n  next  Wait for it.\n"


def test_a_job_is_cancelled(api, run, job_id):
    ran = run("cancel", job_id)
    assert (ran.code, ran.out) == (0, b"")
    assert "state   cancelled" in ran.err
    assert api.jobs[job_id]["cancelled"]


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@contextmanager
def labelling(api: FakeApi, csv_file: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A `label` in a process of its own, with a job that is never done."""
    api.states = ["running"]
    where = ["--server", api.url, "--token", TOKEN]
    command = [sys.executable, "-m", "emobatch.cli", "label", str(csv_file), *where, *options]
    root = Path(cli.__file__).parents[1]
    process = subprocess.Popen(
        command,
        cwd=root,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a run in the background has it ignored
    )
    try:
        until(lambda: api.jobs and next(iter(api.jobs.values()))["looks"] > 1)
        yield process
    finally:
        process.kill()
        process.communicate()


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_cancels_the_job_and_says_so(api, csv_file):
    with labelling(api, csv_file) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "Cancelled: 0 of 2 rows were labelled."
    assert next(iter(api.jobs.values()))["cancelled"]


def test_ctrl_c_twice_leaves_the_job_and_says_how_to_come_back(api, csv_file):
    with labelling(api, csv_file) as process:
        api.faults["cancel"] = [DROPPED] * 1000
        process.send_signal(signal.SIGINT)
        until(lambda: api.count("POST", "/cancel"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    (job_id,) = api.jobs
    assert process.returncode == 130
    assert err.splitlines()[-1].endswith(f"emobatch status {job_id} --server {api.url}")
    assert "Traceback" not in err


def test_what_is_typed_after_ctrl_c_gets_the_file_that_was_asked_for(api, csv_file):
    api.changes = {"rows_ok": 1, "rows_failed": 1}
    out = csv_file.with_name("fine output.xlsx")
    asked = ["--taxonomy", "sentiment", "--threshold", "0", "--scores", "all", "-o", str(out)]
    with labelling(api, csv_file, *asked) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    said = err.splitlines()[-1]
    assert said.startswith("Cancelled: 1 of 2 rows were labelled. To get them: emobatch download ")
    (job_id,) = api.jobs
    typed = shlex.split(said.partition("them: ")[2])
    context = cli.download.make_context("download", typed[2:])
    assert typed[2] == job_id
    assert [context.params[name] for name in ("taxonomy", "threshold", "scores", "output", "form")] == [
        *("sentiment", 0.0, "all", out, None)
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((View(), "csv", None, Output(Path())), []),
        ((View(), "csv", "same", Output(None)), ["--output-encoding", "same", "-o", "-"]),
        ((View(threshold=0.5), "jsonl", None, Output(Path())), ["--threshold", "0.5", "--format", "jsonl"]),
        ((View(), "csv", None, Output(Path("/tmp/a.jsonl"))), ["--format", "csv", "-o", "/tmp/a.jsonl"]),
    ],
)
def test_only_what_is_not_so_anyway_is_typed(options, words):
    assert download_words(*options) == words


def test_sigterm_ends_it_quietly(api, csv_file):
    with labelling(api, csv_file) as process:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err
    assert not next(iter(api.jobs.values()))["cancelled"]


# --- what nobody foresaw ----------------------------------------------------------------------------------------------


def test_an_unforeseen_error_is_one_line_and_a_log(run, csv_file, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "label", lambda *_: 1 / 0)
    ran = run("label", csv_file)
    log = tmp_path / "home" / "logs" / "cli.log"
    assert ran.code == 1
    assert ran.err == (
        f"Error: ZeroDivisionError: division by zero. This is a fault of emobatch. The details are in {log}.\n"
    )
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("asked", ["--debug", "EMOBATCH_DEBUG"])
def test_who_asks_gets_the_traceback(run, csv_file, monkeypatch, asked):
    monkeypatch.setattr(cli, "label", lambda *_: 1 / 0)
    words = ["label", csv_file]
    if asked == "--debug":
        words.insert(0, asked)
    else:
        monkeypatch.setenv(asked, "1")
    with pytest.raises(ZeroDivisionError):
        run(*words)


def test_a_full_disk_is_said_in_the_systems_words(run, csv_file, monkeypatch):
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    ran = run("label", csv_file)
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "Error: No space left on device.")
    assert sorted(path.name for path in csv_file.parent.iterdir()) == ["reviews.csv"]


# --- the local stack --------------------------------------------------------------------------------------------------


@pytest.fixture
def no_server(run, monkeypatch) -> None:
    monkeypatch.delenv("EMOBATCH_SERVER")
    monkeypatch.delenv("EMOBATCH_TOKEN")


def test_a_stack_is_started_for_the_file_and_stopped(api, run, no_server, csv_file, monkeypatch):
    seen: list[str] = []

    @contextmanager
    def start() -> Iterator[RunningStack]:
        seen.append("started")
        yield RunningStack(Address(api.url, TOKEN), stop=lambda: None)
        seen.append("stopped")

    monkeypatch.setattr(local, "start", start)
    ran = run("label", csv_file)
    assert (ran.code, ran.out) == (0, b"")
    assert seen == ["started", "stopped"]
    assert ran.err.splitlines()[0] == "Starting the local stack ..."
    assert ran.err.splitlines()[-1] == "Stopping the local stack ..."


def test_without_the_extra_it_says_what_to_install(run, no_server, csv_file, monkeypatch):
    monkeypatch.setattr(local, "find_spec", lambda name: None if name == "celery" else object())
    for words in (("label", csv_file), ("list",), ("up",)):
        ran = run(*words)
        assert ran.code == 2
        assert "pip install 'emobatch[local]'" in ran.err


def test_without_a_stack_there_are_no_jobs(run, no_server, csv_file, tmp_path):
    ran = run("status", "4f0c")
    assert ran.code == 2
    assert f"There are no jobs in {tmp_path / 'home'}" in ran.err
    assert not (tmp_path / "home").exists()


def test_a_stack_that_does_not_start_gives_1(run, no_server, csv_file, monkeypatch):
    @contextmanager
    def start() -> Iterator[RunningStack]:
        raise Unavailable("postgres did not answer within 60 seconds.", next_step="Try again.")
        yield

    monkeypatch.setattr(local, "start", start)
    ran = run("label", csv_file)
    assert ran.code == 1
    assert ran.err.splitlines()[1:] == ["Error: postgres did not answer within 60 seconds.", "  next  Try again."]


def test_up_gives_its_options_to_the_stack_as_settings(run, monkeypatch):
    monkeypatch.setattr("emobatch.stack.serve", lambda: int(os.environ["EMOBATCH_PORT"] != "8123"))
    monkeypatch.setenv("EMOBATCH_PORT", "1")
    assert run("up", "--port", "8123").code == 0
