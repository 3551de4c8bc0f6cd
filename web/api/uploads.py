"""Uploads that survive a broken connection: tus 1.0.0 over `core.transfers`. A complete upload becomes a job."""

from __future__ import annotations

import uuid
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request, url_for
from werkzeug.exceptions import MethodNotAllowed

from core.errors import BadOption, LimitExceeded
from core.models import Transfer
from core.transfers import no_such_transfer
from core.uploads import Accepted
from web import intake, tus
from web.api.ids import links
from web.auth import require_account
from web.schemas import AcceptedOut, CreateOptions, UploadOut, parse
from web.state import state

TAG = {
    "name": "Uploads",
    "description": "Large files, by the tus protocol 1.0.0: what has arrived is never sent again.",
}

uploads = APIBlueprint("uploads", __name__, tag=TAG)

BLOCK = 64 * 1024
"""Of a slow sender's bytes, so many make a lease new."""

IGNORED = frozenset({"filetype", "type", "name", "relativePath"})
"""What tus clients say of a file by themselves."""

MAX_KEY = 255


@uploads.before_request
def sign_in_first() -> None:
    """Before the body is read. What the server can do, everybody may ask."""
    if request.method != "OPTIONS":
        require_account()


@uploads.after_request
def say_version(response: Response) -> Response:
    """Which protocol was spoken."""
    return tus.say_version(response)


@uploads.route("/uploads", methods=["OPTIONS"], provide_automatic_options=False)
@uploads.route("/uploads/<upload_id>", methods=["OPTIONS"], provide_automatic_options=False)
@uploads.doc(hide=True)
def options(upload_id: str | None = None) -> Any:
    """What the server can do."""
    return "", 204, dict(tus.abilities(state().settings.max_upload_bytes))


@uploads.post("/uploads", provide_automatic_options=False)
@uploads.output({}, status_code=201, description="It can be sent to the address in `Location`.")
def post_upload() -> Any:
    """Begin an upload, or find the one you began.

    `Upload-Length` says how long the file is, `Upload-Metadata` what `POST /jobs` takes as options, `filename` among
    them. An unfinished upload with the same `resume_key` in its metadata is found again instead of a new one. A body of
    `application/offset+octet-stream` is taken as the file's first bytes.
    """
    tus.check_version()
    length, given = tus.number("Upload-Length"), tus.metadata()
    resume_key = given.pop("resume_key", None)
    if resume_key is not None and not 0 < len(resume_key) <= MAX_KEY:
        raise BadOption(f"A resume_key has 1 to {MAX_KEY} characters.", next_step="A hash of the file's name is one.")
    wanted = parse(CreateOptions, _options_of(given))
    wanted.overrides  # noqa: B018 - what is wrong with them is to be said now
    transfer = state().transfers.create(
        require_account(),
        length,
        wanted.model_dump(mode="json", exclude_none=True),
        resume_key=resume_key,
        idempotency_key=intake.idempotency_key(),
    )
    where = {"Location": url_for("uploads.get_upload", upload_id=transfer.id)}
    has_body = request.mimetype == tus.BODY and (request.content_length != 0 or transfer.length == 0)
    # Found again, it does not begin with these bytes.
    headers = _receive(transfer, 0) if has_body and not transfer.received else tus.headers_of(transfer)
    return "", 201, headers | where


@uploads.get("/uploads/<upload_id>", provide_automatic_options=False)
@uploads.output(UploadOut)
def get_upload(upload_id: str) -> Any:
    """Ask how far an upload is: as JSON, or with `HEAD` as tus says it, by `Upload-Offset`."""
    if request.method == "HEAD":
        tus.check_version()
    transfer = _find(upload_id)
    said = UploadOut(
        id=transfer.id,
        filename=transfer.options.get("filename"),
        bytes=transfer.length,
        received=transfer.received,
        expires_at=transfer.expires_at,
        job=AcceptedOut(**_answer(transfer.job_id, transfer.response)) if transfer.job_id else None,
    )
    return said, 200, tus.headers_of(transfer)


