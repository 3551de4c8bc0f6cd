"""What `emobatch.Client` does with failed rows: fetches them alone, and sends them back fixed."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from emobatch.body import Progress, name_of
from emobatch.connection import Connection
from emobatch.downloading import download
from emobatch.job import AcceptedJob
from emobatch.output import Output
from emobatch.query import given, job_path
from emobatch.sending import send_whole


class FailedRows:
    """The part of a client that mends jobs."""

    _connection: Connection

    def failed_to(self, job_id: str, target: Path | Output, *, progress: Progress | None = None) -> Path | None:
        """Writes the failed rows of a job alone, as a CSV to fix: their numbers, why they failed, then your columns.

        Args:
            target: a file, which is replaced; or a folder, where the file gets the server's name for it.
            progress: is told how much has come.

        Returns:
            Where the file is, or None if `target` is no place in the file system.

        Raises:
            NotReady: the job is not finished, or has expired.
            Conflict: none of its rows has failed, it was stopped, or it mends another job itself.
        """
        path, name = job_path(job_id, "failed.csv"), f"{job_id}.failed.csv"
        return download(self._connection, path, {}, target, name=name, progress=progress)

    def send_back(
        self,
        job_id: str,
        file: Path | BinaryIO,
        *,
        filename: str | None = None,
        encoding: str | None = None,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> AcceptedJob:
        """Sends fixed rows back: a job of their own labels them, and then they stand in the places of the failed ones.

        Args:
            job_id: of the job that they failed in.
            file: what `failed_to` wrote, fixed; rows may be left out, their numbers must stay.
            filename: how the new job is called; by default the file's name.
            encoding: of the file, where what is detected is wrong.
            idempotency_key: by default a new one.
            progress: is told how much has been sent.

        Returns:
            The job of the fixed rows: `wait` for it, and `job_id` is mended.

        Raises:
            NotAFailedRow, ColumnsDiffer: naming the place in the file.
            Conflict: a row is being mended by another job, or there is none to mend.
            OSError: the file cannot be read.
        """
        params = given({"filename": filename or name_of(file), "encoding": encoding})
        path = job_path(job_id, "fixed")
        return send_whole(self._connection, path, file, params, idempotency_key=idempotency_key, progress=progress)
