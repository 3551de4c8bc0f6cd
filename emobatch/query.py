"""What the client puts into an address: the path of a job's part, and options as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote


def job_path(job_id: str, part: str = "") -> str:
    """Where a job's part is; whatever a user types as an id stays one segment."""
    return f"/jobs/{quote(job_id, safe='')}" + (f"/{part}" if part else "")


def yes_no(value: bool | None) -> str | None:
    """An option that is on, off, or left to the server."""
    return None if value is None else "yes" if value else "no"


def given(params: Mapping[str, Any]) -> dict[str, str]:
    """Options as a query has them; those that are None are left out."""
    return {name: str(value) for name, value in params.items() if value is not None}
