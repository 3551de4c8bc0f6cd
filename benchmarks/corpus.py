"""Texts to classify: distinct, in natural language, about 19 tokens each on average.

GoEmotions' train texts where the data is at hand, each once. Where it is not, or has too few, sentences from a chain of
word pairs learnt from examples/reviews.csv, with the same distribution of lengths. The same seed gives the same texts.
"""

from __future__ import annotations

import csv
import os
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
EXAMPLE = REPO / "examples" / "reviews.csv"

WORDS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 22, 23, 26)
"""Words of a GoEmotions text at the middle of each twentieth of the rows; their mean is 12.8 words, 19 tokens."""

LINE_BYTES = 99
_ID, _RATING = 7, 1
_TEXT = LINE_BYTES - _ID - _RATING - len(",,\n")


def data_folder() -> Path:
    """Where GoEmotions lies, if anywhere: EMOBATCH_DATA, else beside the checkout."""
    return Path(os.environ.get("EMOBATCH_DATA") or REPO.parent / "shared" / "data" / "goemotions")


class Corpus:
    """An order of distinct texts that goes on for ever.

    Args:
        data: GoEmotions' folder; without a train.tsv in it, all texts are made.
        seed: of the order and of what is made.
    """

    def __init__(self, data: Path, seed: int = 1) -> None:
        self._seed = seed
        self._texts: list[str] = []
        if (data / "train.tsv").is_file():
            lines = (data / "train.tsv").read_text(encoding="utf-8").split("\n")
            found = dict.fromkeys(line.split("\t")[0].strip() for line in lines)
            found.pop("", None)
            self._texts = list(found)
            random.Random(seed).shuffle(self._texts)
        self.given = len(self._texts)
        self._made = sentences(example_texts(), seed)
        self._seen = set(self._texts)

    @property
    def source(self) -> str:
        """Where the texts come from, in a few words."""
        made = f"sentences made from {EXAMPLE.name}, seed {self._seed}"
        return f"{self.given:,} distinct texts of GoEmotions train, beyond them {made}" if self.given else made

    def texts(self, count: int, start: int = 0) -> list[str]:
        """`count` texts from place `start` on; two ranges that do not overlap have no text in common."""
        while len(self._texts) < start + count:
            text = next(self._made)
            if text not in self._seen:
                self._seen.add(text)
                self._texts.append(text)
        return self._texts[start : start + count]


def example_texts(path: Path = EXAMPLE) -> list[str]:
    """The texts of the example file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def sentences(texts: Sequence[str], seed: int) -> Iterator[str]:
    """Endless sentences in which every two neighbouring words are neighbours somewhere in `texts`."""
    followers: dict[str, list[str]] = defaultdict(list)
    openings = []
    for text in texts:
        words = text.split()
        openings += words[:1]
        for one, other in pairwise(words):
            followers[one].append(other)
    random_ = random.Random(seed)
    while True:
        count = random_.choice(WORDS)
        words = [random_.choice(openings)]
        while len(words) < count:
            words.append(random_.choice(followers.get(words[-1]) or openings))
        yield " ".join(words)


def with_repeats(texts: Sequence[str], rows: int, share: float, seed: int) -> list[str]:
    """`rows` texts of which `share` repeat an earlier one, anywhere before; the others are new, taken from `texts`."""
    random_ = random.Random(seed)
    n_repeats = round(rows * share)
    repeats = set(random_.sample(range(1, rows), n_repeats))
    fresh = iter(texts)
    found: list[str] = []
    used: list[str] = []
    for row in range(rows):
        if row in repeats:
            found.append(random_.choice(used))
        else:
            used.append(next(fresh))
            found.append(used[-1])
    return found


def write_csv(path: Path, texts: Sequence[str]) -> Path:
    """A CSV with the columns id and text; its path again."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts, start=1))
    return path


def write_rows_of_99_bytes(path: Path, rows: int, seed: int = 1) -> Path:
    """A CSV with the columns id, text and rating whose records are 99 bytes each, line end included; its path again.

    Texts are distinct (each ends in its row's number), ASCII, and need no quotes.
    """
    room = _TEXT - _ID - 1
    stems: list[str] = []
    made = sentences(example_texts(), seed)
    while len(stems) < 1_000:
        stem = ""
        while len(stem) < room:
            words = next(made).encode("ascii", "ignore").decode()
            stem = f"{stem} {words}".strip().replace('"', "").replace(",", "")
        stems.append(stem[:room])
    with path.open("w", encoding="ascii", newline="") as file:
        file.write("id,text,rating\n")
        for row in range(1, rows + 1):
            file.write(f"{row:07d},{stems[row % 1_000]} {row:07d},{row % 5 + 1}\n")
    return path
