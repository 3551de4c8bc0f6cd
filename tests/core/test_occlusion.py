"""Leaving words out: which pieces a text has, what is asked, and what the answers mean."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import occlusion
from core.errors import LimitExceeded
from core.occlusion import Piece

ROOM = 32 * 1024


def said(text: str, most: int = 63) -> list[str]:
    return [piece.of(text) for piece in occlusion.pieces_of(text, most)]


def test_words_keep_their_apostrophes_and_signs_count_too():
    assert said("I can't — well-known, so sad!!! :)") == [
        "I",
        "can't",
        "—",
        "well-known",
        ",",
        "so",
        "sad",
        "!!!",
        ":)",
    ]


def test_words_of_a_long_text_go_together():
    assert said("a b c d e f g", 3) == ["a b c", "d e f", "g"]


@pytest.mark.parametrize(
    ("piece", "left"), [(Piece(0, 1), " b, c"), (Piece(2, 3), "a , c"), (Piece(5, 6), "a b, "), (Piece(3, 4), "a b c")]
)
def test_what_is_left_keeps_one_space(piece, left):
    assert piece.left_out("a b, c") == left


def test_a_space_on_both_sides_becomes_one():
    assert Piece(2, 3).left_out("a b c") == "a c"


@given(st.text(max_size=400), st.integers(1, 70))
def test_pieces_cover_every_word_in_order_and_are_not_too_many(text, most):
    pieces = occlusion.pieces_of(text, most)
    assert len(pieces) <= most
    assert all(one.end <= other.start for one, other in pairwise(pieces))
    covered = {at for piece in pieces for at in range(piece.start, piece.end)}
    assert all(at in covered for at, character in enumerate(text) if character.isalnum())


@given(st.integers(1, 16_384))
def test_what_is_asked_fits_into_requests(length):
    text = ("word " * 4000)[:length].strip() or "x"
    pieces, requests = occlusion.plan(text, most_texts=64, most_characters=ROOM)
    texts = list(chain.from_iterable(requests))
    assert texts[0] == text
    assert texts[1:] == [piece.left_out(text) for piece in pieces]
    assert len(requests) <= occlusion.MOST_REQUESTS
    assert all(len(request) <= 64 and sum(map(len, request)) <= ROOM for request in requests)


def test_a_text_too_long_is_refused_with_the_length_that_is_not():
    with pytest.raises(LimitExceeded) as raised:
        occlusion.plan("word " * 4000, most_texts=64, most_characters=ROOM)
    assert "16,384" in raised.value.next_step


def test_one_word_alone_cannot_be_left_out():
    assert occlusion.plan("Wow", most_texts=64, most_characters=ROOM) == ([], [["Wow"]])


def test_a_change_is_what_a_word_adds():
    assert occlusion.changes([0.9, 0.2, 1.0]) == pytest.approx([0.7, -0.1])
