"""Words in texts: what counts as found, and that the quick look at bytes never hides a row."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadOption
from core.results.search import _LIGATURES, _ODD, LONGEST, Needle


@pytest.mark.parametrize(
    ("needle", "text", "anywhere", "as_word"),
    [
        ("cat", "The CAT sat", True, True),
        ("cat", "concatenate", True, False),
        ("cat", "cat", True, True),
        ("cat", "cat_food", True, False),
        ("cat", "cat-food", True, True),
        ("STRASSE", "die Straße", True, True),
        ("straße", "STRASSE", True, True),
        ("ΟΔΟΣ", "οδος", True, True),
        ("fi", "ﬁne", True, False),
        (":)", "so :) nice", True, True),
        ("a.c", "abc", False, False),
        ("no, thanks", "No, thanks!", True, True),
        ("dog", "The cat", False, False),
    ],
)
def test_what_counts_as_found(needle, text, anywhere, as_word):
    assert (Needle(needle).is_in(text), Needle(needle, True).is_in(text)) == (anywhere, as_word)


TEXT = st.text(st.sampled_from("aKk\u212aßsSfFiIﬁİ\u0307\"',;\n éÉσςΣ"), max_size=12)


@settings(max_examples=300, deadline=None)
@given(text=TEXT, needle=TEXT.filter(lambda text: text.strip()), around=TEXT)
def test_the_quick_look_never_hides_a_row(text, needle, around):
    file = io.StringIO()
    csv.writer(file).writerows([[around, text], [text + needle, around]])
    sought = Needle(needle)
    if sought.is_in(text):
        assert sought.may_be_in(file.getvalue().encode())


def test_every_character_with_ascii_in_its_folding_is_known():
    for code in range(128, 0x110000):
        if not 0xD800 <= code < 0xE000 and any(character.isascii() for character in chr(code).casefold()):
            encoded = chr(code).encode()
            assert _ODD.fullmatch(encoded) or _LIGATURES.fullmatch(encoded), hex(code)


@pytest.mark.parametrize("needle", ["", "   ", "x" * (LONGEST + 1)])
def test_nothing_and_too_much_are_refused(needle):
    with pytest.raises(BadOption):
        Needle(needle)
