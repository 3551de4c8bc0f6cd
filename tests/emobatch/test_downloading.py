"""Downloads that break: gone on with, in the same process and in the next, and never put together of two files."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BadOption, NotReady
from emobatch import cli
from emobatch.body import BLOCK
from emobatch.client import Client
from emobatch.downloading import KEPT
from emobatch.errors import ServerFailed, Unreachable
from emobatch.job import View
from emobatch.part import OVERLAP
from emobatch.retry import Patience
from tests.emobatch.fake_api import DROPPED, TOKEN, FakeApi, fake_api, problem

DATA = os.urandom(6_000_000)
CUT = 10 * BLOCK
JOB = "0f0f"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        api.result = DATA
        api.etag = '"one"'
        yield api


def connect(api: FakeApi, **patience: float) -> Client:
    """A client that has no patience, if nothing else is said."""
    given = {"known_s": 0, "stranger_s": 0, "tries": 1} | patience
    return Client(api.url, TOKEN, patience=Patience(**given), sleep=lambda _: None)


def ranges(api: FakeApi) -> list[str | None]:
    """What part each download asked for."""
    return [asked.headers.get("range") for asked in api.asked]


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(".emobatch-*"))


def broken(api: FakeApi, target: Path, cut: int = CUT, **options: object) -> None:
    """A process that gives up after `cut` bytes."""
    api.cuts = [cut, 0]
    with connect(api) as client, pytest.raises(Unreachable):
        client.download_to(JOB, target, **options)
    api.cuts.clear()


def from_byte(at: int) -> str:
    return f"bytes={at - OVERLAP}-"


def test_a_broken_download_goes_on_where_it_was(api, tmp_path):
    api.cuts = [CUT, 8 * BLOCK]
    seen = []
    with connect(api, known_s=60) as client:
        client.download_to(JOB, tmp_path / "out.csv", progress=lambda *now: seen.append(now))
    assert (tmp_path / "out.csv").read_bytes() == DATA
    assert ranges(api) == [None, from_byte(CUT), from_byte(CUT - OVERLAP + 8 * BLOCK)]
    assert api.asked[-1].headers["if-range"] == '"one"'
    assert api.asked[-1].headers["accept-encoding"] == "identity"
    assert seen[-1] == (len(DATA), len(DATA))
    assert parts(tmp_path) == []


def test_patience_begins_anew_when_more_has_come(api, tmp_path):
    api.cuts = [5 * BLOCK] * 4
    with connect(api) as client:
        client.download_to(JOB, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == DATA
    assert len(api.asked) == 5


def test_nobody_goes_on_for_ever_where_nothing_comes(api, tmp_path):
    api.cuts = [CUT] + [0] * 100
    with connect(api, tries=3) as client, pytest.raises(Unreachable):
        client.download_to(JOB, tmp_path / "out.csv")
    assert len(api.asked) == 4
    (part,) = parts(tmp_path)
    assert part.stat().st_size == CUT, "a connection that brings nothing takes nothing away"


def test_of_a_file_without_parts_each_try_is_a_new_one(api, tmp_path):
    api.etag = ""
    api.cuts = [CUT] * 3
    with connect(api, tries=2) as client, pytest.raises(Unreachable) as caught:
        client.download_to(JOB, tmp_path / "out.csv")
    assert ranges(api) == [None, None]
    assert KEPT not in str(caught.value)
    assert parts(tmp_path) == []


def test_another_process_goes_on_under_another_name_too(api, tmp_path):
    api.cuts = [CUT, 0]
    with connect(api) as client, pytest.raises(Unreachable) as caught:
        client.download_to(JOB, tmp_path / "out.csv")
    assert caught.value.next_step.endswith(KEPT)
    assert [path.stat().st_size for path in parts(tmp_path)] == [CUT]
    with connect(api) as client:
        assert client.download_to(JOB, tmp_path) == tmp_path / "reviews.labelled.csv"
    assert ranges(api) == [None, from_byte(CUT), from_byte(CUT)]
    assert [(path.name, path.read_bytes() == DATA) for path in tmp_path.iterdir()] == [("reviews.labelled.csv", True)]


def test_a_process_that_was_killed_is_gone_on_with(api, tmp_path):
    program = f"""
