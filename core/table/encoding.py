"""Which encoding a file is in: by its byte order mark, else UTF-8 if all of it is, else a guess that is said aloud.

A file that is UTF-8 but for a few bytes is read as that, and these bytes as what they most often are: see `mixed`.
So is one in Windows-1252 with bytes that this has not: somebody pasted UTF-8 into it.

A wrong guess gives no error, only wrong letters, so it always comes with a warning that shows some of them. Once
chosen, the encoding is kept: a later byte that it does not allow is no reason to guess again (see `transcode`).
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import chardet

from core.errors import EncodingFailed
from core.table.check import CheckResult
from core.table.head import Head
from core.table.mixed import NOT_IN_CP1252, UTF8_OR_CP1252
from core.table.transcode import BY_CHARACTER, REPLACEMENT
from core.table.utf16 import utf16_without_bom
from core.table.warning import Warning_

# Longest first: UTF-32's mark starts with UTF-16's.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# What chardet may answer, in its names, which are Python codecs: those that tables are really saved in, each as the
# superset that decodes its subsets too. Its confidences are close on short samples of Latin letters, so they are
# weighed by how common a file in that encoding is today; the weights are tuned on the table of tests/.
_CANDIDATES: dict[str, tuple[str, float]] = {
    "cp1252": ("Western European", 1.3),
    "cp1250": ("Central European", 1.0),
    "iso8859-2": ("Central European", 1.0),
    "cp1251": ("Cyrillic", 1.0),
    "iso8859-5": ("Cyrillic", 1.0),
    "koi8-r": ("Russian", 1.0),
    "koi8-u": ("Ukrainian", 1.0),
    "cp866": ("Cyrillic, DOS", 0.8),
    "cp1253": ("Greek", 1.0),
    "cp1254": ("Turkish", 1.0),
    "cp1255": ("Hebrew", 1.0),
    "cp1256": ("Arabic", 1.0),
    "iso8859-6": ("Arabic", 1.0),
    "cp1257": ("Baltic", 1.0),
    "cp1258": ("Vietnamese", 1.0),
    "cp874": ("Thai", 1.0),
    "cp932": ("Japanese, Shift-JIS", 1.0),
    "euc_jis_2004": ("Japanese, EUC", 1.0),
    "gb18030": ("Chinese, GB", 1.0),
    "big5hkscs": ("Chinese, Big5", 1.0),
    "cp949": ("Korean", 1.0),
    "mac-roman": ("Western European, old Macintosh", 0.75),
    "cp850": ("Western European, DOS", 0.8),
    "cp437": ("Western European, DOS", 0.75),
}
_FALLBACK = "cp1252"
_NO_EVIDENCE = 0.01
"""chardet's confidence where it has seen a letter or two."""
_SAMPLE_BYTES = 64 * 1024
_ONE_CUT_IN = 100
"""Characters beyond ASCII; where more of them are cut than one in so many, the encoding is another."""
_ALPHABETS = ("CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI")
"""Scripts that share no word with Latin letters."""


@dataclass(frozen=True)
class Found:
    """An encoding, and how it was found if that needs saying."""

    encoding: str
    warnings: tuple[Warning_, ...] = ()


def find_encoding(head: Head, check: CheckResult, override: str | None) -> Found:
    """The encoding of a text, from its head and from what `StreamCheck` learnt of all of it.

    Args:
        head: its first bytes.
        check: in particular whether all of it is UTF-8, and a sample from where it first is not.
        override: the user's word, a Python codec name.

    Raises:
        EncodingFailed: the encoding given does not fit, or none was recognised.
    """
    marked = next((name for bom, name in _BOMS if head.data.startswith(bom)), None)
    if override is not None:
        return Found(_overridden(override, marked, head, check))
    if marked == "utf-8-sig" and not check.utf8_valid:
        return _mixed(check)
    if marked is not None:
        return Found(marked)
    unmarked = utf16_without_bom(head.data)
    if unmarked is not None:
        return Found(unmarked)
    if check.utf8_valid:
        if b"\x1b$" in head.data and _decodes(head, "iso2022_jp_2"):
            return Found("iso2022_jp_2", (_guessed("iso2022_jp_2", "Japanese, ISO-2022-JP", "", 1),))
        return Found("utf-8")
    if _is_mostly_utf8(head.data + check.sample):
        return _mixed(check)
    sample = _telling_lines(head, check)
    encoding = "cp1252" if _is_pasted_into(sample) else _guess(sample, head)
    meaning = _CANDIDATES[encoding][0]
    if encoding == "cp1252" and not check.fits_cp1252:
        encoding = UTF8_OR_CP1252
    warning = _guessed(encoding, meaning, _excerpt(sample, encoding), check.first_bad_line)
    return Found(encoding, (warning,))


def _overridden(encoding: str, marked: str | None, head: Head, check: CheckResult) -> str:
    if encoding in ("utf-8", "ascii"):
        encoding = "utf-8-sig" if marked == "utf-8-sig" else "utf-8"
    if encoding in ("utf-8", "utf-8-sig") and not check.utf8_valid:
        raise EncodingFailed(
            f"The file is not {encoding}: byte {check.first_bad_byte:,} of its text does not belong to it.",
            line=check.first_bad_line,
            next_step="Leave the encoding to be detected, or name another.",
        )
    wide = encoding.startswith(("utf-16", "utf-32"))
    if (wide and b"\0" not in head.data) or not _decodes(head, encoding):
        raise EncodingFailed(
            f"The file is not {encoding}.", next_step="Leave the encoding to be detected, or name another."
        )
    return encoding


