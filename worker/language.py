"""Whether a text has words at all, and whether they are English: what the model cannot know of its own answer.

Nearly every row is English, and this stands between reading and scoring, so it must cost next to nothing. A text in
which a fifth of the words are common English ones is taken for English at once; that settles nine rows of ten in two
microseconds. A text mostly in another script than Latin is settled by its letters. Only the rest meets a detector
(py3langid, a naive Bayes model over n-grams; Lui & Baldwin 2012), and is called foreign where the detector leaves
English next to no chance: the model reads "lol", "yesss" and names well enough, so a doubt is no flag.

`python -m benchmarks.language` measures both errors and the cost.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from core.states import RowFlag

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

HEAD = 400
"""Characters looked at: a language shows early, and a long text must not cost more."""

SHARE = 6
"""One word in so many must be among `COMMON` for a text to be English without further question."""

LEAST_ENGLISH = 0.02
"""Probability of English under which a text is foreign. Of GoEmotions' dev split 2 texts of 5,426 fall under it."""

LEAST_LETTERS = 8
"""Of a text that the detector is asked about, and two words: a single one is as often a name or a sigh."""

# Frequent in English and rare in other languages that are written with Latin letters: neither "was" (German) nor "do"
# (Portuguese) nor "is" (Dutch) is here, however frequent.
COMMON = frozenset(
    """
    the you your and that this with what have for not they it's i'm his she just don't like how who why there from their
    them when about know think its really good out been would could should because please thanks thank great love get
    got going people time make never always something nothing everything someone every much more than then these those
    where which while into over after before being does did doing didn't doesn't isn't wasn't can't won't i've i'd i'll
    you're that's what's let's yeah sorry want need feel hope look looks right bad best better happy still even only can
    are but my our him her were had has will of it i to also pretty well now here very any again actually some such sure
    fuck fucking gonna other too many though way day life see say least down off he's they're we're nice true mean wrong
    """.split()
)
COMMON |= {word.replace("'", "\u2019") for word in COMMON}

# Latin script, and common enough in files that people send; fewer candidates make fewer mistakes on short texts.
LANGUAGES = tuple(
    "af az bs ca cs cy da de en es et eu fi fr ga gl hr ht hu id is it lt lv ms nl nn no pl pt ro sk sl sq sv sw tl tr "
    "vi zu".split()
)

_LINK = re.compile(r"(?:https?://|www\.)\S+")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_LAST_LATIN = "\u024f"
_MORE_LATIN = ("\u1e00", "\u1eff")  # Vietnamese, above all


def flag_of(text: str) -> int:
    """`RowFlag.NO_WORDS`, `NOT_ENGLISH` or 0, of a text that is not empty."""
    words = text[:HEAD].lower().split()
    if SHARE * sum(map(COMMON.__contains__, words)) >= len(words):
        return 0
    return _look_closer(text[:HEAD].replace("\u2019", "'"))


def _look_closer(text: str) -> int:
    text = _LINK.sub(" ", text)
    letters = _LETTER.findall(text)
    if not letters:
        return int(RowFlag.NO_WORDS)
    if not text.isascii():
        other = sum(letter > _LAST_LATIN and not _MORE_LATIN[0] <= letter <= _MORE_LATIN[1] for letter in letters)
        if 2 * other > len(letters):
            return int(RowFlag.NOT_ENGLISH)
    if len(letters) < LEAST_LETTERS or len(_WORD.findall(text)) < 2:
        return 0
    return int(RowFlag.NOT_ENGLISH) if chance_of_english(text) < LEAST_ENGLISH else 0


def chance_of_english(text: str) -> float:
    """The detector's probability that a text in Latin script is English, among `LANGUAGES`."""
    ranked: dict[str, float] = dict(_detector().rank(text))
    return float(ranked["en"])


@cache
def _detector() -> LanguageIdentifier:
    """Read once in a process, at the first text that needs it: a tenth of a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages(list(LANGUAGES))
    return detector
