"""What was measured, for people and for programs: a table on the terminal, a table in Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.group import Group, Line, show

QUICK_KEYS = {
    "same_weights_ratio": "a",
    "best_batch_ratio": "a",
    "label_agreement": "a",
    "student_ratio": "a",
    "sgemm_share": "b",
    "end_to_end_share": "c",
}
"""The keys of the quick form's one line, and the group that measures each."""

_HEAD = ("", "what", "median", "lowest – highest", "unit", "target", "")


def quick_line(groups: Sequence[Group]) -> str:
    """The quick form's result: one line of JSON, null where something was not measured."""
    by_letter = {group.letter: group for group in groups}
    found: dict[str, float | None] = {}
    for key, letter in QUICK_KEYS.items():
        line = by_letter[letter].line(key) if letter in by_letter else None
        found[key] = round(line.figure.median, 4) if line else None
    return json.dumps(found)


def as_json(facts: dict[str, Any], groups: Sequence[Group]) -> str:
    """Everything: what `facts` says of machine and run, and every group by its letter."""
    content = facts | {"measurements": {group.letter: group.to_dict() for group in groups}}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def print_table(console: Console, groups: Sequence[Group]) -> None:
    """A table on the terminal, a section for each group."""
    table = Table(*_HEAD, title="Benchmarks", title_justify="left")
    for group in groups:
        table.add_row(f"[bold]{group.letter}[/]", f"[bold]{group.title}[/]")
        if group.skipped:
            table.add_row("", f"skipped: {group.skipped}")
        for line in group.lines:
            table.add_row("", *_cells(line))
        for note in group.notes:
            table.add_row("", f"[dim]{note}[/]")
        table.add_section()
    console.print(table)


def markdown(facts: dict[str, Any], groups: Sequence[Group]) -> str:
    """The same as Markdown, with how each group was measured."""
    machine = facts["machine"]
    how_often = f"{facts['rounds']} rounds" if "rounds" in facts else f"seed {facts['seed']}"
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {', '.join(machine['instruction_sets'])}; "
        f"Python {machine['python']}. `{facts['command']}`, {how_often}. {facts['corpus']}.",
        "",
    ]
    for group in groups:
        lines += [f"### ({group.letter}) {group.title}", "", group.how, ""]
        if group.skipped:
            lines += [f"Skipped: {group.skipped}.", ""]
            continue
        lines += ["| what | median | lowest – highest | unit | target | |", "|---|--:|--:|---|---|---|"]
        lines += [f"| {' | '.join(_cells(line))} |" for line in group.lines]
        lines += ["", *(f"- {note}" for note in group.notes), ""]
    return "\n".join(lines)


def write(folder: Path, facts: dict[str, Any], groups: Sequence[Group], name: str = "results") -> None:
    """Writes <name>.json and <name>.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(as_json(facts, groups), encoding="utf-8")
    (folder / f"{name}.md").write_text(markdown(facts, groups), encoding="utf-8")


def _cells(line: Line) -> tuple[str, ...]:
    figure, target = line.figure, line.target
    span = f"{show(figure.low)} – {show(figure.high)}" if len(figure.values) > 1 else ""
    met = "" if target is None else "met" if target.met(figure.median) else "MISSED"
    return line.what, show(figure.median), span, line.unit, str(target or ""), met
