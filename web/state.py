"""What every request needs, made once per process and kept on the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from celery import Celery
from flask import current_app

from core.db import Database
from core.model_directory import ModelDirectory, find_model, find_models
from core.queue import celery_app
from core.results import Results
from core.settings import MIB, Settings, listed
from core.storage import Storage, open_storage
from core.transfers import Transfers
from core.uploads import Uploads
from web.broker import Broker
from web.lane import Lane
from web.ratelimit import RateLimits

EXTENSION = "emobatch"


@dataclass(frozen=True)
class State:
    """The parts a request works with. All of them are safe to share between threads."""

    settings: Settings
    db: Database
    """In the role ``emobatch_web``: rows of the account set in the transaction, and no others."""
    storage: Storage
    model: ModelDirectory
    """What new jobs are labelled with. Only its JSON is read."""
    models: tuple[ModelDirectory, ...]
    """The installation's: this one, and those that the local stack runs a worker for besides."""
    uploads: Uploads
    transfers: Transfers
    """Files that come by pieces."""
    results: Results
    ringer: Celery
    """Sends tickets by name; knows no task."""
    broker: Broker
    lane: Lane
    """Labels a few texts while somebody waits."""
    rates: RateLimits
    """How often somebody may ask."""

    @classmethod
    def open(cls, settings: Settings) -> State:
        """Prepares every part. Neither Postgres nor Redis has to answer yet.

        Raises:
            BadOption: ``STORAGE_URL`` names no store.
            ModelDirectoryError: the model directory is missing or damaged.
        """
        # A transaction lasts milliseconds, so many threads share a few connections; the overflow doubles them.
        db = Database(
            settings.database_url.get_secret_value(),
            "emobatch_web",
            pool_size=max(4, min(8, settings.web_threads // 2)),
            statement_timeout_s=10,  # somebody waits for the answer
        )
        storage = open_storage(settings.storage_url)
        model = ModelDirectory.load(find_model(settings.model))
        ringer = celery_app(settings, "emobatch.web")
        also = find_models(listed(settings.also_models))
        uploads = Uploads(db, storage, settings, model, also)
        return cls(
            settings=settings,
            db=db,
            storage=storage,
            model=model,
            models=(model, *also),
            uploads=uploads,
            transfers=Transfers(db, storage, settings, uploads),
            results=Results(db, storage, settings.columns_mb * MIB),
            ringer=ringer,
            broker=Broker(settings.redis_url.get_secret_value()),
            lane=Lane(db, settings, model, ringer),
            rates=RateLimits(settings),
        )

    def close(self) -> None:
        """Closes every connection that this app has opened."""
        self.lane.close()
        self.db.close()


def state() -> State:
    """The state of the app that serves the current request."""
    return cast(State, current_app.extensions[EXTENSION])