@uploads.patch("/uploads/<upload_id>", provide_automatic_options=False)
@uploads.output({}, status_code=204, description="The bytes are safe. With the last ones, the job is made.")
def patch_upload(upload_id: str) -> Any:
    """Send the next bytes of a file, from `Upload-Offset` on.

    What came before a connection broke is kept: ask with `HEAD` where to go on. `Upload-Checksum` is checked if given.
    With the last byte the job is made, and named in the header `Emobatch-Job`; what the file is refused for is answered
    here, and can be corrected with `POST /uploads/{upload_id}/complete`.
    """
    tus.check_version()
    tus.check_body_type()
    offset = tus.number("Upload-Offset")
    return "", 204, _receive(_find(upload_id), offset)


@uploads.post("/uploads/<upload_id>/complete")
@uploads.input(CreateOptions, location="query", arg_name="options")
@uploads.output(AcceptedOut, status_code=202, description="The job is promised: nothing short of deleting it loses it.")
def post_complete(upload_id: str, options: CreateOptions) -> Any:
    """Make the job of an upload that is all there.

    Options given here count more than those in the upload's metadata. Asked again, it gives the first answer again.
    """
    accepted = _complete(_find(upload_id), options)
    answer = _answer(accepted.job_id, accepted.answer)
    headers = {"Location": answer["links"].self}
    if accepted.repeated:
        headers["Idempotent-Replayed"] = "true"
    return answer, 202, headers


@uploads.delete("/uploads/<upload_id>", provide_automatic_options=False)
@uploads.output({}, status_code=204, description="What was sent is removed. A job made of it stays.")
def delete_upload(upload_id: str) -> Any:
    """Give an upload up."""
    tus.check_version()
    state().transfers.terminate(require_account(), _as_id(upload_id))
    return "", 204


@uploads.post("/uploads/<upload_id>", provide_automatic_options=False)
@uploads.doc(hide=True)
def post_override(upload_id: str) -> Any:
    """PATCH or DELETE, for clients behind something that knows neither."""
    instead = request.headers.get("X-HTTP-Method-Override", "")
    if instead == "PATCH":
        return patch_upload(upload_id)
    if instead == "DELETE":
        return delete_upload(upload_id)
    raise MethodNotAllowed(["GET", "HEAD", "PATCH", "DELETE", "OPTIONS"])


def _receive(transfer: Transfer, offset: int) -> dict[str, str]:
    """Takes the current request's body; once the file is all there, makes its job. The headers that say so."""
    expected = request.content_length
    if expected is not None and offset + expected > transfer.length:
        raise LimitExceeded(
            f"There are more bytes than the {transfer.length:,} that were announced.",
            next_step="Make a new upload, with the length that the file has now.",
        )
    checksum = tus.checksum()
    body = intake.read_body(transfer.length + 1, BLOCK)  # one more: reaching it is refused
    with intake.patience():
        transfer = state().transfers.receive(require_account(), transfer.id, offset, body, checksum)
    headers = tus.headers_of(transfer)
    if transfer.received == transfer.length:
        headers["Emobatch-Job"] = str(_complete(transfer, CreateOptions()).job_id)
    return headers


def _complete(transfer: Transfer, options: CreateOptions) -> Accepted:
    wanted = parse(CreateOptions, transfer.options | options.model_dump(mode="json", exclude_none=True))
    accepted = state().transfers.complete(require_account(), transfer.id, intake.wanted_by(wanted, None))
    intake.note(accepted)
    return accepted


def _answer(job_id: uuid.UUID, answer: Any) -> dict[str, Any]:
    return {**answer, "links": links(job_id)}


def _options_of(metadata: dict[str, str]) -> dict[str, str]:
    """Options, from what a client says of a file."""
    named = {"filename": metadata["name"]} if metadata.get("name") else {}
    return named | {name: value for name, value in metadata.items() if name not in IGNORED}


def _find(upload_id: str) -> Transfer:
    return state().transfers.get(require_account(), _as_id(upload_id))


def _as_id(given: str) -> uuid.UUID:
    try:
        return uuid.UUID(given)
    except ValueError:
        raise no_such_transfer() from None
