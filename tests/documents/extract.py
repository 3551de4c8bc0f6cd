"""Commands as they stand in the documents.

Every line of a fenced block with ``sh``, ``bash``, ``console`` or no word after its fence is a command, if the block is
one of commands at all: `text` as the word says that it is none. A comment before the block, ``<!-- not run: why -->``,
takes its commands out of those that are run; they are still checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

LANGUAGES = {"sh", "bash", "shell", "console"}
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")
FENCE = re.compile(r"^(\s*)```+\s*([\w-]*)\s*$")


@dataclass(frozen=True)
class Command:
    """One command: where it stands, its words as the shell gets them, and why it is not run, if it is not."""

    file: str
    line: int
    text: str
    not_run: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def documents() -> list[Path]:
    """Everything a reader is led to, but for what commands write (docs/model)."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [path for path in (*top, *sorted((ROOT / "docs").glob("*.md"))) if path.exists()]


def commands(path: Path, text: str | None = None) -> Iterator[Command]:
    """The commands of one document, in their order."""
    name = str(path.relative_to(ROOT)) if path.is_absolute() else str(path)
    lines = (path.read_text() if text is None else text).splitlines()
    inside, not_run, begun, held = False, "", 0, ""
    before = ""
    for number, line in enumerate(lines, 1):
        if fence := FENCE.match(line):
            if inside or fence[2] in LANGUAGES:
                inside = not inside
                not_run = marked[1] if inside and (marked := NOT_RUN.search(before)) else ""
        elif inside:
            begun = begun or number
            held += line
            if held.endswith("\\"):
                held = held[:-1] + " "
                continue
            if open_quote(held):
                held += "\n"
                continue
            if stripped := without_comment(held):
                yield Command(name, begun, stripped, not_run)
            begun, held = 0, ""
        if line.strip():
            before = line


def without_comment(line: str) -> str:
    """A line of shell without what stands after a ``#`` that begins a word outside quotes."""
    return line[: _scan(line)[0]].strip()


def open_quote(line: str) -> str:
    """The quote that a line opens and does not close, so that the command goes on in the next."""
    return _scan(line)[1]


def _scan(line: str) -> tuple[int, str]:
    quote = ""
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (at == 0 or line[at - 1].isspace()):
            return at, ""
    return len(line), quote
