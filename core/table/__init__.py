"""Tables in and out: what a file is, where its records are, and how they are written back. Pure."""

from core.table.canonical import canonical_blocks
from core.table.check import CheckResult, StreamCheck
from core.table.columns import TextColumn, choose_text_column, preview
from core.table.detect import canonical_format, detect
from core.table.format import CONTAINERS, Format, Overrides
from core.table.head import BinarySource
from core.table.output import OutputLayout, TableWriter
from core.table.records import Record, RecordReader
from core.table.warning import Warning_, WarningCounter, merge_warnings

__all__ = [
    "CONTAINERS",
    "BinarySource",
    "CheckResult",
    "Format",
    "OutputLayout",
    "Overrides",
    "Record",
    "RecordReader",
    "StreamCheck",
    "TableWriter",
    "TextColumn",
    "WarningCounter",
    "Warning_",
    "canonical_blocks",
    "canonical_format",
    "choose_text_column",
    "detect",
    "merge_warnings",
    "preview",
]
