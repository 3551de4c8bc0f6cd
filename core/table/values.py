"""What a cell looks like: a number, a date, a flag, an address, or words.

Headers are told from data, text columns from other columns and swallowed rows from long texts by the same look, which
is a guess about one cell and is only ever used over many.
"""

from __future__ import annotations

import re
from enum import Enum


class Kind(Enum):
    """The looks of a cell."""

    EMPTY = "empty"
    """Nothing, or a word for nothing: NULL, N/A, - …"""
    NUMBER = "number"
    """With thousands separators, decimal comma, currency, percent."""
    DATE = "date"
    """A date, a time, or both."""
    FLAG = "flag"
    """true, false, yes, no."""
    ADDRESS = "address"
    """URL, e-mail address, UUID or another long hexadecimal key."""
    WORDS = "words"
    """Anything else."""


TYPED = frozenset({Kind.NUMBER, Kind.DATE, Kind.FLAG, Kind.ADDRESS})
"""Kinds that a column of data keeps to, and that its name is not of."""

_EMPTY = frozenset(["", "null", "none", "nil", "na", "n/a", "#n/a", "nan", "\\n", "-", "--", "?", "."])
_FLAGS = frozenset(["true", "false", "yes", "no"])
_NUMBER = re.compile(r"[-+(]?\s*[$€£¥]?\s*(?:\d[\d.,'\u00a0\u202f ]*|[.,]\d+)(?:[eE][-+]?\d+)?\s*[%$€£¥]?\)?")
_TIME = (
    r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:Z|UTC|GMT|[-+]\d{2}:?\d{2})?(?:\s*\(?[A-Z]{3,4}\)?)?"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY = (
    r"(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
    rf"|\d{{1,2}}[-. ]+{_MONTH}[-., ]+\d{{2,4}}"
    rf"|{_MONTH}\.?\s+\d{{1,2}},?\s+\d{{4}})"
)
_DATE = re.compile(rf"(?:[a-z]{{3,9}},?\s+)?{_DAY}(?:[T,\s]+{_TIME})?|{_TIME}", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+\.[\w.-]+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}",
    re.IGNORECASE,
)
_LONGEST_TYPED = 64


def kind(cell: str) -> Kind:
    """The look of one cell."""
    value = cell.strip()
    if len(value) <= _LONGEST_TYPED:
        lowered = value.lower()
        if lowered in _EMPTY:
            return Kind.EMPTY
        if lowered in _FLAGS:
            return Kind.FLAG
        if _DATE.fullmatch(value):
            return Kind.DATE
        if _NUMBER.fullmatch(value):
            return Kind.NUMBER
    if _ADDRESS.fullmatch(value):
        return Kind.ADDRESS
    return Kind.WORDS
