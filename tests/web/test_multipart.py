"""The streaming form parser: the file's bytes exactly, however the form is cut into blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadOption
from web.intake import plain_name
from web.multipart import FormStream

EDGE = "----WebKitFormBoundary7MA4YWxk"
TYPE = f"multipart/form-data; boundary={EDGE}"


def encode(*parts: tuple[str, bytes, str | None]) -> bytes:
    body = b""
    for name, content, filename in parts:
        file = f'; filename="{filename}"\r\nContent-Type: text/csv' if filename else ""
        body += f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    return body + f"--{EDGE}--\r\n".encode()


def blocks_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# Bytes that look like parts of a boundary are the hard ones.
tricky = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", f"--{EDGE[:-1]}".encode(), b"a,b", b"\0", b'"', b"\xff"])
).map(b"".join)


@given(content=tricky, size=st.integers(1, 70), before=tricky)
def test_the_file_arrives_byte_for_byte(content, size, before):
    data = encode(("note", before, None), ("file", content, "in.csv"), ("text_column", b"text", None))
    form = FormStream(TYPE, blocks_of(data, size))
    assert form.find_file() == "in.csv"
    assert form.fields == {"note": before.decode("utf-8", "replace")}
    assert b"".join(form.file()) == content
    assert form.fields["text_column"] == "text"


def test_the_file_is_handed_on_as_it_comes():
    """No more of the form is taken than what was asked for: memory stays that of a block."""
    taken = []

    def slowly():
        for block in blocks_of(encode(("file", b"x" * 10_000, "in.csv")), 1_000):
            taken.append(block)
            yield block

    form = FormStream(TYPE, slowly())
    form.find_file()
    assert len(taken) == 1
    file = form.file()
    assert next(file)
    assert len(taken) <= 2


def test_an_endless_preamble_or_header_is_refused():
    for start in (b"", f'--{EDGE}\r\nContent-Disposition: form-data; name="'.encode()):
        endless = iter(lambda: b"x" * 65_536, None)
        form = FormStream(TYPE, (block for part in ([start], endless) for block in part))
        with pytest.raises(BadOption):
            form.find_file()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("reviews.csv", "reviews.csv"),
        ("C:\\data\\reviews.csv", "reviews.csv"),
        ("../../etc/passwd", "passwd"),
        ("a\0b\r\nc\x1b[31m.csv", "abc[31m.csv"),
        ("評価 😀.csv", "評価 😀.csv"),
        ("\ud800.csv", "csv"),
        ("", "upload.csv"),
        (None, "upload.csv"),
        ("folder/", "upload.csv"),
        ("x" * 300 + ".csv", "x" * 236 + ".csv"),
    ],
)
def test_file_names_are_made_plain(given, kept):
    assert plain_name(given) == kept
