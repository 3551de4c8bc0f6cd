"""The file of a campaign: every row has an id of its own and a text that no other row has.

The null model's labels depend on the text alone, so a row that got another row's label shows as a different output.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import lru_cache
from random import Random

MOODS = (
    "so happy",
    "really angry",
    "rather sad",
    "quite surprised",
    "a bit scared",
    "not interested",
    "in love with it",
)
PLACES = (
    "the hotel",
    "the “new” office",
    'the shop called "Nine"',
    "Zürich",
    "the train,\nthe late one",
    "home; alone",
)

CRASH, RAISE, HANG, MEMORY = "☠ crash", "☠ raise", "☠ hang", "☠ memory"
"""What a poisonous text begins with, see `tests.faults.altered`."""

EMPTY_SHARE = 0.01
"""Rows without a text, which are counted as skipped."""


@dataclass(frozen=True)
class Corpus:
    """A CSV file (`data`) with the columns id and text, and the ids in their order."""

    n: int
    seed: int
    ids: tuple[str, ...]
    data: bytes

    @property
    def name(self) -> str:
        """One that tells it from others of this run."""
        return f"{self.n}-{self.seed}"


@lru_cache(maxsize=4)
def corpus(n: int, seed: int = 0) -> Corpus:
    """`n` rows; the same for the same numbers."""
    random = Random(f"corpus {n} {seed}")
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "text"])
    ids = tuple(f"{seed}-{number:07d}" for number in range(n))
    for row_id in ids:
        text = f"{row_id}: I am {random.choice(MOODS)} at {random.choice(PLACES)}" + ", again" * random.randrange(4)
        writer.writerow([row_id, "" if random.random() < EMPTY_SHARE else text])
    return Corpus(n, seed, ids, out.getvalue().encode())


def with_texts(n: int, texts: dict[int, str], seed: int = 0) -> Corpus:
    """The same file with other texts in the rows whose indices are keys of `texts`."""
    plain = corpus(n, seed)
    rows = list(csv.reader(io.StringIO(plain.data.decode(), newline="")))
    for index, text in texts.items():
        rows[index + 1][1] = text
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return Corpus(n, seed, plain.ids, out.getvalue().encode())
