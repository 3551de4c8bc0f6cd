"""worker.language: no words, not English; and no flag on the English that people write."""

from __future__ import annotations

import pytest

from core.states import RowFlag
from worker.language import HEAD, flag_of

NO_WORDS, NOT_ENGLISH = int(RowFlag.NO_WORDS), int(RowFlag.NOT_ENGLISH)


@pytest.mark.parametrize(
    "text", ["12345", "!!! ... ???", "😂😂", "5/5", "https://example.com/a?b=c", "____", "+49 30 1234"]
)
def test_no_words(text: str):
    assert flag_of(text) == NO_WORDS


@pytest.mark.parametrize(
    "text",
    [
        "Das ist wirklich ein schlechtes Produkt, ich bin enttäuscht.",
        "Me encanta este producto, muchas gracias",
        "C'est vraiment nul, je suis déçu",
        "Sono molto felice oggi",
        "Dit was een heel goed boek en het is niet duur",
        "Это просто ужасно",
        "とても嬉しいです",
        "هذا سيء جدا",
        "Đây là một sản phẩm rất tốt",
    ],
)
def test_not_english(text: str):
    assert flag_of(text) == NOT_ENGLISH


@pytest.mark.parametrize(
    "text",
    [
        "lol",
        "LMAO 😂😂",
        "yesss",
        "omg nooo",
        "Oh la la",
        "Sacramento fun as hell",
        "Leeeeeroy Jenkins",
        "The Zeitgeist of the Weltschmerz",
        "it’s a café, naïve of me",
        "She said 我很高兴 and I had to look it up",
        "WHY THE FUCK IS BAYLESS ISOING",
        "A",
        "see https://example.com/ein/langer/deutscher/pfad/ohne/ende",
    ],
)
def test_english_and_what_nobody_can_tell_has_no_flag(text: str):
    assert flag_of(text) == 0


def test_only_the_beginning_of_a_long_text_is_looked_at():
    assert flag_of("I like it. " * 50 + "Das ist deutsch. " * 1000) == 0
    assert flag_of("Das ist leider deutsch. " * 50 + "the and you " * 1000) == NOT_ENGLISH
    assert len("Das ist leider deutsch. " * 50) > HEAD