def _decodes(head: Head, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        decoder("strict").decode(head.data, head.complete)
    except (UnicodeError, ValueError):
        if encoding not in BY_CHARACTER:
            return False
        return _is_cut_seldom(decoder("replace").decode(head.data, head.complete))
    return True


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether the characters beyond ASCII are UTF-8 sequences, but for a few: bytes were cut or pasted in."""
    text = data.decode("utf-8", "replace")
    bad = text.count(REPLACEMENT)
    good = _beyond_ascii(text) - bad
    return good >= 4 and good > 3 * bad


def _mixed(check: CheckResult) -> Found:
    text = check.sample.decode(UTF8_OR_CP1252)
    at = len(check.sample[: check.first_bad_in_sample].decode(UTF8_OR_CP1252))
    warning = Warning_(
        "encoding_mixed",
        "The file is UTF-8 except for some bytes, the first in this line. Each was read as the letter it is in"
        f' Windows-1252: "{_around(text, at)}". If that is wrong, correct these places.',
        line=check.first_bad_line,
    )
    return Found(UTF8_OR_CP1252, (warning,))


def _telling_lines(head: Head, check: CheckResult) -> bytes:
    """The lines that are not plain ASCII: digits and delimiters say nothing about an encoding."""
    lines = list(_whole_lines(head.data, last=head.complete)) + list(_whole_lines(check.sample, first=False))
    telling = b"".join(line for line in lines if not line.isascii())[:_SAMPLE_BYTES]
    return telling or check.sample


def _whole_lines(data: bytes, *, first: bool = True, last: bool = False) -> Iterator[bytes]:
    lines = data.splitlines(keepends=True)
    return iter(lines[0 if first else 1 : None if last else -1])


def _guess(sample: bytes, head: Head) -> str:
    for name in filter(BY_CHARACTER.__contains__, _CANDIDATES):
        # To chardet a single cut character rules an encoding out.
        whole = _without_cuts(sample, name)
        if whole and _ranked(whole)[0] == name and _decodes(head, name):
            return name
    for name in _ranked(sample):
        if _decodes(head, name):
            return name
    raise EncodingFailed(
        "The file is not UTF-8, and its encoding was not recognised.",
        next_step="Save it as UTF-8, or name its encoding.",
    )


def _without_cuts(sample: bytes, encoding: str) -> bytes | None:
    """The lines of which every character is whole, if a few are not; None: all are, or too many are not."""
    text = sample.decode(encoding, "replace")
    if REPLACEMENT not in text or not _is_cut_seldom(text):
        return None
    return b"".join(
        line for line in sample.splitlines(keepends=True) if REPLACEMENT not in line.decode(encoding, "replace")
    )


def _is_cut_seldom(text: str) -> bool:
    return _ONE_CUT_IN * text.count(REPLACEMENT) <= _beyond_ascii(text)


def _beyond_ascii(text: str) -> int:
    return sum(character > "\x7f" for character in text)


def _ranked(sample: bytes) -> list[str]:
    """The candidates that chardet does not rule out, the most believable first."""
    answers = chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, include_encodings=tuple(_CANDIDATES)
    )
    weighed = sorted(
        ((answer["confidence"] * _weight(sample, answer["encoding"]), answer["encoding"]) for answer in answers
         if answer["encoding"] in _CANDIDATES),
        reverse=True,
    )  # fmt: skip
    names = [name for _, name in weighed]
    if not weighed or weighed[0][0] < _NO_EVIDENCE:
        names.insert(0, _FALLBACK)
    return names


def _is_pasted_into(sample: bytes) -> bool:
    """Whether there are bytes that Windows-1252 lacks, each of them within a UTF-8 sequence."""
    text = sample.decode(UTF8_OR_CP1252)
    others = [byte for byte in NOT_IN_CP1252 if byte in sample]
    return bool(others) and not any(byte.decode("latin-1") in text for byte in others)


def _weight(sample: bytes, encoding: str) -> float:
    """How believable an encoding is before what chardet says: little, if words change their alphabet half way."""
    weight = _CANDIDATES[encoding][1]
    text = sample.decode(encoding, "replace")
    pairs = mixed = 0
    for left, right in pairwise(text):
        if left > "\x7f" and left.isalpha() and right.isalpha():
            pairs += 1
            mixed += right.isascii() and unicodedata.name(left, "").startswith(_ALPHABETS)
        elif left.isascii() and left.isalpha() and right > "\x7f" and right.isalpha():
            pairs += 1
            mixed += unicodedata.name(right, "").startswith(_ALPHABETS)
    # An accented letter stands among ASCII ones; read as Cyrillic, "déjà" is "dйjа", which nobody writes.
    return weight * 0.1 if mixed > 0.5 * pairs else weight


def _excerpt(sample: bytes, encoding: str) -> str:
    """Some letters around the first that is not ASCII, as they are read now."""
    text = sample.decode(encoding, "replace")
    at = next((position for position, character in enumerate(text) if character > "\x7f"), 0)
    return _around(text, at)


def _around(text: str, at: int) -> str:
    return " ".join(text[max(at - 12, 0) : at + 20].split())


def _guessed(encoding: str, meaning: str, excerpt: str, line: int | None) -> Warning_:
    example = f' For example: "{excerpt}".' if excerpt else ""
    return Warning_(
        "encoding_guessed",
        f"The file is not UTF-8 and was read as {encoding} ({meaning}).{example}"
        " If letters look wrong, name the encoding.",
        line=line,
    )