import os, signal
from pathlib import Path
from emobatch.client import Client
kill = lambda done, total: done > {CUT} and os.kill(os.getpid(), signal.SIGKILL)
Client({api.url!r}, {TOKEN!r}).download_to({JOB!r}, Path("out.csv"), progress=kill)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert ended.returncode == -signal.SIGKILL
    (part,) = parts(tmp_path)
    there = part.stat().st_size
    assert there > 1_000_000
    # The machine lost power, and with it what was written last.
    with part.open("r+b") as file:
        file.seek(there - OVERLAP)
        file.write(bytes(OVERLAP))
    with connect(api) as client:
        client.download_to(JOB, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == DATA
    assert ranges(api) == [None, from_byte(there)]
    assert parts(tmp_path) == []


def test_a_file_that_has_changed_is_taken_whole(api, tmp_path):
    broken(api, tmp_path)
    api.result, api.etag = DATA[::-1], '"two"'
    with connect(api) as client:
        client.download_to(JOB, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == DATA[::-1]
    assert parts(tmp_path) == []


def test_what_has_changed_and_broke_again_is_kept_as_what_it_is(api, tmp_path):
    broken(api, tmp_path)
    first = parts(tmp_path)
    api.result, api.etag = DATA[::-1], '"two"'
    broken(api, tmp_path)
    assert len(parts(tmp_path)) == 1
    assert parts(tmp_path) != first
    api.etag = ""  # and now one that cannot be gone on with
    broken(api, tmp_path)
    assert parts(tmp_path) == []


def test_other_downloads_of_a_job_are_other_files(api, tmp_path):
    broken(api, tmp_path)
    broken(api, tmp_path, view=View("sentiment"))
    broken(api, tmp_path, form="jsonl")
    assert [one for one in ranges(api) if one is None] == [None, None, None]
    assert len(parts(tmp_path)) == 3


@pytest.mark.parametrize("etag", ['W/"one"', '"../one"', '"' + "x" * 200 + '"', "one"])
def test_what_is_no_strong_tag_or_no_name_is_not_gone_on_with(api, tmp_path, etag):
    api.etag = etag
    broken(api, tmp_path)
    assert parts(tmp_path) == []


def test_little_is_not_kept(api, tmp_path):
    broken(api, tmp_path, cut=900_000)
    assert parts(tmp_path) == []


def test_a_part_that_another_process_adds_to_is_left_to_it(api, tmp_path):
    broken(api, tmp_path)
    (part,) = parts(tmp_path)
    with part.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with connect(api) as client:
            client.download_to(JOB, tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_bytes() == DATA
        broken(api, tmp_path)  # nor may this one take its name
        assert parts(tmp_path) == [part]
        assert os.path.samestat(part.stat(), os.fstat(file.fileno()))
    assert part.stat().st_size == CUT


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_its_place_leads_nowhere(api, tmp_path, link):
    """In a folder that others write to, it could lead to any file of the user's."""
    broken(api, tmp_path)
    (part,) = parts(tmp_path)
    treasure = tmp_path / "treasure"
    part.rename(treasure)
    link(treasure, part)
    before = treasure.read_bytes()
    with connect(api) as client:
        client.download_to(JOB, tmp_path / "out.csv")
    assert treasure.read_bytes() == before
    assert (tmp_path / "out.csv").read_bytes() == DATA
    assert ranges(api)[-1] is None


def test_a_refusal_leaves_nothing(api, tmp_path):
    broken(api, tmp_path)
    api.faults["results"] = [problem(409, "not_ready")]
    with connect(api) as client, pytest.raises(NotReady):
        client.download_to(JOB, tmp_path / "out.csv")
    assert parts(tmp_path) == []


def test_another_part_than_was_asked_for_is_no_answer(api, tmp_path):
    broken(api, tmp_path)
    answer = api._results

    def shifted(asked, job_id):
        given = answer(asked, job_id)
        given.headers["Content-Range"] = f"bytes 0-{len(DATA) - 1}/{len(DATA)}"
        return given

    api._results = shifted
    with connect(api) as client, pytest.raises(ServerFailed, match="another part"):
        client.download_to(JOB, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told(api, tmp_path):
    with connect(api) as client, pytest.raises(BadOption, match="cannot be written"):
        client.download_to(JOB, tmp_path / "missing" / "out.csv")


def test_a_pipe_goes_on_within_its_process(api, tmp_path, capfdbinary):
    api.cuts = [CUT]
    assert cli.main(["download", JOB, "-o", "-", "--server", api.url, "--token", TOKEN]) == 0
    assert capfdbinary.readouterr().out == DATA
    assert ranges(api) == [None, from_byte(CUT)]


def test_ctrl_c_keeps_what_has_come_and_says_so(api, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def interrupt(done: int, total: int) -> None:
        if done > CUT:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("emobatch.progress.bytes_figures", interrupt)
        assert cli.main(["download", JOB, "--server", api.url, "--token", TOKEN]) == 130
    assert f"Interrupted. {KEPT}" in capfd.readouterr().err
    assert len(parts(tmp_path)) == 1
    api.faults["results"] = [DROPPED]
    assert cli.main(["download", JOB, "--server", api.url, "--token", TOKEN]) == 0
    assert ranges(api)[1:] == [ranges(api)[1]] * 2
    assert (tmp_path / "reviews.labelled.csv").read_bytes() == DATA
