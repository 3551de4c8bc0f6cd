"""JSON lines: objects, one a line, become the records of a table.

The columns are the keys of the first objects, in order of their first appearance. What a later object has besides
follows its cells as one more cell, a JSON object, as the overflow of a long row does: nothing is lost, and no column
appears in the middle of a file. A line that is no object follows a row of empty cells in the same way, so that one
broken line costs one row; a file that has more of them than of others is something else, and is refused.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from core.errors import InputError, RecordTooLong
from core.table.warning import WarningCounter

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Of one object: escapes may make it longer than the record it becomes."""

_SURROGATES = "A text held half of a surrogate pair (such as \\ud83d), which is no character: \ufffd stands there."

_NO_OBJECT = "This line is not one JSON object; it is kept as it is, after the columns of a row that is empty."

_decode = json.JSONDecoder(strict=False).raw_decode
_SPACE = re.compile(r"[ \t\r\n]*")
_ONE_A_LINE = "Put each object on a line of its own, as `jq -c .` does, or `jq -c .[]` for an array."


def fields(line: str) -> dict[str, str]:
    """One object's keys and its values as text: strings as they are, null as nothing, all else as it is written.

    Raises:
        ValueError: the line is not one JSON object; the message says why.
    """
    found: dict[str, str] = {}
    at = _skip(line, 0)
    if line[at : at + 1] != "{":
        raise ValueError("it does not begin with {")
    at = _skip(line, at + 1)
    if line[at : at + 1] == "}":
        return _ended(line, at + 1, found)
    while True:
        key, at = _value(line, at)
        if not isinstance(key, str):
            raise ValueError("a key is not in quotes")
        at = _skip(line, at)
        if line[at : at + 1] != ":":
            raise ValueError(f"no colon follows the key {key[:50]!r}")
        start = _skip(line, at + 1)
        value, end = _value(line, start)
        found[key] = value if isinstance(value, str) else "" if value is None else line[start:end]
        at = _skip(line, end)
        if line[at : at + 1] == "}":
            return _ended(line, at + 1, found)
        if line[at : at + 1] != ",":
            raise ValueError(f"it breaks off, or has no comma, after the key {key[:50]!r}")
        at = _skip(line, at + 1)


def header_of(lines: Iterable[str]) -> tuple[str, ...]:
    """The columns of the objects in some lines, in order of first appearance; lines that are none are passed over."""
    columns: dict[str, None] = {}
    for line in lines:
        if line.strip():
            try:
                columns.update(dict.fromkeys(map(_encodable, fields(line))))
            except (ValueError, RecursionError):
                continue
    return tuple(columns)


class JsonLines:
    """Turns JSON lines into canonical CSV, block by block, in constant memory.

    The CSV has a header, a record for each line and a blank line for each blank one.

    Args:
        header: the columns.
        odd: is told what is odd.
    """

    def __init__(self, header: Sequence[str], odd: WarningCounter) -> None:
        self._header = list(header)
        self._places = {name: at for at, name in enumerate(header)}
        self._rest = b""
        self._line = 0
        self._row = 0
        self._n_broken = 0
        self._began = False
        self._odd = odd

    def feed(self, block: bytes) -> bytes:
        """Takes UTF-8 text of any length; gives what records it completes.

        Raises:
            InputError: more lines so far are no JSON object than are one; names line and row of this one.
            RecordTooLong: a line is too long.
        """
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise self._too_long()
        return self._written(lines)

    def finish(self) -> bytes:
        """The last line, if it has no end."""
        rest, self._rest = self._rest, b""
        return self._written([rest] if rest.strip() else [])

    def _written(self, lines: Sequence[bytes]) -> bytes:
        out = io.StringIO(newline="")
        # With CRLF a lone CR in a cell is quoted too.
        writer = csv.writer(out, lineterminator="\r\n")
        if not self._began:
            writer.writerow(self._header)
            self._began = True
        for line in lines:
            self._line += 1
            if not line.strip():
                out.write("\r\n")
                continue
            self._row += 1
            writer.writerow(self._cells(line))
        return out.getvalue().encode()

    def _cells(self, line: bytes) -> list[str]:
        if len(line) > MAX_LINE_BYTES:
            raise self._too_long()
        cells = [""] * len(self._header)
        try:
            found = fields(line.decode())
        except (ValueError, RecursionError) as error:
            self._n_broken += 1
            if 2 * self._n_broken > self._row:
                why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
                raise InputError(
                    f"This line is not one JSON object: {why}.", row=self._row, line=self._line, next_step=_ONE_A_LINE
                ) from None
            self._odd.add("no_object", _NO_OBJECT, row=self._row, line=self._line)
            return [*cells, line.decode().rstrip("\r")]
        more: dict[str, str] = {}
        for key, value in found.items():
            at = self._places.get(key)
            if at is None:
                more[key] = value
            else:
                cells[at] = self._encodable(value)
        if more:
            cells.append(self._encodable(json.dumps(more, ensure_ascii=False)))
        return cells

    def _encodable(self, text: str) -> str:
        fixed = _encodable(text)
        if fixed is not text:
            self._odd.add("surrogates", _SURROGATES, row=self._row, line=self._line)
        return fixed

    def _too_long(self) -> RecordTooLong:
        return RecordTooLong(
            f"This line is longer than {MAX_LINE_BYTES:,} bytes.",
            row=self._row + 1,
            line=self._line + 1,
            next_step=_ONE_A_LINE,
        )


def _value(line: str, at: int) -> tuple[Any, int]:
    try:
        return _decode(line, at)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1:,}") from None


def _skip(line: str, at: int) -> int:
    found = _SPACE.match(line, at)
    assert found
    return found.end()


def _ended(line: str, at: int, found: dict[str, str]) -> dict[str, str]:
    if line[at:].strip():
        raise ValueError(f"something follows the object at character {at + 1:,}")
    return found


def _encodable(text: str) -> str:
    """The text itself, or without halves of surrogate pairs if it has such."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
