"""The labelled table: which columns it has, and how rows become bytes again.

The promise is that every cell of the input is equal after parsing the output with the input's dialect. `csv.writer`
keeps it but for one thing: a lone CR in a cell is only quoted if it is part of the writer's own line end.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal

from core.errors import BadOption, EncodingFailed
from core.table.format import Format, codec_name

EMOTION_COLUMNS = ("emotion", "emotion_score", "emotions")
SENTIMENT_COLUMNS = ("sentiment", "sentiment_score")
STATUS_COLUMN = "row_status"
FLAGS_COLUMN = "flags"
SCORES = ("none", "top", "all")
CORRECTED_COLUMNS = ("corrected_emotion", "corrected_sentiment")


def corrected_column(taxonomy: str) -> str:
    """The column of what people say of rows."""
    return CORRECTED_COLUMNS[taxonomy == "sentiment"]


class OutputLayout:
    """Which columns come out, and where a row's cells go.

    The added columns stand right after the header's width. Short rows are padded to that width; what a long row has
    over it follows the added columns, under no header.

    Args:
        header: the names of the input's columns.
        taxonomy: with ``"sentiment"`` the emotion columns are left out.
        scores: ``"none"`` leaves out the scores, ``"top"`` has those of the top labels, ``"all"`` also adds
            ``score_<label>`` for each of `labels`.
        labels: the model's labels, in order.
        corrected: whether the last column is what people say of rows, in the taxonomy.

    Attributes:
        columns: the added columns under the names that the documentation uses.
        said_columns: those of them that the model fills.
        names: the same under the names they get: with ``_2`` (``_3`` …) where the input has a column of that name.

    Raises:
        BadOption: `scores` is something else.
    """

    def __init__(
        self,
        header: Sequence[str],
        *,
        taxonomy: str = "ekman",
        scores: str = "top",
        labels: Sequence[str] = (),
        corrected: bool = False,
    ) -> None:
        if scores not in SCORES:
            raise BadOption(f"scores={scores!r} is not possible.", next_step=f"Use one of {', '.join(SCORES)}.")
        emotion_columns = () if taxonomy == "sentiment" else EMOTION_COLUMNS
        columns = [*emotion_columns, *SENTIMENT_COLUMNS, STATUS_COLUMN, FLAGS_COLUMN]
        if scores == "none":
            columns = [column for column in columns if not column.endswith("_score")]
        if scores == "all":
            columns += [f"score_{label}" for label in labels]
        self.said_columns = tuple(columns)
        if corrected:
            columns.append(corrected_column(taxonomy))
        self.columns = tuple(columns)
        self.names = tuple(unclashed(columns, header))
        self._header = list(header)
        self._width = len(self._header)

    def header(self) -> list[str]:
        """The header row."""
        return [*self._header, *self.names]

    def unscored(self, status: str) -> tuple[str, ...]:
        """The added cells of a row that has no result, only a status, but for what a person says of it."""
        return tuple(status if column == STATUS_COLUMN else "" for column in self.said_columns)

    def row(self, cells: Sequence[str], added: Sequence[str]) -> list[str]:
        """One row: the input's `cells`, with `added` (one for each of `columns`) in their place."""
        width = self._width
        if len(cells) == width:
            return [*cells, *added]
        if len(cells) < width:
            return [*cells, *[""] * (width - len(cells)), *added]
        return [*cells[:width], *added, *cells[width:]]


