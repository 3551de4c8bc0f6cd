"""Physical lines of a byte stream: they end at LF, CRLF or CR, and at nothing else.

`str.splitlines` also breaks at VT, FF, NEL and U+2028, which are data in a cell; `bytes.splitlines` does not. A CR at
the very end of a block may be half of a CRLF, so it waits for the next block.
"""

from __future__ import annotations

import io


class LineSplitter:
    """Cuts blocks of bytes into lines, with their line ends; keeps the unfinished rest."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[bytes]:
        """The lines that `block` completes."""
        if self._rest:
            block = self._rest + block
        cut = max(block.rfind(b"\n"), block.rfind(b"\r", 0, max(len(block) - 1, 0))) + 1
        self._rest = block[cut:]
        return block[:cut].splitlines(keepends=True)

    def finish(self) -> list[bytes]:
        """The last line, if the stream ends without a line end, or with a CR."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class LineCounter:
    """Counts the line ends of a byte stream in any blocks."""

    def __init__(self) -> None:
        self._ends = 0
        self._after_cr = False

    def feed(self, block: bytes) -> None:
        """Counts on."""
        if not block:
            return
        self._ends += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
        if self._after_cr and block.startswith(b"\n"):
            self._ends -= 1
        self._after_cr = block.endswith(b"\r")

    def line_after(self, start: bytes = b"") -> int:
        """Number, from 1, of the line that the byte after what was fed, and then `start`, stands in."""
        probe = LineCounter()
        probe._ends, probe._after_cr = self._ends, self._after_cr
        probe.feed(start)
        return probe._ends + 1


def text_lines(text: str) -> list[str]:
    """Physical lines of a text, with their line ends."""
    return list(io.StringIO(text, newline=""))
