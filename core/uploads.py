"""From bytes arriving to a job that is promised: step 1 of a row's journey.

The order is the point. The upload row, under a lease, is committed before the first byte; the bytes are staged, hashed
and checked on the way; the file is committed under its key; then, in one transaction, the upload is stored and the job
exists. Whoever dies in between leaves an upload whose lease runs out, which the sweeper removes, and never a job
without a complete file.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import idempotency, jobs, quotas, registry, tracing
from core.db import Database
from core.errors import BadGzip, EmobatchError, LimitExceeded, StorageMissing, Unavailable, UploadDamaged
from core.failpoints import failpoint
from core.job_request import Accepted as Accepted
from core.job_request import JobRequest as JobRequest
from core.ledger import changed
from core.model_directory import ModelDirectory
from core.models import Job, Upload
from core.settings import Settings
from core.states import UploadState
from core.storage import Storage
from core.table import (
    CONTAINERS,
    CheckResult,
    Format,
    StreamCheck,
    TextColumn,
    choose_text_column,
    detect,
    preview,
)
from core.upload_keys import upload_key


class Uploads:
    """Takes uploads in. One per web process.

    Args:
        model: what jobs are labelled with that name none.
        also: others that the installation has, or is about to have, a worker for.
    """

    def __init__(
        self,
        db: Database,
        storage: Storage,
        settings: Settings,
        model: ModelDirectory,
        also: Sequence[ModelDirectory] = (),
    ) -> None:
        self._db = db
        self._storage = storage
        self._settings = settings
        self._model = model
        self._own = (model, *also)

    def accept(self, account_id: uuid.UUID, request: JobRequest, blocks: Iterable[bytes]) -> Accepted:
        """Receives a file and makes its job. The caller rings afterwards.

        Args:
            account_id: who asks.
            request: file name and options.
            blocks: the body, in blocks of any size.

        Raises:
            InputError: the file or the options are wrong; nothing is kept.
            TooMany: too many unfinished jobs, uploads or rows of today; nothing of the body was read.
            LimitExceeded: the file is too large, or has no room beside the others.
            KeyInProgress, KeyReused: the idempotency key is held, or was used for something else.
            Unavailable: the database or the storage does not answer; nothing is promised.
        """
        key = request.idempotency_key
        if key is None:
            return self._accept(account_id, request, blocks)
        with self._db.transaction(account_id) as session:
            first = idempotency.begin(session, account_id, key, self._settings.upload_lease_s)
        if first is not None:
            digest = hashlib.sha256()
            for block in blocks:
                digest.update(block)
            answer = first.repeat(request.fingerprint(digest.hexdigest()))
            return Accepted(uuid.UUID(answer["id"]), answer, repeated=True)
        try:
            return self._accept(account_id, request, blocks)
        except EmobatchError:
            with suppress(EmobatchError), self._db.transaction(account_id) as session:
                idempotency.forget(session, account_id, key)
            raise

    def _accept(self, account_id: uuid.UUID, request: JobRequest, blocks: Iterable[bytes]) -> Accepted:
        upload_id, token, room = self._begin(account_id, request)
        key = upload_key(upload_id)
        try:
            with tracing.span("upload.receive"):
                check = self._receive(account_id, upload_id, token, request, blocks, room)
                tracing.note(bytes=check.n_bytes)
            failpoint("upload-stored")
            with tracing.span("upload.inspect"):
                found, column = self._inspect(key, check, request)
            return self._settle(account_id, upload_id, token, request, check, found, column)
        except BaseException as error:
            self._abandon(account_id, upload_id, token)
            if isinstance(error, UploadDamaged) and not isinstance(error, StorageMissing):
                # Found while it arrives, the damage is the sender's; once stored it would be ours.
                raise BadGzip(error.what, next_step=error.next_step) from error
            raise

    def _begin(self, account_id: uuid.UUID, request: JobRequest) -> tuple[uuid.UUID, int, int | None]:
        upload_id = uuid.uuid4()
        with self._db.transaction(account_id) as session:
            room = quotas.admit(session, self._settings, account_id, request.n_bytes)
            if request.model:  # an unknown one is told before anybody sends gigabytes
                self._version_for(session, request)
            session.add(
                Upload(
                    id=upload_id,
                    account_id=account_id,
                    state=UploadState.RECEIVING,
                    key=upload_key(upload_id),
                    filename=request.filename,
                    overrides={name: value for name, value in asdict(request.overrides).items() if value is not None},
                    lease_token=1,
                )
            )
            session.flush()
            _renew(session, upload_id, 1, self._settings.upload_lease_s)
        return upload_id, 1, room

    def _receive(
        self,
        account_id: uuid.UUID,
        upload_id: uuid.UUID,
        token: int,
        request: JobRequest,
        blocks: Iterable[bytes],
        room: int | None,
    ) -> CheckResult:
        settings = self._settings
        check = StreamCheck(
            max_unpacked_bytes=settings.max_unpacked_bytes,
            max_compression_ratio=settings.max_compression_ratio,
            max_container_bytes=settings.max_container_bytes,
            source=request.overrides.source,
        )
        renew_at = time.monotonic() + settings.upload_lease_s / 3
        received = 0
        staged = self._storage.stage(upload_key(upload_id))
        try:
            for block in blocks:
                received += len(block)
                if received > settings.max_upload_bytes:
                    raise too_large(settings.max_upload_bytes)
                if room is not None and received > room:
                    raise quotas.no_room(settings.max_stored_bytes)
                check.feed(block)
                staged.write(block)
                if time.monotonic() > renew_at:
                    with self._db.transaction(account_id) as session:
                        _renew(session, upload_id, token, settings.upload_lease_s)
                        if request.idempotency_key:
                            idempotency.extend(session, account_id, request.idempotency_key, settings.upload_lease_s)
                    renew_at = time.monotonic() + settings.upload_lease_s / 3
            result = check.finish()
            self._storage.commit(staged)
        except BaseException:
            staged.abort()
            raise
        return result

    def _inspect(self, key: str, check: CheckResult, request: JobRequest) -> tuple[Format, TextColumn]:
        source = partial(self._storage.read_range, key)
        found = detect(source, check, request.overrides)
        if found.source in CONTAINERS:
            # Only a worker opens it. It then finds the column, named or not, as it is done here for other files.
            return found, TextColumn(0, request.text_column or "", guessed=True, reason="to be found in the file")
        if len(found.header) > self._settings.max_columns:
            raise LimitExceeded(
                f"The file has {len(found.header):,} columns; {self._settings.max_columns:,} are allowed.",
                limit="columns",
                next_step="Remove columns, or set the delimiter if it was detected wrongly.",
            )
        sample = [record.cells for record in preview(source, found, 200)]
        return found, choose_text_column(found, sample, request.text_column)

    def _settle(
        self,
        account_id: uuid.UUID,
        upload_id: uuid.UUID,
        token: int,
        request: JobRequest,
        check: CheckResult,
        found: Format,
        column: TextColumn,
    ) -> Accepted:
        with self._db.transaction(account_id) as session:
            upload = session.get(Upload, upload_id, with_for_update=True)
            if upload is None or upload.lease_token != token or upload.state != UploadState.RECEIVING:
                raise _lease_lost()
            upload.state = UploadState.STORED
            upload.lease_until = None
            upload.bytes = check.n_bytes
            upload.sha256 = check.sha256
            upload.detected = found.to_dict()
            job = self._make_job(session, upload, request, found, column)
            job.traceparent = tracing.traceparent()
            answer = {
                "id": str(job.id),
                "filename": request.filename,
                "bytes": check.n_bytes,
                "sha256": check.sha256,
                "format": found.to_dict(),
                "text_column": asdict(column),
                "model_version": job.model_version,
            }
            if request.idempotency_key:
                idempotency.finish(
                    session,
                    account_id,
                    request.idempotency_key,
                    fingerprint=request.fingerprint(check.sha256),
                    job_id=job.id,
                    response=answer,
                )
            return Accepted(job.id, answer)

    def _version_for(self, session: Session, request: JobRequest) -> tuple[str, str]:
        """Version and hash of the model that a request asks for. Raises BadOption: as `registry.choose_model`."""
        if not request.model:
            registry.register(session, self._model)
            return self._model.version, self._model.sha256
        chosen = registry.choose_model(session, request.model, self._own)
        return chosen.version, chosen.sha256

    def _make_job(
        self, session: Session, upload: Upload, request: JobRequest, found: Format, column: TextColumn
    ) -> Job:
        version, identity = self._version_for(session, request)
        return jobs.create_job(
            session,
            account_id=upload.account_id,
            upload=upload,
            text_column=asdict(column),
            model_version=version,
            model_sha256=identity,
            needs_canonical=found.needs_canonical,
            options=request.job_options(found),
        )

    def _abandon(self, account_id: uuid.UUID, upload_id: uuid.UUID, token: int) -> None:
        """Hands a refused upload to the sweeper at once; if that fails too, its lease runs out by itself."""
        with suppress(EmobatchError), self._db.transaction(account_id) as session:
            session.execute(
                text("""
                UPDATE upload SET state = 'deleting', lease_until = now()
                WHERE id = :id AND lease_token = :token AND state = 'receiving'
                """),
                {"id": upload_id, "token": token},
            )


def too_large(most: int) -> LimitExceeded:
    """A file has more bytes than `most`, which is what this installation takes."""
    return LimitExceeded(
        f"The file is larger than {most:,} bytes.",
        limit="upload_bytes",
        next_step="Split it, or compress it with gzip (.csv.gz).",
    )


def _renew(session: Session, upload_id: uuid.UUID, token: int, lease_s: float) -> None:
    held = changed(
        session,
        """
        UPDATE upload SET lease_until = now() + make_interval(secs => :lease_s)
        WHERE id = :id AND lease_token = :token AND state = 'receiving'
        """,
        {"lease_s": lease_s, "id": upload_id, "token": token},
    )
    if not held:
        raise _lease_lost()


def _lease_lost() -> Unavailable:
    return Unavailable("The upload took longer than its lease and was given up.", next_step="Send the file again.")
