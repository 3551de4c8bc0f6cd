"""A multipart form with one file, read as it arrives: the file's bytes are handed on, never collected.

Werkzeug's own form parser writes a whole file to a temporary place before a view sees its first byte. Here its event
decoder is used alone, so a form costs no more memory or disk than a raw body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from core.errors import BadOption

MAX_FIELDS_BYTES = 64 * 1024
MAX_PARTS = 50

_LINE_END = re.compile(rb"[\r\n]")

_NOT_A_FORM = "The multipart form cannot be read."


class FormStream:
    """A form on its way in: `fields` fills up as parts arrive, `file` yields the bytes of the first file part.

    Args:
        content_type: the request's, with the boundary.
        blocks: the body.

    Raises:
        BadOption: (from every method) this is not a multipart form, or it has no file.
    """

    def __init__(self, content_type: str, blocks: Iterable[bytes]) -> None:
        boundary = parse_options_header(content_type)[1].get("boundary", "")
        if not boundary:
            raise BadOption(_NOT_A_FORM, next_step="The Content-Type needs a boundary.")
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._size = 0
        decoder = MultipartDecoder(boundary.encode(), max_parts=MAX_PARTS)
        self._events = _events(decoder, _uncut(blocks, len(boundary) + 16))

    def find_file(self) -> str:
        """Reads up to the first byte of the file; the file's name, as the sender gave it."""
        for event in self._events:
            if isinstance(event, File) and event.filename:
                self.filename = event.filename
                return event.filename
            self._take(event)
        raise BadOption(
            "The form has no file.", next_step="Send the CSV in a file field, or as the whole body with text/csv."
        )

    def file(self) -> Iterator[bytes]:
        """The file's bytes, in blocks; then the rest of the form is read into `fields`."""
        for event in self._events:
            if not isinstance(event, Data):
                break
            if event.data:
                yield event.data
            if not event.more_data:
                break
        for event in self._events:
            if isinstance(event, File) and event.filename:
                raise BadOption("The form has more than one file.", next_step="Send one file for each job.")
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, Field | File):  # a file field left empty by a browser is a field without a value
            self._name = event.name or ""
            self._value = bytearray()
        elif isinstance(event, Data):
            self._size += len(event.data)
            if self._size > MAX_FIELDS_BYTES:
                raise BadOption("The form's fields are too long.", next_step="Only the file may be large.")
            self._value += event.data
            if not event.more_data and self._name:
                self.fields[self._name] = self._value.decode("utf-8", "replace")


def _events(decoder: MultipartDecoder, blocks: Iterable[bytes]) -> Iterator[Event]:
    """Every event of a form, in order, ending with the `Epilogue`."""
    try:
        for block in blocks:
            decoder.receive_data(block)
            while not isinstance(event := decoder.next_event(), NeedData):
                yield event
            if len(decoder.buffer) > MAX_FIELDS_BYTES:  # a file is handed on at once: this is a head without an end
                raise ValueError("A part's head, or what surrounds the parts, is too long.")
        decoder.receive_data(None)
        while True:
            event = decoder.next_event()
            yield event
            if isinstance(event, Epilogue):
                return
    except (ValueError, RequestEntityTooLarge) as error:
        raise BadOption(_NOT_A_FORM, next_step="Send it as multipart/form-data, complete and with one file.") from error


def _uncut(blocks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """The same bytes, in blocks that never end within a boundary.

    Else Werkzeug adds a stray CR to the part before it (pallets/werkzeug#3285, not mended in 3.1.9). So a
    line end among the last `longest` bytes, which may begin a boundary, waits for the next block.
    """
    rest = b""
    for block in blocks:
        data = rest + block
        line_end = _LINE_END.search(data, max(0, len(data) - longest))
        at = line_end.start() if line_end else len(data)
        rest = data[at:]
        if at:
            yield data[:at]
    if rest:
        yield rest
