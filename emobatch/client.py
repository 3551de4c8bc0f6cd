"""The Python client of the REST API: small, typed, in constant memory whatever the file.

What may be repeated is repeated when a server is away for a moment: reading, and making a job too, since each upload
carries an `Idempotency-Key`, so that asking twice makes one job. Large files go on where they were, both ways.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self
from urllib.parse import quote

import httpx

from emobatch.body import Progress, name_of
from emobatch.connection import Connection, read
from emobatch.downloading import download
from emobatch.failed_rows import FailedRows
from emobatch.figures import VIEW, summary
from emobatch.in_memory import InMemory
from emobatch.job import AcceptedJob, Form, Job, JobPage, View
from emobatch.output import Output
from emobatch.query import given, job_path, yes_no
from emobatch.retry import Patience
from emobatch.reviews import Reviews
from emobatch.row_reading import RowReading
from emobatch.sending import send_file
from emobatch.taxonomies import Taxonomies
from emobatch.texts import TextLabels, batches, results_from
from emobatch.webhooks import Webhooks


class Client(RowReading, FailedRows, InMemory):
    """One server, signed in to. Use it as a context manager, or `close` it.

    Every method raises the `core.errors` class that the server names, `emobatch.errors.Unreachable` if there was no
    answer, and `emobatch.errors.ServerFailed` for a fault of the server's.

    Args:
        url: the server's address; the sign-in link that ``emobatch up`` prints will do too.
        token: an access token or API key; not needed if `url` carries it.
        patience: how long an outage is borne.
        sleep: waits that many seconds, for tests.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._connection = Connection(url, token, patience or Patience(), sleep)
        self._seen: dict[str, tuple[str, Job]] = {}
        self.reviews = Reviews(self._connection)
        """How right the labels of a job are, and what people say of its rows."""
        self.taxonomies = Taxonomies(self._connection)
        """The account's own taxonomies."""
        self.webhooks = Webhooks(self._connection, sleep)
        """Who is told when a job ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    # --- jobs -------------------------------------------------------------------------------------------------

    def create_job(
        self,
        file: Path | BinaryIO,
        *,
        filename: str | None = None,
        text_column: str | int | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        header: bool | None = None,
        quoting: bool | None = None,
        sheet: str | int | None = None,
        file_type: str | None = None,
        keep_days: int | None = None,
        model: str | None = None,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> AcceptedJob:
        """Uploads a file and makes a job of it. What is None, the server detects, and says what it took it for.

        A file of 8 MiB or more goes on where it was when the connection breaks, also in another process that sends the
        same unchanged file within a day.

        Args:
            file: a path, or a seekable binary file, sent from its current position.
            filename: how the job is called; by default the file's name.
            text_column: name, else 1-based number.
            delimiter: one character, or ``tab``, ``none`` …
            header: whether the first record names the columns.
            quoting: whether ``"`` encloses cells.
            sheet: of a workbook: name, else 1-based number.
            file_type: ``csv``, ``jsonl``, ``parquet`` or ``xlsx``, where its first bytes are not to be trusted.
            keep_days: how long file and results are kept when the job is over; by default the server's.
            model: which model version labels it: name, ``name@version`` or hash; by default the server's.
            idempotency_key: by default a new one.
            progress: is told how much has been sent.

        Raises:
            InputError: the file or an option is wrong.
            LimitExceeded: too large, or too many unfinished jobs.
            OSError: the file cannot be read.
        """
        options = {
            "text_column": text_column,
            "delimiter": delimiter,
            "encoding": encoding,
            "header": yes_no(header),
            "quoting": yes_no(quoting),
            "sheet": sheet,
            "file_type": file_type,
            "keep_days": keep_days,
            "model": model,
        }
        params = given({"filename": filename or name_of(file), **options})
        return send_file(self._connection, file, params, idempotency_key=idempotency_key, progress=progress)

    def status(self, job_id: str) -> Job:
        """One job as it is now. Raises NotFound for an unknown id and for another account's alike."""
        seen = self._seen.get(job_id)
        headers = {"If-None-Match": seen[0]} if seen else {}
        response = self._connection.repeat("GET", job_path(job_id), headers=headers)
        if seen and response.status_code == httpx.codes.NOT_MODIFIED:
            return seen[1]
        job = read(response, Job.from_dict)
        if etag := response.headers.get("etag"):
            self._seen[job_id] = (etag, job)
        return job

    def wait(
        self, job_id: str, on_change: Callable[[Job], None] | None = None, *, timeout_s: float | None = None
    ) -> Job:
        """Returns when the job is over, however it ended: look at its `state`.

        Args:
            on_change: is called with the job each time it is looked at.
            timeout_s: seconds to wait at most.

        Raises:
            TimeoutError: the job was not over in time; it goes on.
        """
        began = time.monotonic()
        last, changed = None, began
        while True:
            job = self.status(job_id)
            if on_change:
                on_change(job)
            if not job.state.active:
                self._seen.pop(job_id, None)
                return job
            now = time.monotonic()
            if job is not last:
                last, changed = job, now
            if timeout_s is not None and now - began > timeout_s:
                raise TimeoutError(f"Job {job_id} was not over after {timeout_s:g} seconds.")
            self._sleep(job.next_look_s(now - began, now - changed))

    def jobs(self, *, limit: int = 50, cursor: str | None = None) -> JobPage:
        """The account's jobs, newest first; `cursor` is an earlier page's `next`."""
        response = self._connection.repeat("GET", "/jobs", params=given({"limit": limit, "cursor": cursor}))
        return read(response, lambda page: JobPage(tuple(Job.from_dict(job) for job in page["jobs"]), page["next"]))

    def cancel(self, job_id: str) -> Job:
        """Stops a job; rows that were labelled stay labelled. A job that is over stays as it is."""
        return read(self._connection.repeat("POST", job_path(job_id, "cancel")), Job.from_dict)

    def delete(self, job_id: str) -> None:
        """Removes a job, its upload and its results, for good."""
        self._connection.remove(job_path(job_id))

    def again(self, job_id: str, model: str | None = None) -> Job:
        """Labels a job's file again with another model version, without sending it again; the new job.

        Raises:
            BadOption: no worker that is alive has such a model.
            NotReady: the file is gone.
        """
        response = self._connection.once("POST", job_path(job_id, "again"), params=given({"model": model}))
        return read(response, Job.from_dict)

    def models(self) -> tuple[Mapping[str, Any], ...]:
        """The model versions that the server knows, its own one first; `workers` is how many hold each now."""
        return read(self._connection.repeat("GET", "/models"), lambda answer: tuple(answer["models"]))

    def compare(
        self, job_id: str, other_id: str, *, taxonomy: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Mapping[str, Any]:
        """Two jobs of one upload: ``rows``, ``same``, ``changed``, ``agreement``, ``pairs``; and ``changes``, some of
        the rows whose label differs, from an earlier answer's ``next`` on."""
        params = given({"taxonomy": taxonomy, "cursor": cursor, "limit": limit})
        path = job_path(job_id, f"compare/{quote(other_id, safe='')}")
        return read(self._connection.repeat("GET", path, params=params), dict)

    # --- results ----------------------------------------------------------------------------------------------

    def download_to(
        self,
        job_id: str,
        target: Path | Output,
        view: View | None = None,
        *,
        form: Form = "csv",
        output_encoding: Literal["utf-8", "same"] | None = None,
        partial: bool = False,
        corrections: bool = False,
        progress: Progress | None = None,
    ) -> Path | None:
        """Writes the labelled file, whole or not at all; what came before an outage is gone on with, also by the next
        call.

        Args:
            target: a file, which is replaced; or a folder, where the file gets the server's name for it.
            view: taxonomy, threshold and scores.
            form: what file; ``spreadsheet`` is CSV that is safe to open in a spreadsheet program.
            output_encoding: ``same`` keeps the input's; only for CSV.
            partial: also while the job is running: the rows finished so far.
            corrections: with what people say of rows in the view's taxonomy, as the last column.
            progress: is told how much has come.

        Returns:
            Where the file is, or None if `target` is no place in the file system.

        Raises:
            NotReady: the job is running and `partial` is not set, or it has expired.
            EncodingFailed: the input's encoding lacks a character of the result; names its row.
            BadOption: an option is unknown, or the file cannot be written.
        """
        params = {"output_encoding": output_encoding, "partial": yes_no(partial or None)}
        params |= {"corrections": yes_no(corrections or None)}
        params |= (view or View()).params()
        ending = "csv" if form == "spreadsheet" else form
        params |= {"spreadsheet": "yes"} if form == "spreadsheet" else {}
        name = f"{job_id}.labelled.{ending}"
        path = job_path(job_id, f"results.{ending}")
        return download(self._connection, path, given(params), target, name=name, progress=progress)

    def summary(self, job_id: str, view: View = VIEW, *, by: str = "", rows: bool = False) -> Mapping[str, Any]:
        """A job in figures, by a column, with rows that stand for labels: see `emobatch.figures.summary`."""
        return summary(self._connection, self._sleep, job_id, view, by=by, rows=rows)

    # --- without a job ----------------------------------------------------------------------------------------

    def classify(self, texts: Sequence[str], view: View | None = None) -> list[TextLabels]:
        """Labels texts at once, before all jobs: in their order, as many in one request as the server takes.

        A file of thousands is better off as a job, which takes its turn and is kept.

        Raises:
            BadOption: an option is unknown, or one text is too long to be answered at once.
            Unavailable: no worker answered, for longer than patience lasts.
        """
        found: list[TextLabels] = []
        for batch in batches(texts):
            asked = {"texts": list(batch), **(view or View()).params()}
            response = self._connection.repeat("POST", "/classify", json=asked)
            found += read(response, partial(results_from, texts=batch))
        return found
