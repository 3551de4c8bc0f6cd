"""What gunicorn is told besides its command line: ``gunicorn web.wsgi:app --config python:web.server``.

It is read in gunicorn's parent, before any of its children starts: here the folder is settled in which they keep their
metrics together (`core.metrics`). Every name below is one of gunicorn's own.
"""

from __future__ import annotations

from typing import Any

from core import metrics as _metrics

limit_request_line = 8190
"""The most that gunicorn allows: 1,024 characters of an option may be many times as many in an address."""


def on_starting(server: Any) -> None:
    """Removes what an earlier server left."""
    _metrics.clear_folder()
