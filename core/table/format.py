"""What was detected about a file: shown to the user, stored with the upload, and never guessed again.

Everything that later reads or writes the table takes its decisions from here, so an override by the user changes one
object and nothing else.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import BadOption
from core.table.warning import Warning_

CSV, JSONL, PARQUET, XLSX = SOURCES = ("csv", "jsonl", "parquet", "xlsx")
"""What an upload may be: text whose lines are records (TSV too), or something that is turned into such a text."""

CONTAINERS = (PARQUET, XLSX)
"""Those that only a worker opens, in a process of its own."""

UNSPLIT = "\uffff"
"""Given to `csv` as the delimiter of a one-column file: a noncharacter, which by definition no text contains."""

# A limit of the whole process, which `csv` keeps at 128 KiB. Records are limited by `core.table.records`, before a cell
# can get near this.
_FIELD_LIMIT = 2**31 - 1

_DELIMITER_NAMES = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "\\t": "\t",
    "pipe": "|",
    "none": "",
}
# Text encodings to Python that no file of a user is in; some of them run an interpreter of escapes.
_NOT_FOR_FILES = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"}


@dataclass(frozen=True)
class Format:
    """How the bytes of an upload become records.

    Attributes:
        compression: ``"gzip"`` or None.
        encoding: Python codec, e.g. ``"utf-8"``, ``"utf-8-sig"``, ``"utf-16"``, ``"cp1252"``, ``"cp932"``.
        delimiter: one character; ``""`` for a one-column file, whose lines nothing splits.
        quoting: False where ``"`` is an ordinary character, as in PostgreSQL's TEXT exports.
        line_end: the dominant line end of records, used for output.
        has_header: whether the first record names the columns.
        header: the first record verbatim, or ``column_1`` … where there is none.
        warnings: what the user should know.
        sep_line: the first line is Excel's ``sep=;``, which is not a record.
        source: one of `SOURCES`. All else here is about the canonical CSV where that is not ``"csv"``.
        sheet: of a workbook: the one that was read, or before that the one that is wanted.
        first_line: where the canonical form begins in the file as it was sent: the row of a sheet, the line of a file.
            0 where it has a header that the file has not.
    """

    compression: str | None
    encoding: str
    delimiter: str
    quoting: bool
    line_end: str
    has_header: bool
    header: tuple[str, ...]
    warnings: tuple[Warning_, ...] = ()
    sep_line: bool = False
    source: str = CSV
    sheet: str | None = None
    first_line: int = 1

    @property
    def n_columns(self) -> int:
        """Width of the header: a record with more or fewer cells is ragged."""
        return len(self.header)

    @property
    def needs_canonical(self) -> bool:
        """True if the stored bytes are not already CSV in uncompressed UTF-8, with or without BOM."""
        return self.source != CSV or self.compression is not None or self.encoding not in ("utf-8", "utf-8-sig")

    @property
    def reader_args(self) -> dict[str, Any]:
        """Keyword arguments for `csv.reader`: the dialect all parsing uses."""
        return reader_args(self.delimiter, self.quoting)

    def to_dict(self) -> dict[str, Any]:
        """As stored and shown (plain JSON values); `from_dict` is its inverse."""
        return {
            "compression": self.compression,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "quoting": self.quoting,
            "line_end": self.line_end,
            "has_header": self.has_header,
            **_stored_names(self.header),
            "warnings": [warning.to_dict() for warning in self.warnings],
            "sep_line": self.sep_line,
            "source": self.source,
            "sheet": self.sheet,
            "first_line": self.first_line,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Format:
        """Rebuilds what `to_dict` gave."""
        return cls(
            compression=fields["compression"],
            encoding=fields["encoding"],
            delimiter=fields["delimiter"],
            quoting=fields["quoting"],
            line_end=fields["line_end"],
            has_header=fields["has_header"],
            header=_names(fields),
            warnings=tuple(Warning_.from_dict(warning) for warning in fields.get("warnings", ())),
            sep_line=fields.get("sep_line", False),
            source=fields.get("source", CSV),
            sheet=fields.get("sheet"),
            first_line=fields.get("first_line", 1),
        )


def _stored_names(header: Sequence[str]) -> dict[str, Any]:
    """Column names as Postgres can store them: its JSON has no NUL, which is then written as a backslash and a 0."""
    if not any("\0" in name for name in header):
        return {"header": list(header)}
    return {
        "header": [name.replace("\\", "\\\\").replace("\0", "\\0") for name in header],
        "header_escaped": True,
    }


def _names(fields: Mapping[str, Any]) -> tuple[str, ...]:
    if not fields.get("header_escaped"):
        return tuple(fields["header"])
    return tuple(re.sub(r"\\(.)", lambda sign: "\0" if sign[1] == "0" else sign[1], name) for name in fields["header"])


@dataclass(frozen=True)
class Overrides:
    """What the user says about the file, where detection is not to be trusted. None: detect.

    Attributes:
        encoding: any name Python knows for a text encoding; kept under its canonical name.
        delimiter: one ASCII character that is no letter, digit, quote or line end; or ``comma``, ``semicolon``,
            ``tab`` (also ``\\t`` spelt out), ``pipe``, ``none`` (one column).
        has_header: whether the first record names the columns.
        quoting: whether ``"`` encloses cells.
        source: what the file is, one of `SOURCES`.
        sheet: of a workbook: name, else number from 1.

    Raises:
        BadOption: on construction, for an unknown encoding or source, or an impossible delimiter.
    """

    encoding: str | None = None
    delimiter: str | None = None
    has_header: bool | None = None
    quoting: bool | None = None
    source: str | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        if self.source is not None and self.source not in SOURCES:
            raise BadOption(f"file_type={self.source!r} is unknown.", next_step=f"Use one of {', '.join(SOURCES)}.")
        if self.encoding is not None:
            object.__setattr__(self, "encoding", codec_name(self.encoding))
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _delimiter(self.delimiter))


def reader_args(delimiter: str, quoting: bool) -> dict[str, Any]:
    """Keyword arguments for `csv.reader`, for a delimiter as in `Format`; from now on it takes cells of any length."""
    if csv.field_size_limit() < _FIELD_LIMIT:
        csv.field_size_limit(_FIELD_LIMIT)
    return {
        "delimiter": delimiter or UNSPLIT,
        "quoting": csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
        "doublequote": True,
        "skipinitialspace": False,
        "strict": False,
    }


def codec_name(name: str) -> str:
    """Python's own name of an encoding that a file may be in. Raises BadOption for any other."""
    try:
        info = codecs.lookup(name.strip())
    except (LookupError, ValueError) as error:
        raise _unknown_encoding(name) from error
    # A codec such as base64 turns bytes into bytes; CPython marks those with a private flag and nothing else.
    if not getattr(info, "_is_text_encoding", True) or info.name.replace("-", "_") in _NOT_FOR_FILES:
        raise _unknown_encoding(name)
    return info.name


def _unknown_encoding(name: str) -> BadOption:
    return BadOption(
        f"Encoding {name!r} is not known.",
        next_step="Use a name such as utf-8, utf-16, cp1252, iso-8859-2, shift_jis, gb18030.",
    )


def _delimiter(given: str) -> str:
    delimiter = _DELIMITER_NAMES.get(given.lower(), given)
    if delimiter == "":
        return delimiter
    if len(delimiter) == 1 and delimiter.isascii() and not delimiter.isalnum() and delimiter not in '"\r\n\0':
        return delimiter
    raise BadOption(
        f"Delimiter {given!r} is not possible.",
        next_step="Use comma, semicolon, tab, pipe, none, or one ASCII sign that is no quote.",
    )
