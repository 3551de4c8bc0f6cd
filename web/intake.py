"""From a request's body to a job: raw CSV or a form, streamed into `core.uploads`, then the doorbell.

The body is never held: memory stays that of a block, whatever the file's size and whichever way it came.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO

import structlog
from flask import Flask, g, request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Response

from core import tracing
from core.queue import ring
from core.table import Overrides
from core.uploads import Accepted, JobRequest, too_large
from web import metrics
from web.auth import require_account
from web.multipart import MAX_FIELDS_BYTES, FormStream
from web.problems import BrokenOff
from web.schemas import CreateOptions, parse
from web.state import state

BLOCK = 256 * 1024

LINGER_S = 5.0
LINGER_BYTES = 512 * 1024 * 1024
STRANGERS_LINGER_BYTES = 64 * 1024 * 1024
"""Of a sender who is not signed in: enough for an honest mistake."""

DEFAULT_FILENAME = "upload.csv"

MAX_NAME_BYTES = 240
"""File systems take 255; a download's name is a little longer than its upload's."""

DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL"} | {f"{port}{number}" for port in ("COM", "LPT") for number in range(10)}
)
"""Names that Windows opens as something else than a file."""

log = structlog.get_logger(__name__)


class FormRequest(JobRequest):
    """A job request whose options may stand behind the file in the form, where a browser puts them.

    They are whatever has been read so far: complete once the last block of the file was taken, and `core.uploads`
    decides nothing with them before that.
    """

    def __init__(self, form: FormStream, filename: str, idempotency_key: str | None) -> None:
        for name, value in (("filename", filename), ("idempotency_key", idempotency_key), ("_form", form)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "n_bytes", max(0, (request.content_length or 0) - MAX_FIELDS_BYTES))

    @property
    def _options(self) -> CreateOptions:
        form: FormStream = self.__dict__["_form"]
        return parse(CreateOptions, form.fields)

    @property
    def text_column(self) -> str | None:
        """As in the form, so far."""
        return self._options.text_column

    @property
    def overrides(self) -> Overrides:
        """As in the form, so far."""
        return self._options.overrides

    @property
    def keep_days(self) -> int | None:
        """As in the form, so far."""
        return self._options.keep_days

    @property
    def model(self) -> str | None:
        """As in the form, so far."""
        return self._options.model


def create_job(options: CreateOptions) -> Accepted:
    """Makes a job of the current request's body, and rings.

    Args:
        options: from the query; a form may bring others, which count more.

    Raises:
        EmobatchError: as `core.uploads.Uploads.accept`.
        BrokenOff: the body is not whole, or stood still for too long.
    """
    account_id = require_account()
    with patience():
        if request.mimetype == "multipart/form-data":
            wanted, blocks = _read_form(options)
        else:
            wanted = replace(wanted_by(options, idempotency_key()), n_bytes=request.content_length)
            blocks = body()
        accepted = state().uploads.accept(account_id, wanted, blocks)
    note(accepted)
    return accepted


def note(accepted: Accepted) -> None:
    """A job was made: the workers are told, unless they were the first time."""
    if not accepted.repeated:
        with tracing.span("ticket.send"):
            ring(state().ringer)
        tracing.note(job_id=accepted.job_id)
        metrics.UPLOADS.inc()
        metrics.UPLOAD_BYTES.inc(accepted.answer["bytes"])
        log.info("job accepted", job_id=str(accepted.job_id), bytes=accepted.answer["bytes"])


def wanted_by(options: CreateOptions, key: str | None) -> JobRequest:
    """A request in the words of `core`."""
    name = plain_name(options.filename)
    return JobRequest(name, options.text_column, options.overrides, options.keep_days, key, options.model)


def _read_form(options: CreateOptions) -> tuple[JobRequest, Iterator[bytes]]:
    form = FormStream(request.headers["Content-Type"], body())
    form.fields.update(options.model_dump(exclude_none=True))
    filename = form.find_file()
    wanted = FormRequest(form, plain_name(form.fields.get("filename") or filename), idempotency_key())
    return wanted, form.file()


def idempotency_key() -> str | None:
    """As the current request gives it."""
    return request.headers.get("Idempotency-Key")


def plain_name(given: str | None) -> str:
    """A file's name as it may be stored, shown and saved under, on any system.

    Without folders, control characters and what turns text around; neither hidden nor a device of Windows; of at most
    `MAX_NAME_BYTES`, of which the end is kept, since it says what the file is.
    """
    name = re.split(r"[/\\]", given or "")[-1]
    name = "".join(character for character in name if character.isprintable() and character != '"').strip(". ")
    name = name.encode()[-MAX_NAME_BYTES:].decode(errors="ignore").strip(". ")
    if name.split(".")[0].upper() in DEVICES:
        name = f"_{name}"
    return name or DEFAULT_FILENAME


def body() -> Iterator[bytes]:
    """The body of the current request, in blocks, complete or not at all.

    gunicorn ends a body that its sender broke off as if it were whole: the count tells the difference, without which
    half a file would pass for a file.
    """
    limit = state().settings.max_upload_bytes
    if (request.content_length or 0) > limit + MAX_FIELDS_BYTES:
        raise too_large(limit)
    return read_body(limit + 2 * MAX_FIELDS_BYTES)


def read_body(limit: int, block_bytes: int = BLOCK) -> Iterator[bytes]:
    """The body of the current request, in blocks, as they come.

    Raises:
        BrokenOff: after the last block that came, if that was not the end.
    """
    expected = request.content_length
    request.max_content_length = limit
    stream, received = request.stream, 0
    try:
        while block := stream.read(block_bytes):
            received += len(block)
            yield block
    except ClientDisconnected as error:
        raise _broke_off() from error
    if expected is not None and received != expected:
        raise _broke_off()


def _broke_off() -> BrokenOff:
    return BrokenOff("The upload broke off before its end.", next_step="Send the file again.")


@contextmanager
def patience() -> Iterator[None]:
    """Bounds the wait for the next bytes: a sender that stands still must not keep a thread for ever."""
    sock = request.environ.get("gunicorn.socket")
    if sock is None:
        yield
        return
    sock.settimeout(state().settings.upload_lease_s)
    try:
        yield
    finally:
        with suppress(OSError):
            sock.settimeout(None)


def install(app: Flask) -> None:
    """Makes refusals reach senders that are still sending.

    A connection closed with unread bytes is reset, and the refusal is often lost with it. So after the answer what
    still comes is read and dropped, for a while (nginx calls it a lingering close).
    """

    @app.after_request
    def linger(response: Response) -> Response:
        sending = request.content_length or request.headers.get("Transfer-Encoding")
        if response.status_code >= 300 and sending and "gunicorn.socket" in request.environ:
            environ = request.environ
            most = STRANGERS_LINGER_BYTES if "principal" not in g else LINGER_BYTES
            response.call_on_close(lambda: _drop_rest(environ["wsgi.input"], environ["gunicorn.socket"], most))
        return response


def _drop_rest(stream: IO[bytes], sock: socket.socket, most: int) -> None:
    deadline, dropped = time.monotonic() + LINGER_S, 0
    with suppress(Exception):
        sock.settimeout(1.0)
        while time.monotonic() < deadline and dropped < most and (block := stream.read(BLOCK)):
            dropped += len(block)
    with suppress(OSError):
        sock.settimeout(None)
