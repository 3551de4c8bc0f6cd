"""From stored bytes to the one sequence of bytes that chunks are ranges of."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EncodingFailed, LimitExceeded, UploadDamaged
from core.table import WarningCounter, canonical_blocks
from tests.core.table.reading import in_blocks, table_format

TEXT = 'id,text\r\n1,"é\rЖ\n漢\u2028"\x85\x0b\n2,😀\r'


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("pack", [None, "gzip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030"])
def test_the_text_is_the_same_in_utf8(encoding: str, pack: str | None, size: int) -> None:
    data = TEXT.encode(encoding)
    fmt = table_format(encoding=encoding, compression=pack)
    blocks = list(canonical_blocks(in_blocks(gzip.compress(data) if pack else data, size), fmt))
    assert b"".join(blocks) == TEXT.encode()
    assert all(blocks)


def test_a_mark_is_stripped_though_the_encoding_does_not() -> None:
    fmt = table_format(encoding="utf-16-le")
    assert b"".join(canonical_blocks(["\ufeffa\ufeff".encode("utf-16-le")], fmt)) == "a\ufeff".encode()


BAD = [
    ("cp1252", b"a\r\nb\x81c", 4, 2),
    ("iso2022_jp_2", b'a\n\x1b$B$"\xff', 7, 2),
    ("utf-8", "é\né".encode() + b"\xff", 5, 2),
    ("utf-16", "\ufeffa\n\n".encode("utf-16-le") + b"\x00\xdcb\0", 8, 3),
    ("utf-16", "\ufeffa\n\n".encode("utf-16-be") + b"\xdc\0\0b", 8, 3),
    ("utf-16", "\ufeffa\n".encode("utf-16-be") + b"\x00", 6, 2),
]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(("encoding", "data", "offset", "line"), BAD)
def test_bytes_outside_the_encoding_are_named(encoding: str, data: bytes, offset: int, line: int, size: int) -> None:
    with pytest.raises(EncodingFailed, match=f"Byte {offset} ") as caught:
        list(canonical_blocks(in_blocks(data, size), table_format(encoding=encoding)))
    assert caught.value.line == line


CUT = [
    ("cp932", "本文\n本".encode("cp932") + b"\x82\nx", "本文\n本\ufffd\nx", [2]),
    ("gb18030", b"a\rb\n\x81\xff", "a\rb\n\ufffd\ufffd", [3, 3]),
    ("cp949", "가\n나".encode("cp949") + b"\xff\xffx\n\xb0", "가\n나\ufffd\ufffdx\n\ufffd", [2, 2, 3]),
    ("big5", b"\xa4\n" + "中\n文".encode("big5"), "\ufffd\n中\n文", [1]),
]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(("encoding", "data", "text", "lines"), CUT)
def test_a_character_that_is_cut_costs_itself(encoding: str, data: bytes, text: str, lines: list[int], size: int):
    odd = WarningCounter()
    blocks = canonical_blocks(in_blocks(data, size), table_format(encoding=encoding), odd=odd)
    assert b"".join(blocks).decode() == text
    (warning,) = odd.found()
    assert (warning.code, warning.count, list(warning.lines)) == ("character_cut", len(lines), lines)


@given(text=st.text("aé本\n語", max_size=30), cuts=st.lists(st.integers(0, 60), max_size=3), size=st.integers(1, 9))
def test_what_is_cut_is_as_python_replaces_it(text: str, cuts: list[int], size: int):
    data = bytearray(text.encode("gb18030"))
    for cut in cuts:
        del data[cut : cut + 1]
    blocks = canonical_blocks(in_blocks(bytes(data), size), table_format(encoding="gb18030"))
    assert b"".join(blocks).decode() == data.decode("gb18030", "replace")


@pytest.mark.parametrize("size", [1000, 10**6])
def test_many_characters_that_are_cut_are_another_encoding(size: int):
    few = ("本文" * 100 + "\n").encode("cp932") * 1000
    bad = b"\x82\n" * 1000
    with pytest.raises(EncodingFailed, match=r"Byte 401,\d\d\d of the text is not cp932") as caught:
        list(canonical_blocks(in_blocks(few + bad, size), table_format(encoding="cp932")))
    assert 1300 < (caught.value.line or 0) < 1500


@given(text=st.text(max_size=50), size=st.integers(1, 20), encoding=st.sampled_from(["utf-16", "utf-8-sig", "gb18030"]))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_through(text: str, size: int, encoding: str) -> None:
    text = text.lstrip("\ufeff")
    blocks = canonical_blocks(in_blocks(text.encode(encoding), size), table_format(encoding=encoding))
    assert b"".join(blocks).decode() == text


def test_gzip_that_breaks_or_swells_is_refused() -> None:
    fmt = table_format(compression="gzip")
    with pytest.raises(UploadDamaged):
        list(canonical_blocks([gzip.compress(b"a,b\n" * 100)[:-3]], fmt))
    with pytest.raises(LimitExceeded):
        list(canonical_blocks([gzip.compress(b"a,b\n" * 100)], fmt, max_unpacked_bytes=399))


def test_memory_does_not_grow_with_the_file() -> None:
    fmt = table_format(compression="gzip", encoding="cp1252")

    def peak(n_rows: int) -> int:
        packed = gzip.compress("1,Größe\n".encode("cp1252") * n_rows, 1)
        tracemalloc.start()
        for _ in canonical_blocks(in_blocks(packed, 4096), fmt):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(1_000_000) < peak(300_000) * 1.5
