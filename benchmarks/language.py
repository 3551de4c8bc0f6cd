"""What looking at a text's words costs, and how often `worker.language` is wrong.

    python -m benchmarks.language [FILE.tsv]

English: the texts of a file in GoEmotions' format (by default its dev split), of which each one called foreign or
without words is a mistake. Foreign: the messages of WTForms in other languages, of which each one not called foreign
is. Cost: seconds of one core, by its own clock, over what scoring a row takes of all cores in docs/performance.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from core.states import RowFlag
from training.data import data_dir, read_tsv
from training.trust import foreign_texts
from worker.language import flag_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    english = read_tsv(Path(given[0]) if given else data_dir() / "dev.tsv").texts
    foreign = foreign_texts()
    flag_of("Das Modell wird hier zum ersten Mal geladen")
    began = time.thread_time()
    flags = [flag_of(text) for text in english]
    cost = (time.thread_time() - began) / len(english)
    missed = sum(flag_of(text) != RowFlag.NOT_ENGLISH for text in foreign)
    found = {
        "microseconds_a_row": round(1e6 * cost, 1),
        "english": len(english),
        "english_called_foreign": sum(flag == RowFlag.NOT_ENGLISH for flag in flags),
        "english_called_wordless": sum(flag == RowFlag.NO_WORDS for flag in flags),
        "foreign": len(foreign),
        "foreign_missed": missed,
    }
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
