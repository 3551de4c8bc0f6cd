"""Model versions and comparisons as lines for people: ``emobatch models``, ``emobatch compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 60
"""Characters shown of a text."""
PAIRS = 8


def model_lines(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """One version a line under a heading; which one is the default, and which can label now."""
    rows = [("MODEL", "VERSION", "HASH", "WORKERS", "")]
    for model in models:
        note = "default" if model["default"] else "" if model["workers"] else "only read"
        rows.append((model["name"], model["version"], model["sha256"][:12], str(model["workers"]), note))
    return columns(rows)


def comparison_lines(found: Mapping[str, Any]) -> list[str]:
    """Agreement in a sentence, what became what, and the first rows that changed."""
    if not found["rows"]:
        return ["No row was labelled by both."]
    said = f"{found['rows']:,} rows labelled by both: {found['agreement']:.1%} the same, {found['changed']:,} changed."
    pairs = [("", pair["before"], "->", pair["after"], f"{pair['rows']:,}") for pair in found["pairs"][:PAIRS]]
    rows = [
        (f"row {row['row']}", f"{row['label_before']} -> {row['label_after']}", _short(row["text"]))
        for row in found["changes"]
    ]
    return [said, *columns(pairs), *columns(rows)]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
