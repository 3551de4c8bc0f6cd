"""The worker's side of the synchronous lane: whoever waits comes before chunks, and within long work too."""

from __future__ import annotations

import gzip
import uuid

import pytest
from sqlalchemy import text

from core import classify_requests
from core.db import Database
from core.errors import Unavailable
from core.models import DEFAULT_ACCOUNT_ID
from tests.fakes import NullScorer, null_logits
from tests.fixtures import Installation
from worker.answering import Answering, rows_of
from worker.sweeper import sweep

FILE = "".join(["text\n", *(f"line {n}\n" for n in range(300))]).encode()


@pytest.fixture
def submit(db: Database, installation: Installation):
    """Puts texts into the lane; a function that gives their answer."""

    def put(*texts: str, keep_s: float = 60):
        request_id = uuid.uuid4()
        with db.transaction() as session:
            classify_requests.submit(
                session,
                request_id,
                DEFAULT_ACCOUNT_ID,
                model_sha256=installation.model.sha256,
                texts=texts,
                keep_s=keep_s,
            )

        def take():
            with db.transaction() as session:
                return classify_requests.take(session, request_id)

        return take

    return put


def test_an_idle_child_answers_at_its_ticket(installation, submit):
    answer = submit("hello", "a long one", " ")
    installation.run()
    given = answer()
    assert given.logits[:112] == null_logits(["hello", "a long one"]).tobytes()
    assert (given.status, given.detail) == ([0, 0, 1], {"1": {"windows": 2}})


def test_a_busy_child_answers_between_two_chunks(installation, submit, db):
    job_id = installation.accept(FILE)
    waiting = []

    def on_text(given: str) -> None:
        if given.startswith("line") and not waiting:
            waiting.append(submit("urgent"))

    scorer = NullScorer(on_text)
    installation.run(scorer, chunk_records=50, claim_chunks=1)
    assert waiting[0]() is not None
    first_of = [call[0] for call in scorer.calls]
    assert first_of.index("urgent") == 1, "after the chunk in hand, before every other"
    assert installation.status(job_id).rows_ok == 300


@pytest.mark.parametrize("data", [FILE, gzip.compress(FILE)], ids=["cuts", "converts"])
def test_a_child_in_the_middle_of_a_long_file_answers(installation, submit, data):
    installation.accept(data)
    shift = installation.shift(chunk_records=10)
    answer = submit("urgent")
    shift._ingest_once()
    assert answer() is not None


def test_a_text_is_answered_between_the_batches_of_a_bundle(installation, submit):
    """However many chunks are scored together."""
    answers = []

    class Pausing(NullScorer):
        def score(self, texts, scope=b"", pause=lambda: None):
            if len(texts) > 1 and not answers:
                answers.append(submit("urgent"))
                installation_shift._answering._glanced = float("-inf")
                pause()
                assert answers[0]() is not None
            return super().score(texts, scope, pause)

    job_id = installation.accept(FILE)
    installation_shift = installation.shift(Pausing())
    while installation_shift.tick():
        pass
    assert answers
    assert installation.status(job_id).rows_failed == 0


def test_an_answer_that_goes_wrong_costs_no_row(installation, db, monkeypatch):
    def wrong(*_: object, **__: object) -> None:
        raise ValueError("wrong")

    answering = Answering(
        db=db, settings=installation.settings, model=installation.model, scorer=NullScorer, worker_id="w/1"
    )
    monkeypatch.setattr("core.classify_requests.claim", wrong)
    answering._glanced = float("-inf")
    answering.glance()


def test_glances_are_not_too_many(installation, db):
    scorer = NullScorer()
    answering = Answering(
        db=db, settings=installation.settings, model=installation.model, scorer=lambda: scorer, worker_id="w/1"
    )
    looks = []
    answering.look = lambda: looks.append(1)  # type: ignore[method-assign,assignment]
    answering._glanced = float("inf")
    answering.glance()
    assert looks == []
    answering._glanced = float("-inf")
    answering.glance()
    assert looks == [1]


def test_a_flood_leaves_time_for_jobs(installation, submit, monkeypatch):
    monkeypatch.setattr("worker.answering.MOST_S", 0)
    answers = [submit(f"urgent {n}") for n in range(4)]
    job_id = installation.accept(b"text\nmine\n")
    shift = installation.shift()
    shift._ingest_once()
    shift.tick()
    assert installation.status(job_id).rows_ok == 1
    while shift.tick():
        pass
    assert all(answer() for answer in answers)


def test_a_ledger_that_is_away_stops_no_work(installation, db, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr("core.classify_requests.claim", away)
    job_id = installation.accept(FILE)
    installation.run()
    assert installation.status(job_id).rows_ok == 300


def test_what_nobody_came_back_for_is_swept(installation, submit, db):
    submit("old", keep_s=0)
    submit("new")
    sweep(db, installation.storage, installation.settings)
    with db.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM classify_request")).scalar_one() == 1


def test_texts_are_treated_as_cells_are():
    rows = rows_of([" a ", "", "\t", "x" * 11], max_text_chars=10, n_labels=3, scope=b"s")
    assert rows.texts == ["a", "", "", "x" * 10]
    assert rows.status == [0, 1, 1, 0]
    assert rows.flags == [0, 0, 0, 4]
    assert rows.logits.shape == (4, 3)
