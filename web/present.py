"""How numbers, times, states and labels look on a page. Pure: values in, words and plain records out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from core import flags
from core.jobs import JobStatus
from core.registry import KnownModel, ModelVersion
from core.removal import Removed
from core.states import JobState
from core.table.warning import Warning_

GROUPS = "ekman"
"""The taxonomy whose labels have colours; a finer label wears the colour of the group it belongs to."""

_STATE_WORDS = {
    JobState.QUEUED: ("Queued", "idle"),
    JobState.INGESTING: ("Reading", "busy"),
    JobState.RUNNING: ("Labelling", "busy"),
    JobState.COMPLETED: ("Done", "good"),
    JobState.COMPLETED_WITH_ERRORS: ("Done, some rows failed", "warn"),
    JobState.FAILED: ("Failed", "bad"),
    JobState.CANCELLED: ("Cancelled", "idle"),
    JobState.EXPIRED: ("Expired", "idle"),
}

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", "": "none: one column", " ": "space"}
_SOURCES = {"jsonl": "JSON lines", "parquet": "Parquet", "xlsx": "workbook (.xlsx)"}
_LINE_ENDS = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}

_ROUGH_UNITS = ((1, "s"), (60, "min"), (3_600, "h"), (86_400, "days"))
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Bar:
    """One label's share of the rows that have one."""

    label: str
    count: int
    share: float
    """Of all labelled rows, from 0 to 1."""
    width: float
    """Of the longest bar, from 0 to 1."""
    colour: str


