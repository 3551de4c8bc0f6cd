"""A job in figures, as the API gives them: counted when they are first asked for, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from emobatch.connection import Connection, read
from emobatch.job import View
from emobatch.query import given, job_path

PAUSE_S = 1.0
VIEW = View()
"""The default taxonomy, at its fitted thresholds."""


def summary(
    connection: Connection, sleep: Callable[[float], None], job_id: str, view: View, *, by: str, rows: bool
) -> Mapping[str, Any]:
    """Rows by status (``rows``), top labels in every taxonomy (``taxonomies``), and once the job is finished
    ``figures``: shares with 95 % intervals, labels that are said together, a breakdown, rows that stand for labels.

    Args:
        view: taxonomy and threshold.
        by: a column's name or number, to break down by; empty: no breakdown.
        rows: with typical and uncertain rows of each label.
    """
    params = given({"by": by or None, "examples": "yes" if rows else None} | view.params())
    params.pop("scores", None)
    while True:
        response = connection.repeat("GET", job_path(job_id, "summary"), params=params)
        if response.status_code != httpx.codes.ACCEPTED:
            return read(response, dict)
        sleep(PAUSE_S)
