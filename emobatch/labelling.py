"""One file from the user's disk to its labelled copy: upload, wait, download, and what to say at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from core.errors import EmobatchError
from core.states import JobState
from emobatch.client import Client
from emobatch.job import Form, View
from emobatch.options import download_words
from emobatch.output import Output
from emobatch.progress import Display
from emobatch.resumable import FROM_BYTES
from emobatch.summary import DEFAULT_TAXONOMY, Finished
from emobatch.taxonomies import SHIPPED

FAILED_SHOWN = 3
_GOOD = (JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS)


class Interrupted(Exception):
    """The user pressed Ctrl-C; the message says what became of the job and how to come back to it."""


@dataclass(frozen=True)
class Labelling:
    """What is to be done with one file."""

    source: Path | BinaryIO
    filename: str
    output: Output
    reading: Mapping[str, Any] = field(default_factory=dict)
    """How to read the file, as `Client.create_job` takes it; what is left out is detected."""
    view: View = field(default_factory=View)
    output_encoding: Literal["utf-8", "same"] | None = None
    form: Form = "csv"

    @property
    def download(self) -> list[str]:
        """The options of ``emobatch download`` that give the same file."""
        return download_words(self.view, self.form, self.output_encoding, self.output)


def label(client: Client, task: Labelling, display: Display, again: Callable[..., str]) -> Finished:
    """Labels one file.

    Args:
        client: the server that does it.
        task: file and options.
        display: shows the progress.
        again: a command's name, a job's id and options to the command line that a user types to come back.

    Raises:
        EmobatchError: the file or an option is wrong, the job failed, or the server is away for too long.
        Interrupted: Ctrl-C; the job is cancelled if it was running.
    """
    began = time.monotonic()
    if task.view.taxonomy and task.view.taxonomy not in SHIPPED:
        client.taxonomies.get(task.view.taxonomy)  # a mistake is told now, and not when everything is labelled
    try:
        with display.bytes("Sending") as sent:
            accepted = client.create_job(task.source, filename=task.filename, progress=sent, **task.reading)
    except KeyboardInterrupt:
        raise Interrupted(_unsent(task.source)) from None
    try:
        with display.rows() as show:
            job = client.wait(accepted.id, show)
    except KeyboardInterrupt:
        raise Interrupted(_cancel(client, accepted.id, display, again, task.download)) from None
    job.with_result()
    try:
        with display.bytes("Receiving") as received:
            output = client.download_to(
                job.id,
                task.output,
                task.view,
                form=task.form,
                output_encoding=task.output_encoding,
                progress=received,
            )
        failed = client.rows(job.id, task.view, status="failed", limit=FAILED_SHOWN).rows if job.rows_failed else ()
    except KeyboardInterrupt:
        get = again("download", job.id, *task.download)
        raise Interrupted(f"Interrupted. The job is done; get its result with: {get}") from None
    mend = again("failed", job.id) if job.rows_failed else ""
    return Finished(job, output, time.monotonic() - began, task.view.taxonomy or DEFAULT_TAXONOMY, failed, mend)


def _unsent(source: Path | BinaryIO) -> str:
    said = "Interrupted before the whole file was sent: nothing was labelled."
    if isinstance(source, Path) and source.stat().st_size >= FROM_BYTES:
        return f"{said} The same command goes on from where it was."
    return said


def _cancel(client: Client, job_id: str, display: Display, again: Callable[..., str], options: Sequence[str]) -> str:
    """Cancels, since who stops a command wants its work stopped; what is said of it. A second Ctrl-C leaves the job."""
    display.say("Cancelling the job (Ctrl-C again leaves it running) ...")
    try:
        job = client.cancel(job_id)
    except (KeyboardInterrupt, EmobatchError):
        return f"Interrupted. The job was not cancelled; look at it with: {again('status', job_id)}"
    get = again("download", job_id, *options)
    if job.state in _GOOD:
        return f"Interrupted, but the job was done already; get its result with: {get}"
    labelled = job.rows_ok + job.rows_skipped  # The rest counts as failed: they were cancelled.
    said = f"Cancelled: {labelled:,} of {job.rows_total:,} rows were labelled."
    return f"{said} To get them: {get}" if labelled else said
