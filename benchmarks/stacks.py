"""Real stacks for measurements: in a folder of their own, on the cores we say, with the settings we say, and warm."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks.corpus import write_csv
from core.settings import Settings
from core.states import JobState
from emobatch import stack
from emobatch.client import Client
from emobatch.job import Job
from emobatch.stack import leftovers
from emobatch.stack.home import Home
from emobatch.stack.programs import EMOBATCH, Application, Program

MEMORY_OFF = {"EMOBATCH_TEXT_MEMORY": "0"}
NULL_MODEL = {"EMOBATCH_ENGINE": "null"}


PATIENCE_S = 900.0
"""After so long a job of a measurement is stuck, and nothing is measured."""


class JobFailed(RuntimeError):
    """A job of a measurement did not complete, so there is nothing to measure."""


@dataclass(frozen=True)
class Timing:
    """Seconds since the upload began: until the server had it all, until the job was over, until the download was."""

    uploaded: float
    done: float
    downloaded: float
    job: Job


class LocalStack:
    """A running stack with a client that is signed in."""

    def __init__(self, home: Path, client: Client) -> None:
        self.home = Home(home)
        self.client = client

    def label(self, source: Path, target: Path) -> Timing:
        """One file from upload to complete download.

        Raises:
            JobFailed: the job did not complete, or a row has no label.
            TimeoutError: it is stuck.
        """
        began = time.perf_counter()
        accepted = self.client.create_job(source, text_column="text")
        uploaded = time.perf_counter() - began
        job = self.client.wait(accepted.id, timeout_s=PATIENCE_S)
        done = time.perf_counter() - began
        if job.state is not JobState.COMPLETED:
            raise JobFailed(f"The job ended {job.state}: {job.rows_failed:,} of {job.rows_total:,} rows failed.")
        self.client.download_to(accepted.id, target)
        return Timing(uploaded, done, time.perf_counter() - began, job)

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The stack's processes by what they are; a worker's children apart from their parent."""
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        for program, processes in leftovers.find(self.home).items():
            if program == "postgres":  # Its backends write their names over their environment, and so over the mark.
                processes = [other for process in processes for other in _family(process)]
            for process in processes:
                with suppress(psutil.Error):
                    if kind := _kind(program, process.cmdline()):
                        found[kind].append(process)
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Processor seconds spent so far, by kind of process; compare two to see where time went."""
        found: dict[str, float] = {}
        for kind, processes in self.processes().items():
            for process in processes:
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    found[kind] = found.get(kind, 0.0) + times.user + times.system
        return found

    def resident(self) -> dict[str, int]:
        """Resident bytes of the largest process of each kind."""
        found: dict[str, int] = {}
        for kind, processes in self.processes().items():
            for process in processes:
                with suppress(psutil.Error):
                    found[kind] = max(found.get(kind, 0), process.memory_info().rss)
        return found


def _family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started."""
    with suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return []


def _kind(program: str, command: Sequence[str]) -> str | None:
    """What a process is; None for helpers of Python's own."""
    line = " ".join(command)
    if not program.startswith("worker"):
        return program
    if "resource_tracker" in line:
        return None
    return "worker child" if "spawn_main" in line else "worker parent"


@contextmanager
def started(
    environment: Mapping[str, str] = MEMORY_OFF,
    *,
    cores: Iterable[int] | None = None,
    worker_cores: Sequence[int] | None = None,
    warm_with: Sequence[str] = (),
) -> Iterator[LocalStack]:
    """A stack for the length of the block.

    Args:
        environment: settings by the names of their environment variables; nothing of the caller's own is kept.
        cores: the only cores that any of its processes may use; None: all.
        worker_cores: a worker for each of these cores, kept there; None: one worker on all of `cores`.
        warm_with: texts that are labelled before the block begins, so that the first job finds a loaded engine.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="emobatch")))
        home = folder / "home"
        with _surroundings(environment, cores):
            running = held.enter_context(stack.start(home, quiet=True, application=_application(worker_cores)))
        client = held.enter_context(Client(running.url, running.token))
        made = LocalStack(home, client)
        if warm_with:
            made.label(write_csv(folder / "warm.csv", warm_with), folder / "warm.labelled.csv")
        yield made


@contextmanager
def _surroundings(environment: Mapping[str, str], cores: Iterable[int] | None) -> Iterator[None]:
    """What a stack inherits as it starts: these settings and no others, and these cores."""
    before, affinity = dict(os.environ), os.sched_getaffinity(0)
    kept = {name: value for name, value in before.items() if name not in _settings_names()}
    os.environ.clear()
    os.environ.update(kept | dict(environment))
    if cores is not None:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.sched_setaffinity(0, affinity)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Our environment with these settings and no others of emobatch."""
    return {name: value for name, value in os.environ.items() if name not in _settings_names()} | dict(environment)


def _settings_names() -> set[str]:
    names = {f"EMOBATCH_{name.upper()}" for name in Settings.model_fields}
    return names | {"DATABASE_URL", "REDIS_URL", "STORAGE_URL", "EMOBATCH_HOME"}


def _application(worker_cores: Sequence[int] | None) -> Application:
    if worker_cores is None:
        return EMOBATCH

    def programs(settings: Settings, stack_id: str) -> list[Program]:
        found: list[Program] = []
        for program in EMOBATCH.programs(settings, stack_id):
            found += [program] if program.name != "worker" else [_on_core(program, core) for core in worker_cores]
        return found

    return replace(EMOBATCH, programs=programs)


def _on_core(worker: Program, core: int) -> Program:
    """The same worker under another name, kept on one core."""
    command = [f"worker{core}{word[6:]}" if word.startswith("worker-") else word for word in worker.command]
    return replace(
        worker,
        name=f"worker{core}",
        command=(sys.executable, "-m", "benchmarks.pinned", str(core), *command),
    )


def cores_of_machine() -> list[int]:
    """The cores that we may use, by number."""
    return sorted(os.sched_getaffinity(0))
