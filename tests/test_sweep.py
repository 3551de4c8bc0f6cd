"""The search at the end of a run finds a secret wherever one could be kept, and says so without showing it."""

from __future__ import annotations

import base64
import random
import secrets
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
from flask import Flask, Response

from core import accounts, passwords, webhooks
from core.models import DEFAULT_ACCOUNT_ID
from emobatch.stack.home import Home
from emobatch.stack.postgres import DATABASE
from tests.issued import Issued
from tests.needles import BLOCK, SHORTEST, Needles
from tests.servers import fresh_database
from tests.sweep import Sweep

ROOT = Path(__file__).parents[1]


# --- finding ----------------------------------------------------------------------------------------------------------


def test_many_needles_are_found_wherever_they_begin_and_nothing_else_is():
    dice = random.Random(1)
    needles = [dice.randbytes(dice.randint(SHORTEST, 60)) for _ in range(5_000)]
    absent, present = needles[:4_000], needles[4_000:]
    data = b"".join(dice.randbytes(dice.randint(0, 300)) + needle for needle in present)
    # The beginning of one that is absent, and one end right behind another.
    data += absent[0][:-1] + present[0] + present[0]
    assert sorted(Needles(needles).in_bytes(data)) == sorted([*present, present[0], present[0]])


@pytest.mark.parametrize("size", range(SHORTEST + 8))
def test_short_data(size):
    needle = b"abcdefghijkl"
    found = list(Needles([needle]).in_bytes((b"x" * size + needle)[-max(size, 1) :]))
    assert found == ([needle] if size >= SHORTEST else [])


def test_across_the_edge_of_blocks_each_is_found_once(tmp_path):
    needles = [secrets.token_bytes(SHORTEST), secrets.token_bytes(44)]
    for before in (1, 5, 11, 12, 43, 44):
        for needle in needles:
            (tmp_path / "data").write_bytes(bytes(BLOCK - before) + needle + bytes(100))
            with (tmp_path / "data").open("rb") as stream:
                assert list(Needles(needles).in_stream(stream)) == [needle], before


def test_nothing_to_look_for():
    assert list(Needles([]).in_bytes(bytes(100))) == []
    with pytest.raises(ValueError, match="too few"):
        Needles([b"short"])


# --- places -----------------------------------------------------------------------------------------------------------

PLACES = {
    "a row": "Postgres, emobatch, table planted",
    "a row too long to be kept as it is": "Postgres, emobatch, table planted",
    "another database": "Postgres, test_",
    "a dropped database": "postgres/",
    "a truncated table": "postgres/",
    "a column of bytes": "postgres/",
    "a string": ": Redis",
    "a key": ": Redis",
    "a list": ": Redis",
    "a set": ": Redis",
    "a hash": ": Redis",
    "a sorted set": ": Redis",
    "a stream": ": Redis",
    "a deleted key": "redis/",
    "a log": "logs/web.log",
    "storage": "storage/ab/upload",
    "a spool": "spool/part",
    "a secret cut short": "logs/cut.log",
}


