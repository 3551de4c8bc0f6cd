"""After a whole job with marked texts, keys, passwords and cookies: they are nowhere that they should not be."""

from __future__ import annotations

import secrets
import threading
import uuid
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
from psycopg import sql

from emobatch.cli import main
from emobatch.stack.home import Home
from emobatch.stack.postgres import DATABASE, Postgres
from emobatch.stack.redis import Redis

SECRETS = ("webhook's secret", "its next secret")
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


class Monitor:
    """Everything that any client says to Redis while it runs."""

    def __init__(self, url: str) -> None:
        self.said: list[str] = []
        self._client = redis.Redis.from_url(url)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Monitor:
        self._monitor = self._client.monitor()
        self._monitor.__enter__()
        self._thread.start()
        return self

    def _listen(self) -> None:
        for command in self._monitor.listen():
            self.said.append(command["command"])
            if self._over.is_set():
                return

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._client.ping()
        self._thread.join(10)
        self._client.close()


@pytest.fixture
def home(local_home, local_stack, monkeypatch) -> Home:
    monkeypatch.setenv("EMOBATCH_HOME", str(local_home))
    return Home(local_home)


def test_texts_keys_passwords_and_cookies_are_nowhere_they_should_not_be(home, local_stack, capsys):
    postgres, redis_url = Postgres.of(home), Redis.of(home).url
    text, typed, email = (f"marked{secrets.token_hex(8)}" for _ in range(3))
    main(["admin", "add-account", "leaks"])
    account = capsys.readouterr().out.strip()
    main(["admin", "add-user", f"{email}@example.org", "--account", account])
    password = capsys.readouterr().out.strip()
    main(["admin", "add-key", "leaks", "--account", account])
    key = capsys.readouterr().out.strip()

    with Monitor(redis_url) as monitor, httpx.Client(base_url=local_stack.url, timeout=60) as browser:
        credentials = {"email": f"{email}@example.org", "password": password}
        assert browser.post("/sign-in", data=credentials, headers=OWN_PAGE).status_code == 303
        cookie = next(iter(browser.cookies.values()))
        program = httpx.Client(base_url=f"{local_stack.url}/api/v1", headers={"Authorization": f"Bearer {key}"})
        rows = "".join(f"{n},I am so happy about {text} number {n}\n" for n in range(200))
        job = program.post("/jobs", content=f"id,words\n{rows}".encode()).json()
        while program.get(f"/jobs/{job['id']}").json()["state"] != "completed":
            threading.Event().wait(0.1)
        assert browser.post("/try", data={"text": f"what a {typed}"}, headers=OWN_PAGE).status_code == 200
        assert text in program.get(f"/jobs/{job['id']}/results.csv").text
        # Errors of every kind, with the marks in them.
        wrong = {"Authorization": f"Bearer {key}x"}
        said = [
            program.post("/jobs", content=f'id,words\n1,"{text}'.encode()),
            program.post("/jobs", params={"text_column": text}, content=b"id,words\n1,hello\n"),
            program.get(f"/jobs/{uuid.uuid4()}?after={text}"),
            program.post("/classify", content=f'{{"texts": "{text}'.encode()),
            program.get("/jobs", headers=wrong),
            browser.get(f"/nothing/{typed}"),
            browser.post("/sign-in", data=credentials | {"password": password + "x"}, headers=OWN_PAGE),
        ]
        # Now that no job ends any more, so that nothing is sent there.
        hook = program.post("/webhooks", json={"url": "https://8.8.8.8/hook"}).json()
        again = program.post(f"/webhooks/{hook['id']}/rotate").json()
        program.close()
    assert [answer.status_code for answer in said if answer.status_code < 400] == []
    for answer in said:
        assert key not in answer.text
        assert password not in answer.text

    marks = {"row text": text, "typed text": typed, "key": key.split("_", 2)[2], "password": password, "cookie": cookie}
    marks |= {"webhook's secret": hook["secret"][6:], "its next secret": again["secret"][6:], "e-mail address": email}
    commands = "\n".join(monitor.said)
    assert "emobatch.tickets" in commands  # it did listen
    nowhere(marks, "Redis MONITOR", commands.encode())
    for file in (path for path in home.root.rglob("*") if path.is_file()):
        place = file.relative_to(home.root)
        if place.parts[0] == "postgres":  # its tables are looked at one by one, below
            nowhere({name: marks[name] for name in ("key", "password", "cookie", *SECRETS)}, str(place), content(file))
        elif place.parts[0] != "storage":  # the file as it was sent is there, and nowhere else
            # An address of a page that was asked for is in the log, as in any server's.
            nowhere({name: mark for name, mark in marks.items() if name != "typed text"}, str(place), content(file))
        else:
            nowhere({name: mark for name, mark in marks.items() if name != "row text"}, str(place), content(file))
    with psycopg.connect(postgres.admin_url, dbname=DATABASE) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT coalesce(string_agg(t::text, chr(10)), '') FROM {} t").format(sql.Identifier(table))
            (rows,) = connection.execute(query).fetchone()
            allowed = ("e-mail address",) if table == "app_user" else ()
            nowhere({name: mark for name, mark in marks.items() if name not in allowed}, table, rows.encode())
        # Where nobody has a password the page to sign in asks for none, as other tests of this stack expect.
        connection.execute("DELETE FROM webhook")
        connection.execute("DELETE FROM session")
        connection.execute("DELETE FROM api_key")
        connection.execute("DELETE FROM app_user")


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # Postgres recycles its logs
        return b""


def nowhere(marks: dict[str, str], place: str, data: bytes) -> None:
    found = [name for name, mark in marks.items() if mark.encode() in data]
    assert found == [], f"{place} holds {found}"
