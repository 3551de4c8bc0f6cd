"""A signed-in page of the real stack in Debian's Chromium; a complaint of its console, or a request to elsewhere, fails
the test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from emobatch.stack import leftovers
from emobatch.stack.home import Home
from emobatch.stack.postgres import DATABASE, Postgres

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]

# An answer of ours that is an error, a request that a test cut off or a newer one replaced: the browser reports them.
EXPECTED = (
    "status of 4",
    "status of 503",
    "Status Error Code 503",
    "net::ERR_",
    "htmx:sendError",
    "htmx:sendAbort",
    "htmx:afterRequest",
)


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, local_stack, issued):
    # Without motion: a picture or a measured colour of a half-faded button is nobody's.
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, reduced_motion="reduce"
    )
    opened = context.new_page()
    complaints: list[str] = []
    strangers: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda sent: None if _is_ours(sent.url, local_stack.url) else strangers.append(sent.url))
    opened.goto(f"{local_stack.url}/sign-in?token={local_stack.token}")
    yield opened
    issued.note_browser(context.cookies())
    context.close()
    assert [complaint for complaint in complaints if not any(part in complaint for part in EXPECTED)] == []
    assert strangers == []


def _is_ours(asked: str, home: str) -> bool:
    return asked.startswith((home + "/", "data:", f"blob:{home}/"))


class Workers:
    """The worker of the real stack, which can be held in the middle of a job, however fast the machine."""

    def __init__(self, home: Path) -> None:
        self._home = Home(home)

    def sql(self, statement: str, *values: object) -> list[tuple]:
        """Changes the ledger as no program does, for what cannot be had otherwise; the rows it returns, if it does."""
        with psycopg.connect(Postgres.of(self._home).admin_url, dbname=DATABASE) as connection:
            done = connection.execute(statement, values or None)  # type: ignore[call-overload]
            return done.fetchall() if done.description else []

    def hold(self) -> None:
        """Stops its processes where they are."""
        for process in leftovers.find(self._home)["worker"]:
            process.suspend()

    def lose(self) -> None:
        """Stops them, and nobody has heard of them for an hour."""
        self.hold()
        self.sql("UPDATE worker SET heartbeat = now() - interval '1 hour'")

    def release(self) -> None:
        """They go on."""
        for process in leftovers.find(self._home)["worker"]:
            process.resume()


@pytest.fixture
def workers(local_stack, local_home):
    held = Workers(local_home)
    yield held
    held.release()


@pytest.fixture
def keep():
    """Saves a picture where `EMOBATCH_SCREENSHOTS` says, for people to look at."""

    def save(page, name: str) -> None:
        if folder := os.environ.get("EMOBATCH_SCREENSHOTS"):
            # To hide the caret it would set a style within the page, which the CSP forbids.
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, caret="initial")

    return save
