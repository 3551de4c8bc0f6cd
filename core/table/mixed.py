"""UTF-8 with bytes in it that are none, as a codec of its own: each of those is the letter it is in Windows-1252.

An export that cut a text within a character, or a line pasted in from an older program, would else cost the whole file:
no encoding that Python knows reads it. Every byte is read, so nothing can fail; written, it is plain UTF-8.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

UTF8_OR_CP1252 = "utf-8-or-cp1252"
NOT_IN_CP1252 = tuple(bytes([byte]) for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
"""The bytes that Windows-1252 lacks. Here they are the control characters they are in Latin-1, as in the Encoding
Standard of the WHATWG."""

_HANDLER = "emobatch.cp1252"

_LETTERS = [bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte)) for byte in range(256)]


def _as_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(_LETTERS[byte] for byte in error.object[error.start : error.end]), error.end


def _decode(data: ReadableBuffer, errors: str = "strict", final: bool = True) -> tuple[str, int]:
    return codecs.utf_8_decode(data, _HANDLER, final)


class _Decoder(codecs.BufferedIncrementalDecoder):
    def _buffer_decode(self, data: ReadableBuffer, errors: str, final: bool) -> tuple[str, int]:
        return _decode(data, errors, final)


def _find(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != UTF8_OR_CP1252:
        return None
    utf8 = codecs.lookup("utf-8")
    return codecs.CodecInfo(
        utf8.encode,
        _decode,
        incrementalencoder=utf8.incrementalencoder,
        incrementaldecoder=_Decoder,
        name=UTF8_OR_CP1252,
    )


codecs.register_error(_HANDLER, _as_letters)
codecs.register(_find)
