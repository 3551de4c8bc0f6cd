"""Where the files of an upload lie in storage."""

from __future__ import annotations

import uuid

CANONICAL = ".canonical"
"""What the key of a canonical form has more than its upload's."""


def upload_key(upload_id: uuid.UUID) -> str:
    """Where an upload's bytes lie in storage."""
    return f"uploads/{upload_id}"


def canonical_key(upload_id: uuid.UUID) -> str:
    """Where an upload's canonical UTF-8 form lies, if it has one."""
    return upload_key(upload_id) + CANONICAL
