"""The canonical form of an upload: the same physical lines as uncompressed UTF-8 without a byte order mark.

Chunks are byte ranges, so there must be one sequence of bytes that everyone means. An upload that is CSV in UTF-8
already is its own canonical form; any other is turned into it once, in constant memory: JSON lines here, workbooks and
Parquet by `worker.conversion`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.errors import InputError
from core.table.format import JSONL, Format
from core.table.head import Head
from core.table.jsonl import JsonLines
from core.table.transcode import transcoded
from core.table.unpack import Unpacker
from core.table.warning import Warning_, WarningCounter


def canonical_blocks(
    blocks: Iterable[bytes],
    fmt: Format,
    *,
    max_unpacked_bytes: int = 2**34,
    max_compression_ratio: int = 200,
    odd: WarningCounter | None = None,
) -> Iterator[bytes]:
    """Unpacks and transcodes the stored bytes of an upload that is a text.

    Args:
        blocks: the upload, from its first byte to its last, in blocks of any size.
        fmt: its compression and its encoding.
        max_unpacked_bytes: cap on the text, for gzip.
        max_compression_ratio: cap on text bytes for each gzip byte.
        odd: is told what is odd: characters that are cut, and in JSON lines whatever `JsonLines` meets.

    Yields:
        Non-empty blocks of UTF-8 without byte order mark; every line end is the one of the file.

    Raises:
        EncodingFailed: naming file line and byte offset (in the unpacked text) of bytes the encoding does not allow.
        UploadDamaged: broken or truncated gzip.
        LimitExceeded: gzip that unpacks to more than is allowed.
        InputError: JSON lines most of which are no object.
    """
    if fmt.compression is not None:
        blocks = _unpacked(blocks, Unpacker(
            max_unpacked_bytes=max_unpacked_bytes, max_compression_ratio=max_compression_ratio
        ))  # fmt: skip
    odd = odd or WarningCounter()
    text = transcoded(blocks, fmt.encoding, odd=odd)
    return text if fmt.source != JSONL else _as_csv(text, JsonLines(fmt.header, odd))


@dataclass(frozen=True)
class CanonicalHead:
    """The first bytes of a text in canonical form.

    Attributes:
        text: whole lines of it, if the file goes on.
        problem: what is wrong with the line that they end before, if anything is.
        warnings: what was odd on the way.
    """

    text: bytes
    problem: InputError | None = None
    warnings: tuple[Warning_, ...] = ()


def canonical_head(head: Head, fmt: Format) -> CanonicalHead:
    """The first bytes of a text in canonical form.

    Raises:
        EncodingFailed: as `canonical_blocks`.
    """
    odd = WarningCounter()
    text = b"".join(transcoded([head.data], fmt.encoding, complete=head.complete, odd=odd))
    if fmt.source != JSONL:
        return CanonicalHead(text, None, odd.found())
    if not head.complete:
        text = text[: text.rfind(b"\n") + 1]
    lines = JsonLines(fmt.header, odd)
    found: list[bytes] = []
    problem = None
    try:
        # A line at a time: those before one that is wrong are shown.
        found.extend(lines.feed(line + b"\n") for line in text.rstrip(b"\n").split(b"\n"))
    except InputError as error:
        problem = error
    return CanonicalHead(b"".join(found), problem, odd.found())


def _as_csv(text: Iterable[bytes], lines: JsonLines) -> Iterator[bytes]:
    for block in text:
        if data := lines.feed(block):
            yield data
    if data := lines.finish():
        yield data


def _unpacked(blocks: Iterable[bytes], unpacker: Unpacker) -> Iterator[bytes]:
    for block in blocks:
        yield from unpacker.feed(block)
    unpacker.finish()
