"""The table of rows against brute force: every filter, order and search, page by page forward and back."""

from __future__ import annotations

import json
import uuid
from itertools import chain, pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core import removal
from core.errors import BadOption, NotFound, NotReady, UploadDamaged
from core.results import ResultOptions, Results, RowQuery
from core.results.columns import Column, ColumnCache
from core.results.query import Cursor, Order, Sort
from core.results.search import Needle
from tests.fakes import NullScorer, null_logits
from tests.fixtures import Installation

WORDS = ["Straße", "strasse", "ﬁne", "fine", 'said "no"', "no, thanks", "e\u0301t\u00e9", "\u212aelvin", "long", "snow"]
TEXTS = [f"{WORDS[n % len(WORDS)]} {n % 37} {WORDS[(n * 7) % 9]}" for n in range(300)]
TEXTS[::11] = [""] * len(TEXTS[::11])
TEXTS[5::40] = ["bad"] * len(TEXTS[5::40])


def cell(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


FILE = "id,text\n" + "".join(f"{n},{cell(value)}{',more' * (n % 13 == 0)}\n" for n, value in enumerate(TEXTS, start=1))


def on_text(value: str) -> None:
    if value == "bad":
        raise RuntimeError("no")


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return {}


@pytest.fixture
def job_id(installation: Installation) -> uuid.UUID:
    made = installation.accept(FILE.encode())
    installation.run(NullScorer(on_text), chunk_records=4)
    return made


def flat(pages: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(pages))


def opened(installation: Installation, job_id: uuid.UUID, results: Results | None = None, **options: str):
    results = results or Results(installation.web_db, installation.storage)
    return results.open(installation.account_id, job_id, ResultOptions.parse(**options), partial=True)


def pages_of(table, query: RowQuery, limit: int, search_s: float) -> list[list[int]]:
    """Every page forward; a search goes on until it is over."""
    pages, cursor = [], None
    while True:
        page = table.page(query, limit=limit, cursor=cursor, search_s=search_s)
        if query.sort is Sort.SCORE and page.searched and not page.searched.done:
            assert page.next
            cursor = page.next
            continue
        pages.append([row["row"] for row in page.rows])
        if page.next is None:
            assert not page.searched or page.searched.done
            return pages
        cursor = page.next


def pages_back(table, query: RowQuery, limit: int, last_row_key: int) -> list[list[int]]:
    """Every page backward from under a key, as they stand in the table."""
    pages: list[list[int]] = []
    cursor: str | None = Cursor.of(query, last_row_key, back=True).encode()
    while cursor:
        page = table.page(query, limit=limit, cursor=cursor, search_s=1e-9)
        if query.sort is Sort.SCORE and page.searched and not page.searched.done:
            cursor = page.next
            continue
        pages.insert(0, [row["row"] for row in page.rows])
        cursor = page.previous
    return pages


def brute(rows: list[dict[str, Any]], query: RowQuery, taxonomy, threshold: float | None) -> list[int]:
    """The rows of a query, from what the download says of each."""
    found = []
    limit = dict.fromkeys(taxonomy.labels, threshold)
    if threshold is None:
        limit = dict(zip(taxonomy.labels, taxonomy.thresholds, strict=True))
    for row in rows:
        top = row["emotion"] if taxonomy.name != "sentiment" else row["sentiment"]
        status, _, notes = row["row_status"].partition(": ")
        score = max(row["exact"].values(), default=None)
        if query.listed:
            score = row["exact"].get(query.listed)
        shown = None if score is None else round(score, 4)
        keep = (
            (query.label is None or top == query.label)
            and (query.listed is None or (score is not None and score >= limit[query.listed]))
            and (query.status is None or status == query.status)
            and (
                query.flag is None
                or query.flag in row["flags"]
                or (query.flag == "windowed" and query.flag in notes)
                or (query.flag == "ragged" and row["row"] % 13 == 0)
            )
            and (query.min_score is None or (shown is not None and shown >= query.min_score))
            and (query.max_score is None or (shown is not None and shown <= query.max_score))
            and (query.sort is Sort.ROW or shown is not None)
            and (query.search is None or query.search.is_in(row["text"]))
        )
        if keep:
            found.append((0 if query.sort is Sort.ROW else shown, row["row"]))
    if query.sort is Sort.ROW:
        return sorted((row for _, row in found), reverse=not query.is_ascending)
    return [row for _, row in sorted(found, key=lambda one: (one[0] if query.is_ascending else -one[0], one[1]))]


SCORES = st.none() | st.sampled_from([0.0, 0.2, 0.5, 0.75, 0.9, 1.0])
NEEDLES = st.builds(
    Needle,
    st.sampled_from(["ss", "STRASSE", "fine", '"', 'D "N', "no", "kelvin", "É", "7", "o, t", "long 3", "nowhere"]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(
    data=st.data(),
    taxonomy=st.sampled_from(["ekman", "goemotions", "sentiment"]),
    threshold=st.sampled_from([None, 0.3, 0.123456789]),
    limit=st.sampled_from([1, 7, 40, 500]),
)
def test_every_table_is_what_brute_force_says(installation, job_id, kept, data, taxonomy, threshold, limit):
    chosen = installation.model.taxonomies[taxonomy]
    query = data.draw(
        st.builds(
            RowQuery,
            label=st.none() | st.none() | st.sampled_from(chosen.labels),
            listed=st.none() | st.none() | st.sampled_from(chosen.labels),
            status=st.none() | st.none() | st.sampled_from(["ok", "empty", "failed"]),
            flag=st.none() | st.none() | st.sampled_from(["ragged", "windowed", "no_words", "not_english", "close"]),
            min_score=SCORES,
            max_score=SCORES,
            search=st.none() | NEEDLES,
            sort=st.sampled_from(Sort),
            order=st.none() | st.sampled_from(Order),
        )
    )
    limit = max(limit, 7) if query.search is None else limit
    results = kept.setdefault(job_id, Results(installation.web_db, installation.storage))
    options = {"taxonomy": taxonomy, "threshold": "auto" if threshold is None else str(threshold)}
    table = opened(installation, job_id, results, **options)
    rows = [dict(row) for row in rows_in(table, kept, taxonomy)]
    for row in rows:
        row["exact"] = {}
        if row["row_status"].startswith("ok"):
            row["exact"] = dict(
                zip(chosen.labels, chosen.scores(null_logits([row["text"].strip()]))[0].tolist(), strict=True)
            )
    wanted = brute(rows, query, chosen, threshold)
    forward = pages_of(table, query, limit, search_s=data.draw(st.sampled_from([1e-9, 10.0])))
    assert flat(forward) == wanted
    if query.search is None:
        assert all(len(page) == limit for page in forward[:-1])
    assert flat(pages_back(table, query, limit, 2**50 if query.sort is Sort.SCORE else 2**31 - 1)) == wanted


def rows_in(table, kept: dict[str, Any], taxonomy: str) -> list[dict[str, Any]]:
    if taxonomy not in kept:
        kept[taxonomy] = [json.loads(line) for line in b"".join(table.jsonl()).splitlines()]
    return kept[taxonomy]


def test_a_page_says_where_it_stands(installation, job_id):
    table = opened(installation, job_id)
    first = table.page(limit=25)
    assert (first.total, first.before, first.previous) == (300, 0, None)
    second = table.page(limit=25, cursor=first.next)
    assert (second.total, second.before, [row["row"] for row in second.rows]) == (300, 25, [*range(26, 51)])
    again = table.page(limit=25, cursor=second.previous)
    assert again.rows == first.rows
    assert again.next == first.next
    beyond = table.page(limit=25, after_row=300)
    assert (beyond.rows, beyond.before, beyond.next) == ([], 300, None)
    assert [row["row"] for row in table.page(limit=3, cursor=beyond.previous).rows] == [298, 299, 300]


def test_rows_that_come_meanwhile_move_nothing(installation):
    """A page is found by the row it follows, not by how many there are before it."""
    made = installation.accept(FILE.encode())
    shift = installation.shift(NullScorer(on_text), chunk_records=4, claim_chunks=1, claim_s=0)
    results = Results(installation.web_db, installation.storage)
    query = RowQuery(sort=Sort.SCORE)
    seen: list[int] = []
    cursor = None
    ended = False
    while not (ended and cursor is None and seen):
        ended = ended or not shift.tick()
        page = opened(installation, made, results).page(query, limit=10, cursor=cursor)
        if page.rows:
            units = [row["emotion_score"] for row in page.rows]
            assert all(one >= other for one, other in pairwise(units))
        seen += [row["row"] for row in page.rows]
        cursor = page.next
        if cursor is None and ended:
            break
    assert len(seen) == len(set(seen))
    final = opened(installation, made, results)
    assert flat(pages_of(final, query, 50, 1)) == flat(pages_of(opened(installation, made), query, 50, 1))


def test_a_running_job_shows_what_is_done(installation):
    made = installation.accept(FILE.encode())
    shift = installation.shift(chunk_records=4)
    shift.tick()
    results = Results(installation.web_db, installation.storage)
    with installation.db.transaction() as session:
        session.execute(text("DELETE FROM result_chunk WHERE chunk_no % 2 = 1"))
        session.execute(
            text("""
            UPDATE job SET state = 'running', finished_at = NULL,
                chunks_done = (SELECT count(*) FROM result_chunk WHERE job_id = job.id)
            """)
        )
    page = opened(installation, made, results).page(limit=500)
    assert [row["row"] for row in page.rows] == [row for row in range(1, 301) if (row - 1) // 4 % 2 == 0]
    with pytest.raises(NotReady):
        opened(installation, made, results).row(5)


def test_rows_without_a_result_count_as_failed_in_a_job_that_is_over(installation):
    made = installation.accept(FILE.encode())
    shift = installation.shift(chunk_records=4)
    shift.tick()
    with installation.db.transaction() as session:
        session.execute(text("DELETE FROM result_chunk WHERE chunk_no > 0"))
        session.execute(text("UPDATE job SET state = 'cancelled', chunks_done = 1"))
    table = opened(installation, made)
    failed = table.page(RowQuery(status="failed"), limit=500)
    assert [row["row"] for row in failed.rows] == list(range(5, 301))
    assert {row["row_status"] for row in failed.rows} == {"failed: cancelled"}
    assert table.row(7).readings == {}


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ({"label": "bliss"}, {}),
        ({"listed": "bliss"}, {}),
        ({}, {"limit": 0}),
        ({}, {"limit": 10**6}),
        ({}, {"cursor": "abc"}),
        ({}, {"cursor": Cursor("score-desc", 5).encode()}),
        ({"sort": Sort.SCORE}, {"after_row": 5}),
        ({"order": Order.DESC}, {"after_row": 5}),
    ],
)
def test_unknown_filters_are_refused(installation, job_id, query, more):
    with pytest.raises(BadOption):
        opened(installation, job_id).page(RowQuery(**query), **more)


@pytest.mark.parametrize("wrong", [{"status": "done"}, {"flag": "odd"}, {"min_score": 2}, {"max_score": float("nan")}])
def test_a_query_is_checked_as_it_is_made(wrong):
    with pytest.raises(BadOption):
        RowQuery(**wrong)


def test_a_row_is_shown_whole(installation, job_id):
    detail = opened(installation, job_id, scores="all").row(2)
    logits = null_logits([TEXTS[1].strip()])
    assert detail.row["cells"] == {"id": "2", "text": TEXTS[1]}
    assert (detail.row["row"], detail.row["line"]) == (2, 3)
    assert set(detail.readings) == set(installation.model.taxonomies)
    for name, taxonomy in installation.model.taxonomies.items():
        scores = taxonomy.scores(logits)
        assert list(detail.readings[name].scores.values()) == [round(x, 4) for x in scores[0].tolist()]
        assert detail.readings[name].labels == tuple(taxonomy.names(taxonomy.selected(scores)[0]))
        assert detail.readings[name].label == taxonomy.labels[taxonomy.top(scores)[0][0]]
    whole = opened(installation, job_id).row(13)
    assert whole.flags == ("ragged", *whole.row["flags"])
    assert opened(installation, job_id, threshold="0").row(2).readings["ekman"].labels[-1] == "neutral"


@pytest.mark.parametrize("row", [0, 301, 10**12])
def test_a_row_that_is_not_there(installation, job_id, row):
    with pytest.raises(NotFound):
        opened(installation, job_id).row(row)


def test_a_file_that_ends_too_early_is_said(installation, job_id):
    table = opened(installation, job_id)
    path = next(
        path
        for path in (installation.storage._root).rglob("*")
        if path.is_file() and path.stat().st_size == len(FILE.encode())
    )
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(UploadDamaged) as raised:
        table.page(limit=500)
    assert raised.value.row


class Bytes(Column):
    layout: ClassVar = {"value": ("u1", 0)}

    def __init__(self, n: int) -> None:
        super().__init__()
        self.value = b"x" * n

    @property
    def nbytes(self) -> int:
        return len(self.value)


def test_columns_stay_within_their_memory():
    cache = ColumnCache(100)
    first = cache.get(1, lambda: Bytes(60))
    cache.get(2, lambda: Bytes(30))
    assert cache.get(1, lambda: Bytes(0)) is first
    cache.get(3, lambda: Bytes(40))
    assert cache.nbytes == 100
    assert cache.get(1, lambda: Bytes(0)) is first
    huge = cache.get(4, lambda: Bytes(1000))
    assert cache.get(4, lambda: Bytes(0)) is huge
    assert cache.nbytes == 1000
    assert cache.get(1, lambda: Bytes(1)) is not first


def test_columns_of_a_job_that_goes_on_are_read_once(installation, job_id, monkeypatch):
    results = Results(installation.web_db, installation.storage)
    opened(installation, job_id, results).page(RowQuery(label="joy"))
    read: list[list[int]] = []
    monkeypatch.setattr("core.results.columns.JobColumns._read", lambda self, column, numbers: read.append(numbers))
    opened(installation, job_id, results).page(RowQuery(label="fear", sort=Sort.SCORE))
    assert read == []


def test_another_accounts_rows_are_not_there(installation, job_id):
    results = Results(installation.web_db, installation.storage)
    opened(installation, job_id, results).page(RowQuery(label="joy"))
    with pytest.raises(NotFound):
        results.open(uuid.uuid4(), job_id, ResultOptions(), partial=True)
    with installation.web_db.transaction(installation.account_id) as session:
        removal.delete(session, installation.account_id, job_id)
    with pytest.raises(NotFound):
        opened(installation, job_id, results)
