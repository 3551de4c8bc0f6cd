"""What is said of a job that is done: counts, what the file was taken for, what was odd, the commonest labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import EmobatchError
from emobatch.job import Job
from emobatch.progress import duration, row_figures

DEFAULT_TAXONOMY = "ekman"
TOP = 8
"""As many labels are counted in the summary; the commonest first."""
_SOURCES = {"jsonl": "JSON lines", "parquet": "Parquet", "xlsx": "workbook"}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space", "": "one column"}


@dataclass(frozen=True)
class Finished:
    """A job that was labelled, and its file."""

    job: Job
    output: Path | None
    """None: stdout, or another stream."""
    seconds: float
    """From the command to the file."""
    taxonomy: str
    """Whose labels are counted."""
    failed_rows: Sequence[Mapping[str, Any]]
    """The first of them."""
    mend: str = ""
    """What to type to get them all."""

    def lines(self) -> list[str]:
        """The summary, for people."""
        output = str(self.output) if self.output else "written to a stream"
        failed = [("failed", _failed(row)) for row in self.failed_rows]
        return _aligned(
            [
                *_job_pairs(self.job, self.taxonomy),
                *failed,
                ("to fix", self.mend),
                ("time", _time(self)),
                ("job", self.job.id),
                ("output", output),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The same for programs; ``job`` is the API's own status."""
        kept = ("row", "line", "row_status")
        return {
            "job": dict(self.job.fields),
            "failed_rows": [{name: row.get(name) for name in kept} for row in self.failed_rows],
            "output": str(self.output) if self.output else None,
            "seconds": round(self.seconds, 3),
        }


def status_lines(job: Job) -> list[str]:
    """A job as it is now, for people: ``emobatch status``."""
    head = [("job", job.id), ("file", job.filename), ("state", str(job.state).replace("_", " "))]
    if job.state.active:
        head.append(("so far", row_figures(job)))
    if job.error:
        head.append(("error", str(job.error)))
    return _aligned([*head, *_job_pairs(job, DEFAULT_TAXONOMY)])


def list_lines(jobs: Sequence[Job]) -> list[str]:
    """Jobs, one a line under a heading, in columns that spaces part."""
    rows = [("JOB", "STATE", "ROWS", "CREATED", "FILE")]
    for job in jobs:
        created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        filename = job.filename if job.filename.isprintable() else repr(job.filename)
        rows.append((job.id, str(job.state), f"{job.rows_done:,}/{job.rows_total:,}", created, filename))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _aligned(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{head:<8}{text}" for head, text in pairs if text]


def _job_pairs(job: Job, taxonomy: str) -> list[tuple[str, str]]:
    counts = job.fields.get("label_counts") or {}
    found = warnings(job.fields.get("warnings") or ())
    return [
        ("rows", _rows(job) if job.rows_total else ""),
        ("labels", _labels(counts.get(taxonomy, {}))),
        ("flags", _labels(job.fields.get("flag_counts") or {})),
        ("read as", _format(job.fields)),
        ("text", _text_column(job.fields)),
        ("model", _model(job.fields)),
        *(("warning", warning) for warning in found),
    ]


def warnings(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """A job's warnings as sentences with their places."""
    said = []
    for warning in found:
        message = str(warning.get("message", ""))
        where = EmobatchError(message, row=warning.get("row"), line=warning.get("line")).where
        count = warning.get("count", 1)
        if where and count > 1:
            where = f"{count:,} times, first at {where}"
        said.append(f"{where}: {message}" if where else message)
    return said


def _rows(job: Job) -> str:
    said = f"{job.rows_total:,}: {job.rows_ok:,} ok, {job.rows_skipped:,} skipped (empty), {job.rows_failed:,} failed"
    if identical := job.fields.get("rows_identical"):
        said += f"; {identical:,} with a text that came before"
    if blank := job.fields.get("blank_lines"):
        said += f"; {blank:,} blank lines"
    return said


def _failed(row: Mapping[str, Any]) -> str:
    reason = str(row["row_status"]).removeprefix("failed: ")
    return str(EmobatchError(reason, row=row["row"], line=row["line"]))


def _labels(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{label} {count:,}" for label, count in ordered[:TOP] if count]
    rest = sum(count for _, count in ordered[TOP:])
    return ", ".join([*said, f"others {rest:,}"] if rest else said)


def _model(fields: Mapping[str, Any]) -> str:
    """Which model, and what ran it; where that was more than one, for how many rows each."""
    counts = fields.get("runtimes") or {}
    ran = [f"{name} for {rows:,} rows" if len(counts) > 1 else name for name, rows in counts.items()]
    return ", ".join([f"{fields['model_name']} {fields['model_version']}", *ran]) if ran else ""


def _format(fields: Mapping[str, Any]) -> str:
    found = fields.get("format") or {}
    if not found:
        return ""
    if (source := found.get("source", "csv")) != "csv":
        sheet = [f"sheet {found['sheet']!r}"] if found.get("sheet") else []
        return ", ".join([_SOURCES.get(source, source), *sheet, *(["gzip"] if found.get("compression") else [])])
    delimiter = found["delimiter"]
    parts = [found["encoding"], _DELIMITERS.get(delimiter, f"delimiter {delimiter!r}")]
    parts += ["gzip"] if found.get("compression") else []
    parts += ["header" if found["has_header"] else "no header"]
    parts += [] if found.get("quoting", True) else ["quotes are text"]
    return ", ".join(parts)


def _text_column(fields: Mapping[str, Any]) -> str:
    column = fields.get("text_column") or {}
    if not column:
        return ""
    verb = "guessed because" if column.get("guessed") else "taken because"
    reason = f", {verb} {column['reason']}" if column.get("reason") else ""
    return f"column {column['name']!r} (number {column['index'] + 1}){reason}"


def _time(finished: Finished) -> str:
    labelling = finished.job.seconds
    said = duration(finished.seconds)
    if labelling:
        rate = finished.job.rows_done / labelling
        said += f", {duration(labelling)} of it labelling ({rate:,.{1 if rate < 10 else 0}f} rows/s)"
    return said