class TableWriter:
    """Turns rows into blocks of bytes in the dialect of the input.

    Delimiter and line end are the input's (a comma for one column). Cells are quoted where they must be. A file of
    several columns whose quotes are ordinary characters is written without any quoting, so that it parses back under
    the same dialect; an added cell that holds the delimiter there (a list of labels in a file split by ``|``) has it
    replaced by a space.

    Args:
        fmt: the input's format.
        encoding: ``"utf-8"``, ``"same"`` for the input's, or any other text encoding.
        quote_all: quote every cell, also where it need not be.

    Raises:
        BadOption: the encoding is not known.
    """

    def __init__(self, fmt: Format, *, encoding: str = "utf-8", quote_all: bool = False) -> None:
        self.encoding = fmt.encoding if encoding == "same" else codec_name(encoding)
        self._line_end = fmt.line_end
        self._delimiter = fmt.delimiter or ","
        # What never had to be split may hold commas anywhere.
        self._quoting = fmt.quoting or not fmt.delimiter
        self._style: Literal[0, 1] = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
        # One encoder for the whole file: a byte order mark comes once, and stateful encodings carry on.
        self._encoder = codecs.getincrementalencoder(self.encoding)("strict")

    def write(self, rows: Iterable[Sequence[str]], *, first_row: int | None = None) -> bytes:
        """The bytes of the next rows; batches of hundreds are fastest.

        Args:
            rows: cells.
            first_row: data row of the first of them, for errors.

        Raises:
            EncodingFailed: a row holds a character that the output's encoding has not; naming the row.
        """
        rows = rows if isinstance(rows, list) else list(rows)
        try:
            return self._encoder.encode(self._text(rows))
        except UnicodeEncodeError:
            raise self._unencodable(rows, first_row) from None

    def write_behind(
        self, lines: Sequence[bytes], added: Sequence[Sequence[str]], *, first_row: int | None = None
    ) -> bytes:
        """The bytes of the next rows, which keep those they have: only the added cells are written, behind them.

        Args:
            lines: records of a file with the same format, as they stand there, in UTF-8.
            added: cells for each, at least one.
            first_row: as `write`.

        Raises:
            EncodingFailed: as `write`.
        """
        between, end = self._delimiter.encode(), self._line_end.encode()
        behind = self._encoded(added)
        written = b"".join(
            [line.rstrip(b"\r\n") + between + cells + end for line, cells in zip(lines, behind, strict=True)]
        )
        if self.encoding == "utf-8":
            return written
        try:
            return self._encoder.encode(written.decode())
        except UnicodeEncodeError:
            rows = [[line.decode(), *cells] for line, cells in zip(lines, added, strict=True)]
            raise self._unencodable(rows, first_row) from None

    def _encoded(self, rows: Sequence[Sequence[str]]) -> list[bytes]:
        """Each row as UTF-8, without a line end."""
        end = self._line_end
        plain = end.join(map(self._delimiter.join, rows))
        if (
            '"' not in plain
            and plain.count(self._delimiter) == sum(map(len, rows)) - len(rows)
            and all(plain.count(sign) == (len(rows) - 1) * end.count(sign) for sign in "\r\n")
        ):
            return plain.encode().split(end.encode())
        # Some cell must be quoted, or blanked.
        return [self._text([row]).removesuffix(end).encode() for row in rows]

    def _text(self, rows: list[Sequence[str]]) -> str:
        if not self._quoting:
            return self._unquoted_text(rows)
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=self._delimiter, lineterminator=self._line_end, quoting=self._style).writerows(
            rows
        )
        text = buffer.getvalue()
        other = {"\n": "\r", "\r": "\n"}.get(self._line_end)
        if other is None or other not in text:
            return text
        # Some cell holds the other line end, which the writer may have left unquoted: with CRLF it quotes both.
        return "".join(self._text_of_row(row) for row in rows)

    def _text_of_row(self, row: Sequence[str]) -> str:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=self._delimiter, lineterminator="\r\n", quoting=self._style).writerow(row)
        return buffer.getvalue()[:-2] + self._line_end

    def _unquoted_text(self, rows: list[Sequence[str]]) -> str:
        blanked = str.maketrans(dict.fromkeys([self._delimiter, "\r", "\n"], " "))
        join = self._delimiter.join
        return "".join(join([cell.translate(blanked) for cell in row]) + self._line_end for row in rows)

    def _unencodable(self, rows: Sequence[Sequence[str]], first_row: int | None) -> EncodingFailed:
        for number, row in enumerate(rows):
            for cell in row:
                try:
                    cell.encode(self.encoding)
                except UnicodeEncodeError as error:
                    return EncodingFailed(
                        f"The character {error.object[error.start]!r} does not exist in {self.encoding}.",
                        row=None if first_row is None else first_row + number,
                        next_step="Have the output in UTF-8.",
                    )
        return EncodingFailed(f"A character does not exist in {self.encoding}.", next_step="Have the output in UTF-8.")


def unclashed(columns: Iterable[str], header: Iterable[str]) -> list[str]:
    """Names for added columns: with ``_2`` (``_3`` …) where `header` has that name already."""
    taken = set(header)
    names = []
    for column in columns:
        name, number = column, 1
        while name in taken:
            number += 1
            name = f"{column}_{number}"
        taken.add(name)
        names.append(name)
    return names
