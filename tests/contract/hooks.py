"""What Schemathesis does not know of itself: the media type in which tus sends bytes."""

from __future__ import annotations

import schemathesis
from schemathesis.transport.serialization import serialize_binary


@schemathesis.serializer("application/offset+octet-stream")
def serialize_bytes(context: schemathesis.SerializationContext, value: object) -> bytes:
    """As `application/octet-stream`, which it does know."""
    return serialize_binary(value)  # type: ignore[arg-type]
