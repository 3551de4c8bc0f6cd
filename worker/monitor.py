"""The Celery app through which Flower looks: it knows the broker and the queue, and no task.

``celery --app worker.monitor flower``. Workers tell of their tickets with `Settings.task_events`; they take no remote
commands (`core.queue`), so Flower can show and cannot change.
"""

from core.queue import celery_app
from core.settings import get_settings

app = celery_app(get_settings(), "emobatch.monitor")
