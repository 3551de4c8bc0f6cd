"""UTF-16 that does not say so: without a byte order mark, it is told by where its NUL bytes stand.

To a UTF-8 decoder such a file of English text is valid: every second character is NUL.
"""

from __future__ import annotations


def utf16_without_bom(head: bytes) -> str | None:
    """``"utf-16-le"``, ``"utf-16-be"`` or None, from the first bytes of a file that has no byte order mark."""
    head = head[: len(head) // 2 * 2]
    nuls_even, nuls_odd = head[::2].count(0), head[1::2].count(0)
    # ASCII characters, at least delimiters and line ends, have their NUL on one side. The other side has few: of
    # characters such as U+4E00, the Chinese "one".
    most, fewest = max(nuls_even, nuls_odd), min(nuls_even, nuls_odd)
    if most == 0 or most * 2 < len(head) * 0.05 or fewest > most * 0.25:
        return None
    encoding = "utf-16-be" if nuls_even > nuls_odd else "utf-16-le"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(head) - 2:  # a pair of surrogates may be cut at the end
            return None
        text = head[: error.start].decode(encoding)
    # A stray NUL in an ASCII file also stands on one side, but no line ends come of reading that file in pairs.
    if "\0" in text or not ("\n" in text or "\r" in text):
        return None
    return encoding
