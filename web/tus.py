"""The headers of tus 1.0.0, resumable uploads (https://tus.io/protocols/resumable-upload): read, checked, written."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from email.utils import format_datetime

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed, UnsupportedMediaType

from core.errors import BadOption
from core.models import Transfer

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
ALGORITHMS = ("sha1", "sha256", "sha512")
BODY = "application/offset+octet-stream"

MAX_METADATA = 16 * 1024
"""Bytes of an Upload-Metadata header."""


def check_version() -> None:
    """Refuses a client that speaks another version, or none.

    Raises:
        PreconditionFailed: with what to do.
    """
    if request.headers.get("Tus-Resumable") != VERSION:
        raise PreconditionFailed(f"Say which protocol you speak: the header 'Tus-Resumable: {VERSION}' is missing.")


def check_body_type() -> None:
    """Raises UnsupportedMediaType unless the body is said to be bytes of a file."""
    if request.mimetype != BODY:
        raise UnsupportedMediaType(f"Send the bytes with 'Content-Type: {BODY}'.")


def number(header: str) -> int:
    """A header that is a number of bytes.

    Raises:
        BadOption: it is missing, or none.
    """
    given = request.headers.get(header, "")
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise BadOption(f"The header {header} is to be a whole number of bytes.", next_step="Send it.")
    return int(given)


def metadata() -> dict[str, str]:
    """The pairs of Upload-Metadata: ``name base64, name base64``.

    Raises:
        BadOption: they are not that, or too long.
    """
    given = request.headers.get("Upload-Metadata", "")
    if len(given) > MAX_METADATA:
        raise BadOption("Upload-Metadata is too long.", next_step=f"It may have {MAX_METADATA:,} bytes.")
    found: dict[str, str] = {}
    for pair in filter(None, (pair.strip() for pair in given.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeError) as error:
            raise BadOption(
                f"{name!r} in Upload-Metadata cannot be read.", next_step="Encode its UTF-8 as base64."
            ) from error
    return found


class Checksum:
    """What a body is meant to hash to."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self.expected = expected
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, block: bytes, /) -> None:
        """Takes the next bytes."""
        self._hash.update(block)

    def digest(self) -> bytes:
        """Of all bytes so far."""
        return self._hash.digest()


def checksum() -> Checksum | None:
    """What the body of the current request is meant to hash to, if its sender says so.

    Raises:
        BadOption: an unknown algorithm, or no base64.
    """
    given = request.headers.get("Upload-Checksum")
    if given is None:
        return None
    algorithm, _, value = given.partition(" ")
    try:
        expected = base64.b64decode(value, validate=True)
    except binascii.Error:
        expected = b""
    if algorithm not in ALGORITHMS or not expected:
        raise BadOption(
            "The header Upload-Checksum cannot be read.",
            next_step=f"It is an algorithm ({', '.join(ALGORITHMS)}), a space, and the digest as base64.",
        )
    return Checksum(algorithm, expected)


def headers_of(transfer: Transfer) -> dict[str, str]:
    """How far a transfer is, for every answer that speaks of one."""
    return {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(transfer.received),
        "Upload-Length": str(transfer.length),
        "Upload-Expires": format_datetime(transfer.expires_at, usegmt=True),
        "Cache-Control": "no-store",
    }


def abilities(max_bytes: int) -> Mapping[str, str]:
    """What this server can do, for OPTIONS."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def say_version(response: Response) -> Response:
    """Every answer says which protocol was spoken; one to another version also which are."""
    response.headers["Tus-Resumable"] = VERSION
    if response.status_code == PreconditionFailed.code:
        response.headers["Tus-Version"] = VERSION
    return response
