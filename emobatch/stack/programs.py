"""The processes of a stack: the exact command lines of web and worker stand here and nowhere else.

Secrets and addresses reach them through the environment (`core.settings`), since anybody may read a command line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.settings import Settings

MARK = "EMOBATCH_STACK"
"""The environment variable by which processes of a stack are found again: ``<stack id>/<program>``."""

SOURCES = Path(__file__).parents[2]

SLOW_START_S = 10
"""A broken installation shows when Python has imported it all, which takes seconds on a busy machine."""


@dataclass(frozen=True)
class Program:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    stop_signal: str = "TERM"
    stop_wait_s: int = 10
    """Seconds from the stop signal to a kill -9."""
    start_s: int = 1
    """It has started when it has lived so long; an end before that counts as a failed start."""
    start_retries: int = 3
    """After so many failed starts in a row, each with a longer pause before it, the start has failed for good."""
    is_patient: bool = False
    """It starts without servers and migrations, and asks for them when it is asked: it may start at once."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it needs besides what all programs get. No secrets: this one is written into a file."""


@dataclass(frozen=True)
class Application:
    """What runs on top of Postgres and Redis: something to do once, and programs in the order of their start."""

    migrate: tuple[str, ...]
    programs: Callable[[Settings, str], Sequence[Program]]
    """Given the settings and the stack's id."""
    ready_path: str
    """Answers 200 when all of them work."""


def inherited_environment() -> dict[str, str]:
    """Our own environment, made fit for programs that run in another folder than ours."""
    from core.settings import listed

    found = dict(os.environ)
    if found.get("EMOBATCH_CACHE_DIR"):
        found["EMOBATCH_CACHE_DIR"] = str(Path(found["EMOBATCH_CACHE_DIR"]).expanduser().absolute())
    for name in ("EMOBATCH_MODEL", "EMOBATCH_ALSO_MODELS"):
        if found.get(name):
            found[name] = ",".join(map(_anywhere, listed(found[name])))
    if (SOURCES / "pyproject.toml").exists():  # A checkout, which need not be installed.
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SOURCES), found.get("PYTHONPATH"))))
    return found | {"PYTHONUNBUFFERED": "1"}


def _anywhere(model: str) -> str:
    """A model directory's path from the root; a name, which is the same everywhere, stays one."""
    path = Path(model).expanduser()
    return str(path.absolute()) if os.sep in model or path.exists() else str(path)


def _web(settings: Settings) -> Program:
    return Program(
        name="web",
        command=(
            *(sys.executable, "-m", "gunicorn", "web.wsgi:app", "--config", "python:web.server"),
            *("--bind", f"127.0.0.1:{settings.port}"),
            # A slow client holds a thread, not the server.
            *("--worker-class", "gthread", "--workers", str(settings.web_processes)),
            *("--threads", str(settings.web_threads)),
            *("--timeout", "120", "--graceful-timeout", "10"),
            "--no-control-socket",
        ),
        stop_wait_s=15,
        start_s=SLOW_START_S,
        is_patient=True,
    )


def _workers(settings: Settings, stack_id: str) -> list[Program]:
    """One for the stack's own model, and one for each of the others."""
    from core.settings import listed

    others = map(_anywhere, listed(settings.also_models))
    return [
        _worker(settings, stack_id, "worker"),
        *(
            _worker(settings, stack_id, f"worker-{number}", {"EMOBATCH_MODEL": model})
            for number, model in enumerate(others, start=2)
        ),
    ]


def _worker(settings: Settings, stack_id: str, name: str, environment: Mapping[str, str] | None = None) -> Program:
    return Program(
        name=name,
        command=(
            *(sys.executable, "-m", "celery", "--app", "worker.app", "worker"),
            *("--concurrency", str(settings.worker_slots)),
            # With REDIS_URL two stacks of one machine may share a broker, where equal names confuse Celery.
            *("--hostname", f"{name}-{stack_id[:8]}@%h"),
            *("--loglevel", settings.log_level, "--without-gossip", "--without-mingle"),
        ),
        stop_wait_s=60,  # TERM lets it finish its chunks, about a second each; the slowest machine gets a minute.
        start_s=SLOW_START_S,
        environment=environment or {},
    )


EMOBATCH = Application(
    migrate=(sys.executable, "-m", "migrations.run", "upgrade"),
    programs=lambda settings, stack_id: (_web(settings), *_workers(settings, stack_id)),
    ready_path="/api/v1/ready",
)
