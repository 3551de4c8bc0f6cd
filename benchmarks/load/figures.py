"""The figures of a large job: how long the first count takes, and how long a change of threshold or taxonomy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from benchmarks.corpus import write_rows_of_99_bytes
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure
from benchmarks.single import Trial
from benchmarks.stacks import NULL_MODEL, started
from emobatch.client import Client
from emobatch.job import View

ROWS, CHANGES = 1_000_000, 40
TAXONOMIES = ("ekman", "goemotions", "sentiment")
OWN = {"cross": ["anger", "annoyance"], "glad": ["joy", "love", "gratitude"], "calm": ["neutral"]}
GOAL_S = 0.3

HOW = (
    f"A job of {ROWS:,} rows of 99 bytes (id, text, rating), labelled with the null engine, whose labels are as mixed "
    "as can be. The first question for its figures counts it; then taxonomy and threshold (a hundredth) are changed "
    f"{CHANGES} times without a breakdown and {CHANGES} times broken down by rating, over HTTP, one after the other, "
    "each answer whole. Then the first question in a taxonomy of the user's own, and at a threshold between hundredths."
)


def measure(trial: Trial) -> Group:
    """Seconds of the first answer, and of each change after it."""
    group = Group("figures", "The summary of a large job", HOW)
    rows = trial.size(ROWS, 5_000)
    random_ = random.Random(trial.seed)
    source = write_rows_of_99_bytes(trial.path("figures.csv"), rows)
    with started(NULL_MODEL, warm_with=trial.corpus.texts(20)) as stack:
        client = stack.client
        job = client.create_job(source, text_column="text")
        client.wait(job.id, timeout_s=900)
        trial.say(f"(figures) {rows:,} rows are labelled")

        def ask(taxonomy: str, threshold: float | None, by: str | None = None, *, examples: bool = False) -> float:
            began = time.perf_counter()
            found = client.summary(job.id, View(taxonomy, threshold), by=by or "", rows=examples)["figures"]
            seconds = time.perf_counter() - began
            if found["rows"] != rows or sum(label["top"]["count"] for label in found["labels"]) != rows:
                raise RuntimeError("Not every row was counted.")
            return seconds

        first = ask("ekman", None)
        column = ask("ekman", None, "rating")
        plain = _changes(ask, trial, random_, None)
        parted = _changes(ask, trial, random_, "rating")
        examples = [ask(taxonomy, None, examples=True) for taxonomy in TAXONOMIES for _ in range(3)]
        _own(client)
        own_first = ask("bench moods", 0.4)
        own = [ask("bench moods", random_.randrange(100) / 100) for _ in range(trial.size(CHANGES, 5))]
        between = ask("ekman", 0.4321)
    group.add("first_s", "first question: counting all rows", Figure.of([first]), "s")
    group.add("column_s", "first question by a column: reading it too", Figure.of([column]), "s")
    group.add("change_s", "another threshold and taxonomy", Figure.of(plain), "s", at_most(GOAL_S))
    group.add("change_by_s", "the same, broken down by the column", Figure.of(parted), "s", at_most(GOAL_S))
    group.add("examples_s", "with typical and uncertain rows of every label", Figure.of(examples), "s")
    group.add("own_first_s", "first question in an own taxonomy", Figure.of([own_first]), "s")
    group.add("own_s", "another threshold in it", Figure.of(own), "s", at_most(GOAL_S))
    group.add("between_s", "first question at a threshold between hundredths", Figure.of([between]), "s")
    group.notes.append(f"{rows:,} rows, {len(plain)} changes each")
    return group


def _changes(
    ask: Callable[[str, float | None, str | None], float], trial: Trial, random_: random.Random, by: str | None
) -> Sequence[float]:
    """The seconds of changes, each to another taxonomy and threshold than before."""
    count = trial.size(CHANGES, 6)
    return [ask(TAXONOMIES[number % 3], random_.randrange(100) / 100, by) for number in range(count)]


def _own(client: Client) -> None:
    client.taxonomies.save("bench moods", OWN)
