"""What is learnt on the way of an upload, in blocks of any size."""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib
from collections.abc import Callable

import pytest

from core.errors import LimitExceeded, NotText, UploadDamaged
from core.table import StreamCheck
from tests.core.table.reading import check_of

SIZES = [1, 2, 3, 7, 1000, 1 << 20]

TEXTS = {
    "empty": (b"", None, None),
    "one byte": (b"a", None, None),
    "ascii": (b"a,b\nc,d\n", None, None),
    "utf-8": ("a,é€😀\n".encode(), None, None),
    "latin-1": (b"a,b\nc,\xe9\n", 6, 2),
    "first byte": (b"\xff", 0, 1),
    "cut within a character": ("a\n€".encode()[:-1], 2, 2),
    "a character broken off": (b"a\xe2\x82b", 1, 1),
    "surrogate": (b"ab\xed\xa0\x80", 2, 1),
    "lines end at CR, LF and CRLF": (b"a\rb\nc\r\nd\r\n\xffe\n", 10, 5),
    "only the first counts": (b"a\n\xff\n\xff\n", 2, 2),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("data", "bad_byte", "bad_line"), TEXTS.values(), ids=TEXTS)
def test_says_what_was_sent(
    data: bytes, bad_byte: int | None, bad_line: int | None, pack: Callable[[bytes], bytes], size: int
) -> None:
    sent = pack(data)
    check = check_of(sent, size)
    assert check.sha256 == hashlib.sha256(sent).hexdigest()
    assert (check.n_bytes, check.unpacked_bytes) == (len(sent), len(data))
    assert check.compression == (None if pack is bytes else "gzip")
    assert (check.utf8_valid, check.first_bad_byte, check.first_bad_line) == (bad_byte is None, bad_byte, bad_line)


@pytest.mark.parametrize("size", [999, 10_000, 1 << 20])
def test_keeps_a_sample_around_the_first_bad_byte(size: int) -> None:
    data = b"a" * 100_000 + b"before,\xe9,after\n" + b"b" * 100_000
    sample = check_of(data, size).sample
    assert b"before,\xe9,after\n" in sample
    assert sample in data
    assert len(sample) == 64 * 1024


def test_gzip_of_several_members_and_padding_is_one_text() -> None:
    data = gzip.compress(b"a,b\n") + gzip.compress(b"c,d\n") + b"\0" * 100
    for size in SIZES:
        assert check_of(data, size).unpacked_bytes == 8


DAMAGED = {
    "cut off": gzip.compress(bytes(range(32, 127)) * 10)[:-9],
    "cut off within the header": gzip.compress(b"a")[:5],
    "wrong checksum": gzip.compress(b"a,b\n")[:-5] + b"\0\0\0\0\0",
    "garbage after": gzip.compress(b"a,b\n") + b"garbage",
    "garbage within": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 20,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_gzip_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(UploadDamaged):
        check_of(data, size)


def test_gzip_bombs_are_stopped_on_the_way() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"a,b\n" * 250_000) for _ in range(40)) + packer.flush()
    with pytest.raises(LimitExceeded, match="200 times"):
        check_of(bomb)
    check = StreamCheck(max_unpacked_bytes=1_000_000, max_compression_ratio=10_000)
    with pytest.raises(LimitExceeded, match="1,000,000"):
        check.feed(bomb)


def test_short_files_may_compress_well() -> None:
    assert check_of(gzip.compress(b"a,b\n" * 1_000_000)).unpacked_bytes == 4_000_000


NOISE = random.Random(1).randbytes(20_000)
NOT_TEXT = {
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NOISE, "Office"),
    "docx": (b"PK\x03\x04\x14\0\x08\x08\x08\0\0\0\0\0[Content_Types].xmlPK\x03\x04..word/x.xml" + NOISE, "Word"),
    "ods": (b"PK\x03\x04..mimetypeapplication/vnd.oasis.opendocument.spreadsheet" + NOISE, "OpenDocument"),
    "zip": (b"PK\x03\x04\x0a\0\0\0\0\0table.csv" + b"id,name\n1,a\n", "ZIP"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE, "PNG"),
    "jpeg": (b"\xff\xd8\xff\xe0" + NOISE, "JPEG"),
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "parquet": (b"PARE" + NOISE, "encrypted Parquet"),
    "sqlite": (b"SQLite format 3\0" + NOISE, "SQLite"),
    "html": (b"\n<!DOCTYPE html><html><table><tr><td>a</td></tr></table></html>", "HTML"),
    "xml": (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "XML"),
    "json": (b'[\n  {"text": "a"},\n  {"text": "b"}\n]', "JSON"),
    "tar": (b"table.csv".ljust(257, b"\0") + b"ustar  \0" + b"\0" * 247, "tar"),
    "unknown bytes": (NOISE, "control characters"),
    "zeros": (b"\0" * 5000, "control characters"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("data", "said"), NOT_TEXT.values(), ids=NOT_TEXT)
def test_what_is_not_text_is_named(data: bytes, said: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotText, match=said) as caught:
        check_of(pack(data))
    assert caught.value.next_step


def test_gzip_in_gzip_is_named() -> None:
    with pytest.raises(NotText, match="inside"):
        check_of(gzip.compress(gzip.compress(b"a,b\n")))


def test_what_is_not_text_is_refused_after_kilobytes() -> None:
    check = StreamCheck()
    check.feed(NOISE[:4000])
    with pytest.raises(NotText):
        check.feed(NOISE[4000:5000])


TEXT_AFTER_ALL = {
    "a NUL": b"a,b\n\0,c\n",
    "cells padded with NULs": b"ab\0\0,cdef\0\n" * 500,
    "some control characters": b"a,\x08\x01b\n" + b"c,d\n" * 20,
    "utf-16 with BOM": "a,b\nc,d\n".encode("utf-16"),
    "utf-16 without": "a,b\nc,d\n".encode("utf-16-le"),
    "utf-32": "a,b\nc,d\n".encode("utf-32"),
    "shift-jis": "本文,評価\nとても良い,5\n".encode("shift_jis") * 100,
    "a cell of JSON": b'text\n"{""a"": 1}"\n',
    "names in brackets": b"[id],[text]\n1,a\n",
    "a tag": b"<b>text</b>\nx\n",
}


@pytest.mark.parametrize("data", TEXT_AFTER_ALL.values(), ids=TEXT_AFTER_ALL)
def test_what_is_text_passes(data: bytes) -> None:
    assert check_of(data).n_bytes == len(data)


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (b"PK\x03\x04\x14\0\x08\x08\x08\0\0\0\0\0[Content_Types].xmlPK\x03\x04..xl/workbook.xml" + NOISE, "xlsx"),
        (b"PAR1" + NOISE, "parquet"),
        (b'{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        (b"id\ttext\n1\ta\n", "csv"),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_first_bytes(data: bytes, source: str) -> None:
    for size in (1, 7, len(data)):
        assert check_of(data, size).source == source


@pytest.mark.parametrize("data", [b"PAR1" + NOISE, b"PK\x03\x04[Content_Types].xml" + NOISE])
def test_a_container_within_gzip_is_sent_as_it_is(data: bytes) -> None:
    with pytest.raises(NotText, match="within gzip"):
        check_of(gzip.compress(data))