@pytest.fixture(scope="module")
def planted(servers, servers_home, postgres, redis_url) -> Sweep:
    """A search after a secret of its own was put into each of `PLACES`; as kind it has the place's name."""
    issued, secret = Issued(), {name: secrets.token_urlsafe(32) for name in PLACES}
    for name, value in secret.items():
        issued.note(name, value)
    with psycopg.connect(postgres.url_of(DATABASE), autocommit=True) as connection:
        connection.execute("CREATE TABLE planted (value text, raw bytea)")
        connection.execute("INSERT INTO planted VALUES (%s)", [secret["a truncated table"]])
        connection.execute("TRUNCATE planted")
        connection.execute(
            "INSERT INTO planted VALUES (%s, %s)", [secret["a row"], secret["a column of bytes"].encode()]
        )
        long = "all alike " * 10_000 + secret["a row too long to be kept as it is"]
        connection.execute("INSERT INTO planted VALUES (%s)", [long])
    with fresh_database(postgres) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE gone AS SELECT %s AS value", [secret["a dropped database"]])
    with redis.Redis.from_url(redis_url) as client:
        client.set("planted:string", secret["a string"])
        client.set(f"planted:{secret['a key']}", 1)
        client.rpush("planted:list", "x", secret["a list"])
        client.sadd("planted:set", secret["a set"])
        client.hset("planted:hash", "field", secret["a hash"])
        client.zadd("planted:sorted", {secret["a sorted set"]: 1})
        client.xadd("planted:stream", {"field": secret["a stream"]})
        client.set("planted:gone", secret["a deleted key"])
        client.delete("planted:gone")
        client.config_set("appendfsync", "always")
        client.set("planted:last", 1)
        client.config_set("appendfsync", "everysec")
    written = {
        "logs/web.log": secret["a log"],
        "storage/ab/upload": secret["storage"],
        "spool/part": secret["a spool"],
        "logs/cut.log": secret["a secret cut short"][:20],
    }
    for path, value in written.items():
        (servers_home / path).parent.mkdir(parents=True, exist_ok=True)
        (servers_home / path).write_text(f"and there is {value} in it")
    sweep = Sweep(issued)
    with fresh_database(postgres) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE elsewhere AS SELECT %s AS value", [secret["another database"]])
        sweep.run(servers_home)
    with psycopg.connect(postgres.url_of(DATABASE), autocommit=True) as connection:
        connection.execute("DROP TABLE planted")
    with redis.Redis.from_url(redis_url) as client:
        client.delete(*client.keys("planted:*"))
    for path in written:
        (servers_home / path).unlink()
    assert not [value for value in secret.values() if value[:SHORTEST] in " ".join(sweep.complaints())]
    return sweep


@pytest.mark.parametrize("name", PLACES)
def test_found_in(planted, name):
    places = [place for kind, place, _ in planted.found if kind == name]
    assert any(PLACES[name] in place for place in places), places


def test_a_write_ahead_log_is_kept_from_the_first_on(servers_home, postgres):
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        for _ in range(3):
            connection.execute("CREATE TABLE filler ()")
            connection.execute("DROP TABLE filler")
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")
    assert (servers_home / "postgres/pg_wal/000000010000000000000001").exists()


def test_in_data_directories_elsewhere(tmp_path):
    home, issued, secret = Home(tmp_path / "elsewhere"), Issued(), secrets.token_urlsafe(32)
    home.create()
    issued.homes.add(home)
    issued.note("API key", secret)
    (home.logs / "web.log").write_text(secret)
    (tmp_path / "base").mkdir()
    sweep = Sweep(issued)
    sweep.run(tmp_path / "base")
    assert [place for _, place, _ in sweep.found] == ["../elsewhere/logs/web.log"]


# --- what is written down ---------------------------------------------------------------------------------------------


def marked(issued: Issued, secret: str, kind: str) -> bool:
    """Whether a secret will be looked for."""
    found = [issued.marks.get(mark) for mark in (secret.encode(), secret.encode()[:SHORTEST])]
    return kind in [kept[0] for kept in found if kept]


def test_a_key_that_is_issued(issued, installation):
    with installation.db.transaction() as session:
        key = accounts.issue_key(session, installation.settings, DEFAULT_ACCOUNT_ID, "for the sweep")
    assert marked(issued, key.split("_", 2)[2], "API key")


def test_passwords_that_are_made_and_set(issued):
    made, chosen = passwords.generate(), f"chosen {secrets.token_hex(4)}"
    passwords.hash_password(chosen)
    assert marked(issued, made, "password")
    assert chosen.encode() in issued.marks
    assert chosen.encode()[:SHORTEST] not in issued.marks


