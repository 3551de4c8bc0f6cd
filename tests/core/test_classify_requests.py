"""The synchronous lane's table: who may answer what, how often, and that nothing outlives its use."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core import classify_requests
from core.classify_requests import CHANNEL, Answer
from core.db import Database
from core.listener import Listener
from core.models import DEFAULT_ACCOUNT_ID

ANSWER = Answer(logits=b"\0" * 56, status=[0], flags=[0], detail={"0": {"windows": 2}}, scored_s=0.25)


def submit(db: Database, *, texts=("hello",), model: str = "m", keep_s: float = 60) -> uuid.UUID:
    request_id = uuid.uuid4()
    with db.transaction() as session:
        classify_requests.submit(
            session, request_id, DEFAULT_ACCOUNT_ID, model_sha256=model, texts=texts, keep_s=keep_s
        )
    return request_id


def claim(db: Database, models=("m",), lease_s: float = 60):
    with db.transaction() as session:
        return classify_requests.claim(session, worker_id="w/1", models=models, lease_s=lease_s)


def answer(db: Database, claimed) -> bool:
    with db.transaction() as session:
        return classify_requests.answer(session, claimed, ANSWER)


def take(db: Database, request_id: uuid.UUID):
    with db.transaction() as session:
        return classify_requests.take(session, request_id)


def waiting(db: Database) -> int:
    with db.transaction() as session:
        return classify_requests.waiting(session, ["m"], 10)


def test_an_answer_comes_back_once_and_erases_the_texts(db):
    request_id = submit(db, texts=["a\x00", "😀"])
    assert take(db, request_id) is None
    claimed = claim(db)
    assert (claimed.id, claimed.account_id, claimed.texts) == (request_id, DEFAULT_ACCOUNT_ID, ["a\x00", "😀"])
    assert answer(db, claimed)
    with db.transaction() as session:
        assert session.execute(text("SELECT texts FROM classify_request")).scalar_one() is None
    assert take(db, request_id) == ANSWER
    assert take(db, request_id) is None


def test_the_oldest_first_and_each_to_one_worker(db):
    ids = [submit(db) for _ in range(3)]
    assert [claim(db).id for _ in range(3)] == ids
    assert claim(db) is None


def test_only_a_worker_that_has_the_model(db):
    submit(db, model="other")
    assert claim(db) is None
    assert claim(db, models=["m", "other"])


def test_a_dead_workers_request_goes_to_another_and_is_not_tried_for_ever(db):
    submit(db)
    assert waiting(db) == 1
    for _ in range(classify_requests.ATTEMPTS):
        assert claim(db, lease_s=0)
    assert claim(db, lease_s=0) is None
    assert waiting(db) == 0


def test_two_answers_are_one(db):
    submit(db)
    first, second = claim(db, lease_s=0), claim(db, lease_s=0)
    assert answer(db, second)
    assert not answer(db, first)


def test_nobody_answers_what_was_withdrawn_or_has_expired(db):
    request_id = submit(db)
    claimed = claim(db)
    with db.transaction() as session:
        classify_requests.withdraw(session, request_id)
    assert not answer(db, claimed)
    submit(db, keep_s=0)
    assert claim(db) is None
    with db.transaction() as session:
        assert classify_requests.remove_expired(session) == 1


def test_the_table_is_not_logged(db):
    with db.transaction() as session:
        kind = session.execute(text("SELECT relpersistence FROM pg_class WHERE relname = 'classify_request'"))
        assert kind.scalar_one() == "u"


# --- notifications ----------------------------------------------------------------------------------------------------

PATIENCE_S = 30


@pytest.fixture
def listener(web_db):
    made = Listener(web_db, CHANNEL)
    yield made
    made.close()


def ready(listener: Listener) -> None:
    """Returns once it listens: everybody is woken then."""
    with listener.expecting("nothing") as woken:
        assert woken.wait(PATIENCE_S)


def test_an_answer_wakes_the_one_who_waits_for_it(db, listener):
    ready(listener)
    request_id = submit(db)
    with listener.expecting(str(request_id)) as mine, listener.expecting(str(uuid.uuid4())) as another:
        mine.clear()
        assert answer(db, claim(db))
        assert mine.wait(PATIENCE_S)
        assert not another.is_set()


def test_a_broken_connection_is_opened_again_and_everybody_looks(listener, database_url):
    ready(listener)
    with listener.expecting("mine") as mine:
        mine.clear()
        owner = Database(database_url, None, pool_size=1)
        with owner.transaction() as session:
            session.execute(
                text("""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE query LIKE 'LISTEN%' AND datname = current_database()
                """)
            )
        owner.close()
        assert mine.wait(PATIENCE_S)


def test_a_connection_that_nobody_needs_is_closed_and_opened_again(listener, monkeypatch):
    monkeypatch.setattr("core.listener.IDLE_S", 0)
    monkeypatch.setattr("core.listener.LOOK_UP_S", 0.01)
    for _ in range(2):
        ready(listener)
        listener._thread and listener._thread.join(PATIENCE_S)
        assert listener._thread is None


def test_closing_leaves_no_connection_and_no_thread(listener, db):
    ready(listener)
    thread = listener._thread
    listener.close()
    assert not thread.is_alive()
    with db.transaction() as session:
        found = text(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        assert session.execute(found).scalar_one() == 0


def test_a_pool_without_a_free_connection_only_delays_the_listening(listener, web_db, monkeypatch):
    def none_free() -> None:
        monkeypatch.undo()
        raise PoolTimeout("QueuePool limit reached")

    monkeypatch.setattr(web_db.engine, "raw_connection", none_free)
    ready(listener)
