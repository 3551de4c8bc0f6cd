"""A look at a file before it is sent: what it will be taken for, what its first rows get, how long it will take.

The head comes as the body of a request. Labels come through the synchronous lane, and so does the speed: the seconds
that the model took for this very file's first texts, on the workers that are alive now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from core.errors import BadOption
from core.preview import Preview, RowEstimate, preview
from core.registry import version_of
from core.results.labels import Labeller
from core.workers import live_slots
from web.auth import require_account
from web.lane_schemas import PreviewOptions, results_of
from web.reading import with_own
from web.state import state

SHOWN = 20
"""Rows shown of a file."""

SAMPLE = 64
"""Rows labelled for the speed to be measured, where they fit into one request."""

MAX_HEAD = 8 * 1024 * 1024
"""What is taken of a file at most. A page sends much less; a whole file of this size may be looked at."""

SLOWEST = 2.0
"""A job may take this many times what the sample says: its rows are read and written too, and others' take turns."""


@dataclass(frozen=True)
class Duration:
    """Seconds of work, as a range."""

    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What the first rows get, and how long the whole file will take.

    Attributes:
        results: one for each of the texts; None where it was left out, being too long for a look.
        duration: of the work alone; None where nothing could be measured.
    """

    results: list[dict[str, Any] | None]
    duration: Duration | None


def read_head(options: PreviewOptions) -> Preview:
    """Looks at the head of a file that is the body of the current request.

    Raises:
        InputError, LimitExceeded: as `core.preview.preview`; and BadOption where there is no body.
    """
    request.max_content_length = MAX_HEAD
    head = request.get_data(cache=False)
    if not head:
        raise BadOption("There is no file to look at.", next_step="Send the first bytes of the file as the body.")
    n_bytes = len(head) if options.bytes is None else options.bytes
    if n_bytes < len(head):
        raise BadOption(f"bytes={n_bytes} is less than what was sent.", next_step="Send the size of the whole file.")
    return preview(
        head,
        n_bytes=n_bytes,
        overrides=options.overrides,
        text_column=options.text_column,
        max_columns=state().settings.max_columns,
    )


def label_texts(texts: Sequence[str], rows: RowEstimate, options: PreviewOptions) -> Forecast:
    """Labels the first texts of a file, through the synchronous lane.

    Args:
        texts: of the first rows.
        rows: how many the file has.
        options: taxonomy and threshold.

    Raises:
        BadOption: an unknown taxonomy or threshold.
        Unavailable: no worker answers.
    """
    labeller = Labeller(with_own(version_of(state().model), options.reading.taxonomy), options.reading)
    chosen = state().lane.fitting(texts[:SAMPLE])
    results: list[dict[str, Any] | None] = [None] * len(texts)
    if not chosen:
        return Forecast(results, None)
    answer = state().lane.classify(require_account(), [texts[index] for index in chosen])
    for index, result in zip(chosen, results_of(labeller, answer), strict=True):
        results[index] = result
    return Forecast(results, _duration(rows, answer.scored_s / len(chosen)))


def _duration(rows: RowEstimate, row_s: float) -> Duration:
    with state().db.transaction(require_account()) as session:
        slots = max(1, live_slots(session, state().model.sha256))
    return Duration(rows.low * row_s / slots, SLOWEST * rows.high * row_s / slots)
