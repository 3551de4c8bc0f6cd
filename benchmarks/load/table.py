"""The table of rows of a job of a million: filtered, sorted, paged and searched, one question after the other."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx

from benchmarks.accounts import Tenant, tenants
from benchmarks.corpus import write_rows_of_99_bytes
from benchmarks.group import Group, at_most
from benchmarks.interleaved import Figure, rounds
from benchmarks.memory import MEGABYTE, MemoryWatch
from benchmarks.single import Trial
from benchmarks.stacks import MEMORY_OFF, NULL_MODEL, started

ROWS = 1_000_000
ROUNDS = 15
PAGE = 25
LIMIT_MS = 300

HOW = (
    f"A job of {ROWS:,} rows of 99 bytes, labelled with the null engine. Each question is then asked {ROUNDS} times in "
    "turns, by one client over HTTP until the whole answer is read, each time with other values drawn at random: "
    f"{PAGE} rows a page through the API, and one page as HTML. The first look at a taxonomy, which reads its numbers "
    "out of Postgres, is reported by itself, not among them. A search's time is that until its last page is there."
)

EKMAN = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
FINE = ("admiration", "anger", "confusion", "curiosity", "grief", "joy", "pride", "relief", "neutral")


class Asker:
    """Asks about one job as a program does, and as a browser."""

    def __init__(self, tenant: Tenant, job_id: str, seed: int) -> None:
        self._random = random.Random(seed)
        self._api = f"/api/v1/jobs/{job_id}/rows"
        self._page = f"/jobs/{job_id}/rows"
        self._http = httpx.Client(
            base_url=tenant.client.url, headers={"Authorization": f"Bearer {tenant.key}"}, timeout=120, trust_env=False
        )

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def get(self, path: str = "", **params: Any) -> dict[str, Any]:
        """One answer of the API."""
        answer = self._http.get(self._api + path, params={"limit": PAGE, **params} if not path else params)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def html(self, **params: Any) -> None:
        """The table as the page loads it."""
        self._http.get(self._page, params=params, headers={"HX-Request": "true"}).raise_for_status()

    def pick(self, *choices: Any) -> Any:
        """One of some values."""
        return self._random.choice(choices)

    def share(self, low: float, high: float) -> str:
        """A score between two."""
        return f"{self._random.uniform(low, high):.3f}"

    def row(self) -> int:
        """Any data row."""
        return self._random.randint(1, self.rows - 1_000)

    rows = ROWS

    def all_of(self, **params: Any) -> int:
        """Asks until the end; how many rows came."""
        count, cursor = 0, None
        while True:
            page = self.get(**params, **({"cursor": cursor} if cursor else {}))
            count += len(page["rows"])
            if (cursor := page["next"]) is None:
                return count


def questions(ask: Asker) -> Mapping[str, tuple[str, Callable[[], Any]]]:
    """What is asked: key, words, and the question itself."""
    middle = {order: ask.get(sort=order, limit=500)["next"] for order in ("score", "score-asc")}
    back = {order: ask.get(sort=order, cursor=cursor)["previous"] for order, cursor in middle.items()}

    def turn(cursors: dict[str, str]) -> dict[str, Any]:
        order = ask.pick(*cursors)
        return ask.get(sort=order, cursor=cursors[order])

    return {
        "first": ("first page", ask.get),
        "deep": ("a page from anywhere", lambda: ask.get(after=ask.row())),
        "label": ("filter: top label", lambda: ask.get(label=ask.pick(*EKMAN))),
        "range": (
            "filter: top label and a range of scores",
            lambda: ask.get(label=ask.pick(*EKMAN), min_score=ask.share(0.2, 0.6), max_score=ask.share(0.6, 1)),
        ),
        "listed": (
            "filter: a listed label, any threshold",
            lambda: ask.get(listed=ask.pick("joy", "anger"), threshold=ask.share(0.1, 0.9)),
        ),
        "status": ("filter: status", lambda: ask.get(status=ask.pick("ok", "failed", "empty"))),
        "flag": ("filter: flag", lambda: ask.get(flag=ask.pick("ragged", "windowed"))),
        "sort": ("sort by score", lambda: ask.get(sort=ask.pick("score", "score-asc"))),
        "sort_label": ("filter by label, sort by score", lambda: ask.get(label=ask.pick(*EKMAN), sort="score")),
        "next": ("next page, sorted by score", lambda: turn(middle)),
        "back": ("page back, sorted by score", lambda: turn(back)),
        "fine": (
            "another taxonomy: filter and sort",
            lambda: ask.get(taxonomy="goemotions", label=ask.pick(*FINE), sort="score", min_score=ask.share(0, 0.5)),
        ),
        "fine_listed": (
            "another taxonomy: a listed label, any threshold, sorted",
            lambda: ask.get(taxonomy="goemotions", listed="joy", threshold=ask.share(0.1, 0.9), sort="score"),
        ),
        "row": ("one row, whole", lambda: ask.get(f"/{ask.row()}")),
        "html": ("the page's table, filtered and sorted", lambda: ask.html(label=ask.pick(*EKMAN), sort="score")),
        "search_first": ("search: first page of a frequent word", lambda: ask.get(search=ask.pick("the", "you"))),
    }


def measure(trial: Trial) -> Group:
    """Median of each question, and what the first look costs."""
    group = Group("table", "A table of a million rows", HOW)
    rows = trial.size(ROWS, 20_000)
    source = write_rows_of_99_bytes(trial.path("table.csv"), rows)
    environment = MEMORY_OFF | NULL_MODEL
    with (
        started(environment, warm_with=trial.corpus.texts(20)) as stack,
        tenants(stack, 1) as (tenant,),
        MemoryWatch(stack) as memory,
    ):
        job = tenant.client.create_job(source, text_column="text").id
        tenant.client.wait(job, timeout_s=900)
        before = stack.resident()["web"]
        ask = Asker(tenant, job, trial.seed)
        ask.rows = rows
        looks = {
            "first_look": ("the first filter of a job", lambda: ask.get(label="joy")),
            "first_fine": ("the first in another taxonomy", lambda: ask.get(label="joy", taxonomy="goemotions")),
            "first_listed": ("the first of a listed label", lambda: ask.get(listed="joy", taxonomy="goemotions")),
        }
        for key, (words, look) in looks.items():
            group.add(key, words, Figure.of([_timed(look)]), "s")
        for label in ("joy", "anger"):
            ask.get(listed=label)
        asked = questions(ask)
        found = rounds({key: partial(_timed, question) for key, (_, question) in asked.items()}, ROUNDS)
        for key, (words, _) in asked.items():
            group.add(key, words, Figure.of(1000 * seconds for seconds in found[key]), "ms", at_most(LIMIT_MS))
        rare = [f"{number:07d}" for number in random.Random(trial.seed).sample(range(1, rows + 1), 3)]
        group.add("search_rare", "search: a word of one row, to the end", Figure.of(_until_end(ask, rare)), "s")
        group.add("search_all", "search: a frequent word, sorted by score", Figure.of(_sorted_search(ask)), "s")
        grown = (max(memory.series("web")) - before) / MEGABYTE
        group.add("web_mb", "memory that web took for it", Figure.of([grown]), "MB")
        ask.close()
    group.notes.append(f"{rows:,} rows")
    return group


def _timed(question: Callable[[], Any]) -> float:
    began = time.perf_counter()
    question()
    return time.perf_counter() - began


def _until_end(ask: Asker, words: list[str]) -> list[float]:
    found = []
    for word in words:
        began = time.perf_counter()
        if ask.all_of(search=word) != 1:
            raise RuntimeError("A search did not find its row.")
        found.append(time.perf_counter() - began)
    return found


def _sorted_search(ask: Asker) -> list[float]:
    began = time.perf_counter()
    cursor = None
    while True:
        page = ask.get(search="and", sort="score", **({"cursor": cursor} if cursor else {}))
        if page["searched"]["done"]:
            return [time.perf_counter() - began]
        cursor = page["next"]