def install(app: Flask) -> None:
    """Makes the helpers known to templates."""
    app.jinja_env.filters.update(
        code=code,
        number=number,
        roughly=roughly,
        percent=percent,
        size=size,
        duration=duration,
        rate=rate,
        when=when,
        score=score,
        delimiter=delimiter,
    )
    app.jinja_env.globals.update(
        state_words=state_words,
        between=between,
        stopped_early=stopped_early,
        done_of=done_of,
        progress_of=progress_of,
        facts_of=facts_of,
        warnings_of=warnings_of,
        flag_words=flag_words,
        model_choices=model_choices,
        flag_meanings=flags.MEANINGS,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def code(text: str) -> Markup:
    """A message with its `commands` set as code; nothing else in it is markup."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def number(value: int) -> str:
    """12345 → ``12,345``."""
    return f"{value:,}"


def roughly(value: int) -> str:
    """An estimated number, with two digits that mean something: 12345 → ``12,000``."""
    return f"{round(value, 2 - len(str(abs(value)))):,}"


def percent(share: float) -> str:
    """0.1234 → ``12.3 %``; small shares keep a sign of life, and only all of it is 100 %."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    if value < 0.1:
        return "< 0.1 %"
    return f"{math.floor(10 * value + 1e-9) / 10:.1f} %" if 99.9 <= value < 100 else f"{value:.1f} %"


def score(value: float | None) -> str:
    """A calibrated score as two decimals; ``""`` where there is none."""
    return "" if value is None else f"{value:.2f}"


def size(n_bytes: int | None) -> str:
    """Bytes in words: ``1.4 MB``."""
    value, unit = float(n_bytes or 0), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, bigger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def deleted(removed: Removed) -> str:
    """What a deletion took away, in a sentence."""
    went = [f"{removed.rows:,} rows"]
    went += [f"{size(removed.upload_bytes)} of file"] if removed.upload_bytes else []
    went += [f"{size(removed.result_bytes)} of results"] if removed.result_bytes else []
    return f"{removed.filename} is deleted for good: {', '.join(went)}."


def duration(seconds: float | None) -> str:
    """Seconds in at most two units: ``2 min 5 s``; under a second ``< 1 s``."""
    if seconds is None:
        return ""
    left = math.ceil(seconds)
    if left < 1 or seconds < 1:
        return "< 1 s"
    for at, (length, unit) in enumerate(_UNITS):
        if left >= length:
            count, rest = divmod(left, length)
            if at + 1 < len(_UNITS) and rest >= _UNITS[at + 1][0]:
                return f"{count} {unit} {rest // _UNITS[at + 1][0]} {_UNITS[at + 1][1]}"
            return f"{count} {unit}"
    raise AssertionError("every whole number of seconds has a unit")


def between(low: float, high: float) -> str:
    """A range of estimated seconds, in one unit: ``20 to 45 s``, ``about 3 min``, ``under 2 s``."""
    if high < 2:
        return "under 2 s"
    length, unit = next((length, unit) for length, unit in reversed(_ROUGH_UNITS) if high >= 2 * length or length == 1)
    first, last = (_rough(seconds / length) for seconds in (low, high))
    if first == "0":
        return f"under {last} {unit}"
    return f"about {last} {unit}" if first == last else f"{first} to {last} {unit}"


def _rough(value: float) -> str:
    if value < 10:
        return f"{math.floor(value):d}" if value < 1 else f"{value:.0f}"
    return f"{5 * round(value / 5):,d}"


def delimiter(found: str) -> str:
    """A delimiter's name, or the sign itself where it has none."""
    return _DELIMITERS.get(found, found)


def rate(rows_per_s: float | None) -> str:
    """``312 rows/s``; slow ones keep a decimal."""
    if not rows_per_s:
        return ""
    return f"{rows_per_s:,.0f} rows/s" if rows_per_s >= 10 else f"{rows_per_s:.1f} rows/s"


def when(moment: datetime | None) -> str:
    """A UTC time as people write it; the page's script turns it into local time."""
    return "" if moment is None else moment.strftime("%d %b %Y, %H:%M UTC")


def state_words(state: JobState) -> tuple[str, str]:
    """A state's name on a page, and its tone: idle, busy, good, warn or bad."""
    return _STATE_WORDS[state]


def stopped_early(status: JobStatus) -> bool:
    """Whether a job was closed before its end: the rows it did not reach count as failed then."""
    return status.state in (JobState.CANCELLED, JobState.FAILED)


def done_of(status: JobStatus) -> int:
    """The rows a job got through."""
    return status.rows_ok + status.rows_skipped if stopped_early(status) else status.rows_done


def progress_of(status: JobStatus) -> float | None:
    """How much of a job is done, from 0 to 1; None while nobody knows how long it is."""
    if status.state in (JobState.COMPLETED, JobState.COMPLETED_WITH_ERRORS):
        return 1.0
    if not status.rows_total_final or not status.rows_total:
        return None
    return done_of(status) / status.rows_total


def warnings_of(status: JobStatus) -> list[str]:
    """A job's warnings as sentences."""
    return [str(Warning_.from_dict(warning)) for warning in status.warnings]


def model_choices(models: Sequence[KnownModel]) -> list[tuple[str, str]]:
    """Model versions as the choices of a select: their hashes, and what people call them."""
    return [(model.sha256, f"{model.name} {model.version}") for model in models]


def flag_words(flag: str) -> str:
    """A trust flag as people write it: ``not_english`` → ``not English``."""
    return flag.replace("_", " ").replace("english", "English")


def facts_of(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What was detected about a file, as pairs of words; nothing for a file that is gone."""
    if not found:
        return []
    packed = " (gzip)" if found["compression"] else ""
    source = found.get("source", "csv")
    if source != "csv":
        sheet = [("Sheet", found["sheet"])] if found.get("sheet") else []
        header = [("Columns", number(len(found["header"])))] if found["header"] else []
        names = "yes" if found["has_header"] else "no: columns are numbered"
        return [
            ("Format", _SOURCES[source] + packed),
            *sheet,
            *([("Header", names)] if source == "xlsx" else []),
            *header,
        ]
    return [
        ("Encoding", f"{found['encoding']}{packed}"),
        ("Delimiter", delimiter(found["delimiter"])),
        ("Header", "yes" if found["has_header"] else "no: columns are numbered"),
        ("Line ends", _LINE_ENDS.get(found["line_end"], found["line_end"])),
        ("Columns", number(len(found["header"]))),
    ]


def bars(counts: Mapping[str, int], model: ModelVersion, taxonomy: str) -> list[Bar]:
    """The labels of a taxonomy with their counts: in the order of the taxonomy if it is short, else by count."""
    labels = model.taxonomies[taxonomy].labels
    total, most = sum(counts.values()), max(counts.values(), default=0)
    if not total:
        return []
    if len(labels) > 10:
        labels = tuple(sorted((label for label in labels if counts.get(label)), key=lambda label: -counts[label]))
    colour = colours(model, taxonomy)
    return [
        Bar(label, n := counts.get(label, 0), share=n / total, width=n / most, colour=colour[label]) for label in labels
    ]


def colours(model: ModelVersion, taxonomy: str) -> dict[str, str]:
    """The colour name of each label: the group of `GROUPS` that holds its first member, or its own name."""
    chosen = model.taxonomies[taxonomy]
    groups = model.taxonomies.get(GROUPS)
    if groups is None or taxonomy in (GROUPS, "sentiment"):
        return {label: label for label in chosen.labels}
    home = {member: label for label, members in zip(groups.labels, groups.members, strict=True) for member in members}
    return {
        label: home.get(members[0], "neutral") for label, members in zip(chosen.labels, chosen.members, strict=True)
    }
