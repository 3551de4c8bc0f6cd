"""Looking for words in the texts of a job: there is no index of them, so the file is read, and says how far it was.

Nothing of a text is kept anywhere but in the user's file; what a search leaves behind is which rows it found, in the
same memory as the other columns. So a search can be stopped, goes on where it was, and its next page costs nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.results.columns import Column
from core.results.places import Places
from core.results.walk import JobSource, ranges, records_of
from core.storage import Storage

LONGEST = 200
"""Characters of what is searched for."""

BATCH = 16
"""Chunks that are looked through between two looks at the clock: half a megabyte of short rows."""

_ODD = re.compile("|".join("\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a").encode())
_LIGATURES = re.compile("|".join("\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06").encode())
"""Characters beyond ASCII which, case aside, hold an ASCII letter: ``ß`` is ``ss``, ``ﬁ`` is ``fi``."""


@dataclass(frozen=True)
class Needle:
    """What is searched for: some characters in a row, wherever their case; or as a word of its own.

    Raises:
        BadOption: on construction: nothing, or too long.
    """

    text: str
    whole_word: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text.strip())
        if not 1 <= len(self.text) <= LONGEST:
            raise BadOption(
                f"search has {len(self.text):,} characters.", next_step=f"Search for 1 to {LONGEST} characters."
            )

    @cached_property
    def folded(self) -> str:
        """Without its case (Unicode's full case folding)."""
        return self.text.casefold()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){re.escape(self.folded)}(?!\w)")

    @cached_property
    def _part(self) -> str:
        """The longest part that stands in a CSV as it is: quotes are doubled there."""
        return max(self.folded.split('"'), key=len)

    def is_in(self, text: str) -> bool:
        """Whether a text holds it. A word ends where no letter, digit or underscore follows."""
        folded = text.casefold()
        return self.folded in folded and (not self.whole_word or self._pattern.search(folded) is not None)

    def may_be_in(self, data: bytes) -> bool:
        """Whether it can be in any cell of some UTF-8 CSV: asked first, since nearly always the answer is no.

        Lowering ASCII in bytes is ten times as fast as folding characters, and splitting records slower still.
        """
        if self._part.isascii():
            return self._part.encode() in data.lower() or bool(_ODD.search(data) or _LIGATURES.search(data))
        return self._part in data.decode(errors="replace").casefold()


class Hits(Column):
    """`hit` (n,) bool: whether the row's text holds the needle; chunks are in that were looked through."""

    layout: ClassVar = {"hit": (np.bool_, False)}
    hit: NDArray[np.bool_]

    def __init__(self, needle: Needle) -> None:
        super().__init__()
        self._needle = needle

    def scan(
        self,
        chunks: list[int],
        storage: Storage,
        source: JobSource,
        places: Places,
        *,
        budget_s: float,
        enough: Callable[[], bool],
    ) -> None:
        """Looks through chunks in the order given, batch by batch, until that is `enough` or time is up.

        Args:
            budget_s: 0: nothing is looked through, else at least a batch.

        Raises:
            StorageMissing, Unavailable: the file cannot be read.
        """
        until = time.monotonic() + budget_s
        for at in range(0, len(chunks), BATCH):
            if enough() or not budget_s or (at and time.monotonic() >= until):
                return
            batch = [places.chunk(number) for number in sorted(chunks[at : at + BATCH])]
            for chunk, data, start in ranges(storage, source, batch):
                within = places.within(chunk.chunk_no)
                mended = source.mended is not None and source.mended.touches(chunk.first_row, chunk.n_rows)
                if mended or self._needle.may_be_in(data[chunk.byte_start - start : chunk.byte_end - start]):
                    text_at = source.text_index
                    self.hit[within] = [
                        text_at < len(record.cells) and self._needle.is_in(record.cells[text_at])
                        for record in records_of(source, chunk, data, start)
                    ]
                self.has[chunk.chunk_no] = True