def test_a_webhooks_secret_as_text_and_as_bytes(issued, settings):
    secret = webhooks.secret_of(settings, DEFAULT_ACCOUNT_ID, 1).removeprefix("whsec_")
    assert marked(issued, secret, "webhook's secret")
    assert base64.b64decode(secret) in issued.marks


def test_a_session_that_begins_in_process(issued):
    app, signature = Flask(__name__), secrets.token_urlsafe(20)
    with app.app_context():
        Response().set_cookie("emobatch_0123abcd", f"eyJpZCI6IjEifQ.aaaaaa.{signature}")
        Response().set_cookie("another", f"eyJpZCI6IjEifQ.bbbbbb.{signature[::-1]}")
    assert marked(issued, signature, "session cookie")
    assert not marked(issued, signature[::-1], "session cookie")


def test_what_a_server_answers(issued):
    key, hook, signature = secrets.token_urlsafe(32), base64.b64encode(secrets.token_bytes(32)).decode(), "s" * 5
    signature += secrets.token_urlsafe(20)
    answer = {"key": f"emo_{'a' * 32}_{key}", "secret": f"whsec_{hook}"}
    cookie = {"Set-Cookie": f"emobatch_0123abcd=eyJpZCI6IjEifQ.aaaaaa.{signature}; Path=/"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=cookie, json=answer))
    with httpx.Client(transport=transport) as client:
        client.post("http://emobatch.test/")
    assert marked(issued, key, "API key")
    assert marked(issued, hook, "webhook's secret")
    assert marked(issued, signature, "session cookie")


def test_what_a_command_prints(issued):
    key, password = secrets.token_urlsafe(32), "abcde-fghjk-mnpqr-" + secrets.choice("stuvw") * 5
    said = f"emo_{'b' * 32}_{key}\\n{password}"
    subprocess.run([sys.executable, "-c", f"print('{said}')"], capture_output=True, check=True)
    assert marked(issued, key, "API key")
    assert marked(issued, password, "password")


# --- whole runs -------------------------------------------------------------------------------------------------------


def run(folder: Path, tests: str, *options: str) -> tuple[int, str]:
    """Runs pytest over some tests, with the plugin; its exit status and what it says."""
    (folder / "test_it.py").write_text("from core import passwords\n" + textwrap.dedent(tests))
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.sweep", f"--basetemp={folder / 'base'}", *options]
    done = subprocess.run(
        [*command, str(folder), "--rootdir", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


LEAKS = """
    def test_leaks(tmp_path):
        (tmp_path / "web.log").write_text(passwords.generate())
    """


@pytest.mark.parametrize("options", [(), ("-x",), ("-p", "no:cacheprovider")])
def test_a_run_that_leaks_fails_though_its_tests_pass(tmp_path, options):
    code, said = run(tmp_path, LEAKS, *options)
    assert code == 1, said
    assert "1 passed" in said
    assert "test_leaks0/web.log holds a secret (password, 1 times) that was issued in" in said
    password = next((tmp_path / "base").glob("*/web.log")).read_text()
    assert password[:5] not in said


def test_a_run_that_stops_at_a_failure_is_searched(tmp_path):
    after = "\n    def test_fails():\n        assert False\n\n    def test_never():\n        pass\n"
    code, said = run(tmp_path, LEAKS + after, "-x")
    assert code == 1
    assert "web.log holds a secret" in said


def test_a_clean_run_passes_and_says_what_was_searched(tmp_path):
    code, said = run(tmp_path, "def test_clean(tmp_path):\n    (tmp_path / 'a').write_text(passwords.generate()[:9])")
    assert code == 0, said
    assert "secrets issued: password 1; searched for in 1 files, 0 tables and 0 values of Redis" in said


def test_an_interrupted_run_ends_at_once(tmp_path):
    code, said = run(
        tmp_path, LEAKS + "\n    def test_stop():\n        raise KeyboardInterrupt\n    def test_no():\n        pass"
    )
    assert code == 2
    assert "secrets issued: not searched for" in said
