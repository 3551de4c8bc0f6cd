"""The client half's one door to the local stack, which needs the extra ``emobatch[local]``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

from emobatch import stack
from emobatch.errors import NotInstalled
from emobatch.stack.home import Home

# One of each part; what only some stacks need (the embedded servers) is missed by the stack itself.
NEEDED = ("supervisor", "psutil", "psycopg", "sqlalchemy", "alembic", "celery", "gunicorn", "apiflask", "onnxruntime")


def check_installed() -> None:
    """Raises NotInstalled if the local stack's libraries are missing, saying how to get them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise NotInstalled(
            f"Labelling on this machine needs the local stack, which is not installed (no {', '.join(missing)}).",
            next_step="Install it with: pip install 'emobatch[local]'. Or name a server with --server.",
        )


def is_running() -> bool:
    """Whether a stack of this data directory is up."""
    return stack.running() is not None


def has_jobs() -> bool:
    """Whether there can be jobs in this data directory: a stack has run here, or its database is elsewhere."""
    return Home().postgres.exists() or bool(os.environ.get("DATABASE_URL"))


def start() -> AbstractContextManager[stack.RunningStack]:
    """The running stack of this data directory, else one for the length of the block.

    Raises:
        BadOption: the environment names a model that is none.
    """
    if not is_running():
        _check_models()
    return stack.start(quiet=True)


def serve(port: int | None, workers: int | None, also_models: Sequence[str] = ()) -> int:
    """``emobatch up``. Returns the exit code.

    Args:
        port: of the web server; None: a free one.
        workers: processes that classify; None: as set in the environment.
        also_models: model directories besides the stack's own, by name or path; none: as set in the environment.

    Raises:
        BadOption: one of the models is none.
    """
    # Settings come from the environment, and the options are settings.
    also = ",".join(also_models) or None
    for name, value in (
        ("EMOBATCH_PORT", port),
        ("EMOBATCH_WORKER_SLOTS", workers),
        ("EMOBATCH_ALSO_MODELS", also),
    ):
        if value is not None:
            os.environ[name] = str(value)
    _check_models()
    return stack.serve()


def _check_models() -> None:
    """Before anything starts: whoever has mistyped one would else look for it in web's log."""
    from core.errors import BadOption
    from core.model_directory import ModelDirectoryError, find_models
    from core.settings import listed

    for name in ("EMOBATCH_MODEL", "EMOBATCH_ALSO_MODELS"):
        try:
            find_models(listed(os.environ.get(name, "")))
        except ModelDirectoryError as error:
            raise BadOption(error.what, next_step=error.next_step) from error


def data_directory() -> Path:
    """Where the stack keeps everything."""
    return Home().root


def log_folder() -> Path:
    """Where the stack's logs are, and the CLI's beside them."""
    return Home().logs
