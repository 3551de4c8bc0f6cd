"""Which column is classified: the one the user names, else the one that looks most like texts people wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import NoTextColumn, UnclosedQuote, UnknownColumn
from core.table.canonical import canonical_head
from core.table.format import Format
from core.table.head import BinarySource, Head, read_head
from core.table.names import names_a_text
from core.table.records import MAX_RECORD_BYTES, Record, RecordReader
from core.table.values import Kind, kind


@dataclass(frozen=True)
class TextColumn:
    """The column to classify.

    Attributes:
        index: its place, from 0.
        name: its name in the header.
        guessed: False if the user named it.
        reason: why it was taken, as a phrase for the user.
    """

    index: int
    name: str
    guessed: bool
    reason: str


def preview(source: BinarySource, fmt: Format, n: int = 20) -> list[Record]:
    """The first `n` records of a stored upload, or as many as its head holds.

    Raises:
        UnclosedQuote, RecordTooLong, EncodingFailed: met on the way, as by `RecordReader`.
    """
    head = read_head(source, fmt.compression)
    records = _first_records(head, fmt, n)
    if not records and not head.complete:
        head = read_head(source, fmt.compression, 4 * MAX_RECORD_BYTES)
        records = _first_records(head, fmt, n)
    return records


def choose_text_column(fmt: Format, records: Sequence[Sequence[str]], named: str | None) -> TextColumn:
    """Finds the column to classify.

    Args:
        fmt: for the header.
        records: cells of the first records.
        named: what the user says: a column's exact name, else its number from 1. None to guess.

    Raises:
        UnknownColumn: listing the columns there are.
        NoTextColumn: none was named, and no column holds words.
    """
    if named is not None:
        return _named(fmt.header, named)
    columns = [_Look(index, name, records) for index, name in enumerate(fmt.header)]
    wordy = [column for column in columns if column.wordy]
    if not wordy:
        raise NoTextColumn(
            "No column of words was found.",
            next_step=f"Name the text column. {_listing(fmt.header)}",
        )
    best = max(wordy, key=lambda column: (column.named, column.score, -column.index))
    if len(columns) == 1:
        reason = "it is the only column"
    elif best.named:
        reason = "its name says so"
    else:
        reason = "its cells are the longest texts"
    return TextColumn(best.index, _shown(best.name), guessed=True, reason=reason)


def _first_records(head: Head, fmt: Format, n: int) -> list[Record]:
    canonical = canonical_head(head, fmt)
    if canonical.problem:
        raise canonical.problem
    complete = head.complete
    reader = RecordReader([canonical.text], fmt)
    records: list[Record] = []
    try:
        for record in reader:
            records.append(record)
            # One more than asked for, as the last one may be cut.
            if len(records) > n:
                return records[:n]
    except UnclosedQuote:
        if complete:
            raise
        return records
    return records if complete else records[:-1]


def _named(header: Sequence[str], named: str) -> TextColumn:
    if named in header:
        return TextColumn(header.index(named), _shown(named), guessed=False, reason="you named it")
    if named.isdecimal() and 1 <= int(named) <= len(header):
        index = int(named) - 1
        return TextColumn(index, _shown(header[index]), guessed=False, reason="you gave its number")
    raise UnknownColumn(f"There is no column {named!r}.", column=named, next_step=_listing(header))


def _shown(name: str) -> str:
    """A column's name for people to read, and for Postgres' JSON, which has no NUL. Found is a column by its index."""
    return name.replace("\0", "␀")


def _listing(header: Sequence[str]) -> str:
    shown = ", ".join(f"{number} {name!r}" for number, name in enumerate(header[:20], start=1))
    return f"The columns are {shown}" + (f" and {len(header) - 20:,} more." if len(header) > 20 else ".")


class _Look:
    """What the sampled cells of one column look like.

    Attributes:
        wordy: whether half of the cells that are not empty hold words, or a fifth of them several.
        named: how clearly the name says that it holds texts, as `names_a_text`.
        score: mean length of its cells times their share of letters.
    """

    def __init__(self, index: int, name: str, records: Sequence[Sequence[str]]) -> None:
        self.index = index
        self.name = name
        self.named = names_a_text(name)
        cells = [cells[index].strip() for cells in records if index < len(cells)]
        cells = [cell for cell in cells if kind(cell) is not Kind.EMPTY]
        letters = sum(character.isalpha() for cell in cells for character in cell)
        characters = sum(not character.isspace() for cell in cells for character in cell)
        words = [cell for cell in cells if kind(cell) is Kind.WORDS]
        phrases = sum(1 for cell in words if len(cell.split()) > 1)
        share = letters / characters if characters else 0.0
        self.wordy = share >= 0.4 and (len(words) >= 0.5 * len(cells) or phrases >= 0.2 * len(cells))
        self.score = share * sum(map(len, cells)) / len(cells) if cells else 0.0
