"""The campaign's table, as text and between two marks of docs/reliability.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

BEGIN = "<!-- faults: begin -->"
END = "<!-- faults: end -->"

HEAD = ("fault", "count", "recovered", "lost", "duplicated", "worst recovery, s")


def show(done: Sequence[dict[str, Any]]) -> str:
    """A Markdown table, a row for each kind."""
    rows = [HEAD, tuple("---" if number == 0 else "---:" for number in range(len(HEAD)))]
    for one in done:
        title = one["title"] + ("" if one["ok"] else " (**failed**)")
        worst = f"{one['worst_s']:.1f}" if one["worst_s"] else ""
        cells = (title, one["count"], one["recovered"], one["lost"], one["duplicated"], worst)
        rows.append(tuple(str(cell) for cell in cells))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(page: Path, done: Sequence[dict[str, Any]], seed: int, late: bool, minutes: float) -> None:
    """Puts the table, and how long the campaign took, between the page's marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    command = f"python -m tests.faults --seed {seed}{' --acks-late' if late else ''}"
    said = f"`{command}`: {sum(one['count'] for one in done):,} faults in {minutes:.0f} minutes.\n\n{show(done)}\n"
    page.write_text(f"{before}{BEGIN}\n{said}{END}{after}")
