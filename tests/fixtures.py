"""Fixtures over the embedded servers: settings, a ledger emptied before each test, and the parts that work on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text

from core.db import Database
from core.jobs import JobStatus, get_status
from core.model_directory import ModelDirectory, shipped_model_path
from core.models import DEFAULT_ACCOUNT_ID, Base
from core.results import ResultOptions, Results
from core.settings import Settings
from core.storage import Storage, open_storage
from core.uploads import JobRequest, Uploads
from tests.fakes import NullScorer
from worker import trace
from worker.shift import Shift


@pytest.fixture
def make_settings(database_url: str, redis_url: str, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a test installation, with any of them changed."""

    def make(**changes: object) -> Settings:
        given = {
            "database_url": database_url,
            "redis_url": redis_url,
            "storage_url": (tmp_path / "storage").as_uri(),
            "secret_key": "k" * 32,
            "access_token": "the-token",
            # All tests of a session share a Redis, and most ask as one account from one address.
            "requests_a_minute": 0,
            "failures_a_minute": 0,
            "guesses_a_quarter": 0,
        }
        return Settings(**(given | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """The worker's database, emptied."""
    owner = Database(database_url, None, pool_size=1)
    with owner.transaction() as session:
        emptied = ", ".join(table for table in Base.metadata.tables if table != "account")
        session.execute(text(f"TRUNCATE {emptied} CASCADE"))
    owner.close()
    opened = Database(database_url, "emobatch_worker")
    yield opened
    opened.close()


@pytest.fixture
def web_db(database_url: str) -> Iterator[Database]:
    """The same database as web sees it."""
    opened = Database(database_url, "emobatch_web")
    yield opened
    opened.close()


@dataclass
class Installation:
    """Web's and worker's halves in one process, with the null model: a job runs when a test says so."""

    settings: Settings
    db: Database
    web_db: Database
    storage: Storage
    model: ModelDirectory
    account_id: uuid.UUID = DEFAULT_ACCOUNT_ID
    rung: list[int] = field(default_factory=list)
    """Tickets that shifts have sent for others."""

    def uploads(self) -> Uploads:
        return Uploads(self.web_db, self.storage, self.settings, self.model)

    def accept(
        self, data: bytes, *, block: int = 65_536, filename: str = "reviews.csv", **request: object
    ) -> uuid.UUID:
        """Uploads a file as web does."""
        blocks = (data[at : at + block] for at in range(0, len(data), block))
        wanted = JobRequest(filename, **request)  # type: ignore[arg-type]
        return self.uploads().accept(self.account_id, wanted, blocks).job_id

    def shift(self, scorer: NullScorer | None = None, **changes: object) -> Shift:
        """A child's working life, with the null model in place of the engine."""
        trace.prepare()
        return Shift(
            db=self.db,
            storage=self.storage,
            settings=self.settings.model_copy(update=changes),
            model=self.model,
            load_scorer=lambda: scorer or NullScorer(),
            worker_id=trace.worker_id(1),
            trace=trace.Trace(),
            ring=self.rung.append,
        )

    def run(self, scorer: NullScorer | None = None, **changes: object) -> None:
        """Works until nothing is left to do."""
        shift = self.shift(scorer, **changes)
        while shift.tick():
            pass

    def status(self, job_id: uuid.UUID) -> JobStatus:
        with self.web_db.transaction(self.account_id) as session:
            return get_status(session, self.account_id, job_id)

    def csv(self, job_id: uuid.UUID, encoding: str = "utf-8", *, partial: bool = False, **options: str) -> bytes:
        """The download."""
        results = Results(self.web_db, self.storage)
        opened = results.open(self.account_id, job_id, ResultOptions.parse(**options), partial=partial)
        return b"".join(opened.csv(encoding))


@pytest.fixture
def installation(settings: Settings, db: Database, web_db: Database) -> Installation:
    model = ModelDirectory.load(shipped_model_path())
    return Installation(settings, db, web_db, open_storage(settings.storage_url), model)
