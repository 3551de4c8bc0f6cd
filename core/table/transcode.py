"""Text in any encoding as UTF-8, block by block.

A byte that its encoding does not allow is an error, with one exception: where characters are several bytes long, a
program that cuts a text after so many bytes may cut a character. That costs the character, and is told; a file with
many such places is in another encoding.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from core.errors import EncodingFailed
from core.table.lines import LineCounter
from core.table.warning import WarningCounter

BY_CHARACTER = frozenset(
    "big5 big5hkscs cp932 cp949 cp950 euc_jis_2004 euc_jisx0213 euc_jp euc_kr gb18030 gb2312 gbk johab shift_jis"
    " shift_jis_2004 shift_jisx0213".split()
)
"""Encodings with characters of several bytes, each of which is read without regard to those before it."""

REPLACEMENT = "\ufffd"

_FEW, _ONE_IN = 10, 1000
_CUT = f"A character is cut here, or a byte belongs to none: {REPLACEMENT} stands there."
_NEXT_STEP = "Name the right encoding, or correct that place."
_BOM = codecs.BOM_UTF8


def transcoded(
    blocks: Iterable[bytes], encoding: str, *, complete: bool = True, odd: WarningCounter | None = None
) -> Iterator[bytes]:
    """Turns blocks of text in `encoding` into blocks of UTF-8 without byte order mark.

    Args:
        blocks: unpacked text.
        encoding: Python codec name.
        complete: False if the text may be cut within a character, as the head of a file is.
        odd: is told of characters that are cut.

    Raises:
        EncodingFailed: naming file line and byte offset (in the text) of bytes that the encoding does not allow.
    """
    text = _Text(encoding, odd or WarningCounter())
    at_start = True
    for block, final in _with_end(blocks, complete):
        data = text.transcode(block, final)
        if data and at_start:
            data = data.removeprefix(_BOM)
            at_start = False
        if data:
            yield data


class _Text:
    """What is transcoded so far of a text."""

    def __init__(self, encoding: str, odd: WarningCounter) -> None:
        self._encoding = encoding
        self._odd = odd
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._lines = LineCounter()
        self._consumed = 0
        self._n_cut = 0

    def transcode(self, block: bytes, final: bool) -> bytes:
        """The next part. Raises EncodingFailed: as `transcoded`."""
        state = self._decoder.getstate()
        try:
            data = self._decoder.decode(block, final).encode()
        except UnicodeDecodeError as error:
            begin = self._consumed - len(state[0])
            if self._encoding not in BY_CHARACTER:
                self._decoder.setstate(state)
                good = self._decoder.decode(block[: max(error.start - len(state[0]), 0)])
                raise self._failed(begin + error.start, good.encode()) from error
            data = self._around_cuts(state[0] + block, final, begin)
        except UnicodeError as error:
            raise EncodingFailed(
                f"Near byte {self._consumed:,} the text is not {self._encoding}.",
                line=self._lines.line_after(),
                next_step=_NEXT_STEP,
            ) from error
        else:
            self._lines.feed(data)
        self._consumed += len(block)
        return data

    def _around_cuts(self, data: bytes, final: bool, begin: int) -> bytes:
        """Transcodes what begins at byte `begin` of the text; what is no character becomes one that says so."""
        parts = []
        while True:
            self._decoder.reset()
            try:
                parts.append(self._decoder.decode(data, final).encode())
            except UnicodeDecodeError as error:
                good = data[: error.start].decode(self._encoding).encode()
                self._n_cut += 1
                if self._n_cut > _FEW + (begin + error.start) // _ONE_IN:
                    raise self._failed(begin + error.start, good) from error
                self._lines.feed(good)
                self._odd.add("character_cut", _CUT, row=None, line=self._lines.line_after())
                parts += [good, REPLACEMENT.encode()]
                data, begin = data[error.end :], begin + error.end
            else:
                self._lines.feed(parts[-1])
                return b"".join(parts)

    def _failed(self, offset: int, good: bytes) -> EncodingFailed:
        return EncodingFailed(
            f"Byte {offset:,} of the text is not {self._encoding}.",
            line=self._lines.line_after(good),
            next_step=_NEXT_STEP,
        )


def _with_end(blocks: Iterable[bytes], complete: bool) -> Iterator[tuple[bytes, bool]]:
    for block in blocks:
        yield block, False
    if complete:
        yield b"", True
