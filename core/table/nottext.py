"""What a file is, told from its first bytes: one of the kinds that are read, or something that is no table.

A document or a picture read as CSV gives rows of rubbish; said early, with the way out, it costs the user a second.
"""

from __future__ import annotations

import codecs
import re

from core.errors import BadOption, NotText
from core.table.format import CONTAINERS, CSV, JSONL, PARQUET, XLSX
from core.table.utf16 import utf16_without_bom

TELLING_BYTES = 4096
"""So many first bytes are enough to judge by."""

_SAVE_AS_CSV = "Open it in the program it comes from and save it as CSV (UTF-8)."
_EXPORT = "Export the table as CSV (UTF-8) and send that."
_UNPACK = "Unpack it and send the CSV itself, or compress that with gzip (.csv.gz)."

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Microsoft Office file (.xls, .doc), or a workbook that is protected by a password",
        "Save it as .xlsx or CSV, without a password.",
    ),
    (b"%PDF-", "a PDF", _EXPORT),
    (b"{\\rtf", "a rich text document", _SAVE_AS_CSV),
    (b"\x89PNG\r\n", "a PNG image", _EXPORT),
    (b"\xff\xd8\xff", "a JPEG image", _EXPORT),
    (b"GIF87a", "a GIF image", _EXPORT),
    (b"GIF89a", "a GIF image", _EXPORT),
    (b"PARE", "an encrypted Parquet file", _EXPORT),
    (b"ARROW1", "an Arrow file", _EXPORT),
    (b"Obj\x01", "an Avro file", _EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    (b"SQLite format 3\0", "a SQLite database", _EXPORT),
    (b"\x1f\x8b", "a gzip file inside a gzip file", "Compress the CSV once."),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x7fELF", "a program", _EXPORT),
)
_WORKBOOKS = (
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)"),
    (b"word/", "a Word document (.docx)"),
    (b"ppt/", "a presentation (.pptx)"),
)
# What a workbook begins with, whichever of its parts comes first; what else could, the worker will notice.
_XLSX = (b"xl/", b"[Content_Types].xml", b"_rels/", b"docProps/")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:(?P<html>!doctype\s+html|html[\s>])|\?xml\s)", re.IGNORECASE)
_OBJECT = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"(?:[^"\\\r\n]|\\.)*"\s*:|\})')
_ARRAY = re.compile(rb'(?:\xef\xbb\xbf)?\s*\[\s*\{\s*"')
# Everything below space that no text file holds as layout: not tab, LF, VT, FF, CR, nor ESC (ISO-2022 text has it).
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1b")
_FEW = 4
"""So few control bytes are dirt in a text, however short it is."""


def kind_of(head: bytes, given: str | None = None, *, packed: bool = False) -> str:
    """What a file is.

    Args:
        head: its first bytes, unpacked if it was gzip; `TELLING_BYTES` of them are enough.
        given: what the user says it is.
        packed: whether it was gzip.

    Returns:
        One of `core.table.format.SOURCES`.

    Raises:
        NotText: it is none of these; saying what it looks like, and what to do about it.
        BadOption: it is not what the user says.
    """
    found = _container(head)
    if found and packed:
        raise NotText("This is a workbook or Parquet file within gzip.", next_step="Send it as it is: it is packed.")
    if given in CONTAINERS and found != given:
        raise BadOption(f"The file does not begin as a file of type {given} does.", next_step="Leave file_type out.")
    if found:
        if given not in (None, found):
            raise BadOption(f"The file is of type {found}, not {given}.", next_step="Leave file_type out.")
        return found
    if given is not None:
        if given == CSV and _OBJECT.match(head):
            return CSV
        refuse_if_not_text(head)
        return given
    if _OBJECT.match(head):
        return JSONL
    refuse_if_not_text(head)
    return CSV


def _container(head: bytes) -> str | None:
    if head.startswith(b"PAR1"):
        return PARQUET
    if head.startswith(_ZIP) and any(name in head for name in _XLSX):
        return None if any(name in head for name, _ in _WORKBOOKS) else XLSX
    return None


def refuse_if_not_text(head: bytes) -> None:
    """Judges a file by its first bytes, unpacked if it was gzip; `TELLING_BYTES` of them are enough.

    Raises:
        NotText: saying what the file looks like, and what to do about it.
    """
    found = _by_magic(head)
    if found is not None:
        what, next_step = found
        raise NotText(f"This looks like {what}, not like a CSV.", next_step=next_step)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) or utf16_without_bom(head):
        return
    controls = len(head) - len(head.translate(None, _CONTROLS))
    # A dump may pad its cells with NULs and still be text, if it is UTF-8; other text has no control bytes to speak of.
    tolerated = 0.3 if _is_utf8(head) else 0.05
    if controls > max(_FEW, tolerated * len(head)):
        raise NotText(
            f"This is not a text file: {controls:,} of its first {len(head):,} bytes are control characters.",
            next_step=_EXPORT,
        )


def _by_magic(head: bytes) -> tuple[str, str] | None:
    if head.startswith(_ZIP):
        for name, what in _WORKBOOKS:
            if name in head:
                return what, _SAVE_AS_CSV
        return "a ZIP archive", _UNPACK
    for magic, what, next_step in _MAGIC:
        if head.startswith(magic):
            return what, next_step
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    markup = _MARKUP.match(head)
    if markup:
        return ("a web page (HTML)" if markup["html"] else "an XML file"), _SAVE_AS_CSV
    if _ARRAY.match(head):
        return "a JSON array", "Make it JSON lines, an object a line, as `jq -c .[]` does."
    return None


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.utf_8_decode(head, "strict", False)
    except UnicodeDecodeError:
        return False
    return True
