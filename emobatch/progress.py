"""What a user sees while waiting: a bar at a terminal, a line now and then elsewhere. All of it on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from emobatch.body import Progress as Sent
from emobatch.job import Job

LINE_EVERY_S = 10.0
"""In a log, where a bar would be a mess."""


class Display:
    """Progress of one command.

    Args:
        console: must write to stderr: stdout is for data.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = time.monotonic()

    def say(self, text: str) -> None:
        """One or more lines, as they are."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Something that takes seconds and cannot be measured."""
        if not self._console.is_terminal:
            self.say(text)
            yield
            return
        with self._console.status(escape(text)):
            yield

    @contextmanager
    def bytes(self, text: str) -> Iterator[Sent]:
        """A transfer: yields what to call with the bytes so far and in all."""
        with self._bar(text) as update:
            yield lambda done, total: update(done, total or None, bytes_figures(done, total))

    @contextmanager
    def rows(self) -> Iterator[Callable[[Job], None]]:
        """A job at work: yields what to call with each status."""
        with self._bar("Labelling") as update:
            yield lambda job: update(job.rows_done, job.rows_total if job.rows_total_final else None, row_figures(job))

    @contextmanager
    def _bar(self, text: str) -> Iterator[Callable[[int, int | None, str], None]]:
        if not self._console.is_terminal:
            yield lambda done, total, figures: self._now_and_then(f"{text}: {figures}")
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}", markup=False),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(text, total=None, figures="")
            yield lambda done, total, figures: progress.update(task, completed=done, total=total, figures=figures)

    def _now_and_then(self, line: str) -> None:
        if time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            self.say(line)


def row_figures(job: Job) -> str:
    """How far a job is: rows, rows per second, time left; or why nothing moves."""
    about = "" if job.rows_total_final else "at least "
    parts = [f"{job.rows_done:,} of {about}{job.rows_total:,} rows"] if job.rows_total else ["reading the file"]
    if job.waiting_for:
        parts.append(job.waiting_for)
    elif job.rate:
        parts.append(f"{job.rate:,.{1 if job.rate < 10 else 0}f} rows/s")
        if job.eta_s is not None:
            parts.append(f"{_time_left(job)} left")
    return ", ".join(parts)


def _time_left(job: Job) -> str:
    """A range, where its ends differ in words."""
    ends = [duration(end) for end in (job.eta_low_s, job.eta_high_s) if end is not None]
    if len(ends) < 2:  # a server that knows of no range
        return duration(job.eta_s or 0)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def bytes_figures(done: int, total: int) -> str:
    """How far a transfer is."""
    return f"{size(done)} of {size(total)}" if total else size(done)


def size(n_bytes: int) -> str:
    """A number of bytes in decimal units: ``999 bytes``, ``1.0 kB``, ``2.5 GB``."""
    number = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 999.5 or unit == "GB":
            break
        number /= 1000
    return f"{n_bytes} bytes" if unit == "bytes" else f"{number:,.1f} {unit}"


def duration(seconds: float) -> str:
    """A time in at most two units: ``4.2 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
