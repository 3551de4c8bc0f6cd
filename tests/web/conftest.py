"""The app on real servers, in the test's own process; jobs run when a test says so, with the null model."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from core import accounts
from core.db import Database
from core.settings import Settings
from tests.fakes import NullScorer
from tests.fixtures import Installation
from web.app import create_app
from web.state import EXTENSION
from worker.answering import Answering

TOKEN = "the-token"
CSV = b'id,text\r\n1,I love this\r\n2,"so sad, really"\r\n3,\r\n4,what a surprise\r\n'


@dataclass
class Asker:
    """Somebody who signs requests with a header, as a program does."""

    client: FlaskClient
    key: str

    def __call__(self, method: str, path: str, **request: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", **request.pop("headers", {})}
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **request)

    def upload(self, data: bytes = CSV, **options: str) -> str:
        """Makes a job; its id."""
        answer = self("POST", "/jobs", data=data, content_type="text/csv", query_string=options)
        assert answer.status_code == 202, answer.text
        return answer.json["id"]


@pytest.fixture
def make_app(installation: Installation) -> Iterator[Callable[..., Any]]:
    """Makes the app, with any settings changed; its connections are closed with the test."""
    apps: list[Any] = []

    def make(**changes: object) -> Any:
        made = create_app(installation.settings.model_copy(update=changes))
        made.testing = False  # errors are answered as they are to users
        apps.append(made)
        return made

    yield make
    for made in apps:
        made.extensions[EXTENSION].close()


@pytest.fixture
def app(make_app: Callable[..., Any]) -> Any:
    return make_app()


@pytest.fixture
def client(app: Any) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def ask(client: FlaskClient) -> Asker:
    """The default account, by the access token."""
    return Asker(client, TOKEN)


@pytest.fixture
def make_account(db: Database, settings: Settings) -> Callable[[], tuple[uuid.UUID, str]]:
    """Makes another account; its id and an API key."""

    def make() -> tuple[uuid.UUID, str]:
        with db.transaction() as session:
            account_id = accounts.create_account(session, "another")
            return account_id, accounts.issue_key(session, settings, account_id, "test")

    return make


@pytest.fixture
def other(app: Any, make_account: Callable[[], tuple[uuid.UUID, str]]) -> Asker:
    """Somebody of another account."""
    return Asker(app.test_client(), make_account()[1])


@pytest.fixture
def worker_alive(db: Database, installation: Installation) -> None:
    """A worker with the installation's model says that it lives; it does nothing."""
    with db.transaction() as session:
        session.execute(
            text("INSERT INTO worker (id, models, slots) VALUES ('w', ARRAY[:model], 1)"),
            {"model": installation.model.sha256},
        )


@pytest.fixture
def answering(worker_alive: None, db: Database, installation: Installation) -> Iterator[NullScorer]:
    """A worker that does nothing but look at the synchronous lane, with the null model."""
    scorer = NullScorer()
    worker = Answering(
        db=db, settings=installation.settings, model=installation.model, scorer=lambda: scorer, worker_id="w/1"
    )
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            worker.look()

    thread = threading.Thread(target=look)
    thread.start()
    yield scorer
    over.set()
    thread.join()
