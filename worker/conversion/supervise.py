"""The worker's side of a conversion: a process started, listened to, and ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from core.errors import EmobatchError, InputError, LimitExceeded
from core.settings import Settings
from core.storage import StagedWriter
from core.table import Format, Warning_
from worker.conversion.task import NAMES, Task

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).parents[2]
"""Where the process finds the packages, wherever we were started."""

COMMAND = ("-m", "worker.conversion")

BLOCK = 256 * 1024
LOOK_S = 0.1
"""While nothing comes, `keep_on` is asked this often."""

_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZDIR", "TMPDIR")


@dataclass(frozen=True)
class Converted:
    """What a conversion said of its file.

    Attributes:
        sheet: the sheet that was read.
        first_line: row of the sheet that comes first; 0 where a header stands before the rows.
        has_header: None: not known.
        warnings: what its owner should know.
    """

    sheet: str | None
    first_line: int
    has_header: bool | None
    warnings: tuple[Warning_, ...]


def convert(
    blocks: Iterable[bytes],
    found: Format,
    settings: Settings,
    staged: StagedWriter,
    keep_on: Callable[[], bool],
) -> Converted | None:
    """Writes a workbook or a Parquet file as canonical CSV.

    Args:
        blocks: the upload.
        found: what it is, and which sheet is wanted.
        settings: the limits.
        staged: takes the CSV.
        keep_on: asked now and then; False: stop.

    Returns:
        None: stopped.

    Raises:
        InputError: it cannot be read.
        LimitExceeded: it takes more memory or time, or unpacks to more, than is allowed.
    """
    # Files without a name: nothing is left of them, whoever dies.
    with tempfile.TemporaryFile() as upload, tempfile.TemporaryFile() as report:
        for block in blocks:
            upload.write(block)
            if not keep_on():
                return None
        upload.flush()
        task = Task(
            source=found.source,
            upload=upload.fileno(),
            report=report.fileno(),
            sheet=found.sheet,
            memory=settings.convert_memory_bytes,
            seconds=int(settings.convert_s),
            max_unpacked=settings.max_unpacked_bytes,
            max_ratio=settings.max_compression_ratio,
            max_columns=settings.max_columns,
            max_rows=settings.max_rows,
        )
        process = _start(task)
        try:
            if not _drain(process, settings, staged, keep_on):
                return None
        finally:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()
        return _read(report, process.returncode, found, settings)


def environment() -> dict[str, str]:
    """The process' environment: nothing of ours but where to find things. Who gets the better of a library finds no
    password there."""
    given = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    # One thread each: their stacks and pools count as memory too.
    return given | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}


def _start(task: Task) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *COMMAND, json.dumps(asdict(task))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(task.upload, task.report),
        env=environment(),
        cwd=_ROOT,
    )


def _drain(
    process: subprocess.Popen[bytes], settings: Settings, staged: StagedWriter, keep_on: Callable[[], bool]
) -> bool:
    """Takes what the process writes until it ends; False if it was stopped before."""
    until = time.monotonic() + settings.convert_s
    written = 0
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(LOOK_S):
                block = os.read(process.stdout.fileno(), BLOCK)
                if not block:
                    process.wait()
                    return True
                written += len(block)
                if written > settings.max_unpacked_bytes:
                    raise LimitExceeded(
                        f"The table is longer than {settings.max_unpacked_bytes:,} bytes as CSV.",
                        next_step="Split it and upload the parts.",
                    )
                staged.write(block)
            if not keep_on():
                return False
            if time.monotonic() > until:
                raise _too_long(settings)


def _read(report: IO[bytes], returncode: int, found: Format, settings: Settings) -> Converted:
    report.seek(0)
    said: dict[str, Any] = json.loads(report.read() or "{}")
    if error := said.get("error"):
        raise EmobatchError.from_dict(error)
    if returncode == -signal.SIGXCPU:
        raise _too_long(settings)
    if "memory" in said or returncode < 0:
        log.warning("conversion died", returncode=returncode)
        raise LimitExceeded(
            f"The {NAMES[found.source]} takes more than {settings.convert_memory_bytes // 2**20:,} MiB of memory to"
            " be read.",
            next_step="Save the table as CSV and send that: a CSV may be of any length.",
        )
    if returncode or not said:
        log.error("conversion failed", returncode=returncode)
        raise InputError(f"The {NAMES[found.source]} cannot be read.", next_step="Save the table as CSV and send that.")
    return Converted(
        sheet=said["sheet"],
        first_line=said["first_line"],
        has_header=said["has_header"],
        warnings=tuple(map(Warning_.from_dict, said["warnings"])),
    )


def _too_long(settings: Settings) -> LimitExceeded:
    return LimitExceeded(
        f"The file takes more than {settings.convert_s:.0f} seconds to be read.",
        next_step="Save the table as CSV and send that.",
    )
