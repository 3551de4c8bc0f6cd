"""A worker child on a real Postgres with the null model: whole jobs, and what happens when something is in the way."""

from __future__ import annotations

import csv
import io
import math
import random
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from core import jobs, ledger
from core.errors import NotReady, Unavailable
from core.states import JobState
from tests.fakes import NullScorer
from tests.fixtures import Installation


def table(data: bytes, encoding: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter))


def reviews(n: int, seed: int = 1) -> bytes:
    """A file with quoted newlines, empty texts and ragged rows."""
    random_ = random.Random(seed)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["id", "text", "rating"])
    for number in range(1, n + 1):
        words = " ".join(random_.choices(["good", "bad", "a, b", 'so "so"', "long", "new\nline", "é"], k=5))
        row = [str(number), "" if number % 17 == 0 else words, str(number % 5)]
        writer.writerow(row[:2] if number % 23 == 0 else row)
    return out.getvalue().encode()


def test_a_file_comes_back_with_every_row_in_order_and_every_cell_untouched(installation: Installation):
    data = reviews(500)
    job_id = installation.accept(data)
    installation.run(chunk_records=40)
    status = installation.status(job_id)
    assert status.state is JobState.COMPLETED
    assert (status.rows_total, status.rows_ok, status.rows_skipped, status.rows_failed) == (500, 471, 29, 0)
    before, after = table(data), table(installation.csv(job_id))
    added = ["emotion", "emotion_score", "emotions", "sentiment", "sentiment_score", "row_status", "flags"]
    assert after[0] == before[0] + added
    assert len(after) == len(before)
    for old, new in zip(before[1:], after[1:], strict=True):
        assert new[:3] == [*old, ""][:3]
        assert new[8] in (["empty"] if not old[1] else ["ok", "ok: ragged", "ok: windowed 2", "ok: ragged, windowed 2"])
        assert bool(new[3]) == bool(old[1])


def test_small_slices_and_small_chunks_change_nothing(installation: Installation):
    data = reviews(300)
    whole, pieces = installation.accept(data), installation.accept(data)
    installation.run(chunk_records=300)
    with installation.db.transaction() as session:  # again, in the smallest slices there are
        session.execute(text("DELETE FROM result_chunk WHERE job_id = :id"), {"id": pieces})
        session.execute(text("DELETE FROM chunk WHERE job_id = :id"), {"id": pieces})
        session.execute(
            text("""
            UPDATE job SET state = 'queued', ingest_state = 'cutting', ingest_offset = 0, ingest_row = 1,
                ingest_line = 1, rows_total = 0, rows_ok = 0, rows_skipped = 0, chunks_total = 0, chunks_done = 0,
                finished_at = NULL, label_counts = '{}', warnings = '[]' WHERE id = :id
            """),
            {"id": pieces},
        )
    installation.run(chunk_records=7, ingest_slice_s=0.0)
    assert installation.csv(pieces) == installation.csv(whole)
    left, right = installation.status(pieces), installation.status(whole)
    assert left.label_counts == right.label_counts
    assert left.warnings == right.warnings


@pytest.mark.parametrize(
    ("encoding", "delimiter", "text_"),
    [
        ("utf-8-sig", ",", "naïve café"),
        ("utf-16", ";", "größer als"),
        ("cp1252", ";", "“déjà vu” – très bien, l’été à la plage"),
        ("utf-8", "\t", "tabs here"),
    ],
)
def test_other_encodings_and_delimiters_come_back_equal(installation: Installation, encoding, delimiter, text_):
    rows = [["id", "text"], *([str(n), f"{text_} {n}"] for n in range(50))]
    data = "".join(delimiter.join(row) + "\r\n" for row in rows).encode(encoding)
    job_id = installation.accept(data)
    installation.run()
    out = installation.csv(job_id)
    assert [row[:2] for row in table(out, delimiter=delimiter)] == rows
    assert out.count(b"\r\n") == 51
    same = installation.csv(job_id, "same")
    assert [row[:2] for row in table(same, encoding, delimiter)] == rows


def test_another_taxonomy_and_threshold_need_no_model(installation: Installation):
    job_id = installation.accept(reviews(60))
    scorer = NullScorer()
    installation.run(scorer)
    calls = len(scorer.calls)
    header = table(installation.csv(job_id, taxonomy="sentiment"))[0]
    assert header[3:] == ["sentiment", "sentiment_score", "row_status", "flags"]
    fine = table(installation.csv(job_id, taxonomy="goemotions", scores="all"))
    assert len(fine[0]) == 3 + 7 + 28
    everything = table(installation.csv(job_id, threshold="0"))
    nothing = table(installation.csv(job_id, threshold="1"))
    assert everything[1][5].count("|") == 6
    assert nothing[1][5] == ""
    assert table(installation.csv(job_id, scores="none"))[0][3:] == [
        "emotion",
        "emotions",
        "sentiment",
        "row_status",
        "flags",
    ]
    assert len(scorer.calls) == calls


def test_one_bad_row_costs_one_row(installation: Installation):
    def on_text(text: str) -> None:
        if text == "poison":
            raise RuntimeError("no")

    job_id = installation.accept(b"text\nfine day\npoison\nanother day\n")
    installation.run(NullScorer(on_text))
    status = installation.status(job_id)
    assert status.state is JobState.COMPLETED_WITH_ERRORS
    assert (status.rows_ok, status.rows_failed) == (2, 1)
    assert [row[-2] for row in table(installation.csv(job_id))[1:]] == [
        "ok",
        "failed: the model could not read this text",
        "ok",
    ]


def test_an_unclosed_quote_fails_the_job_and_says_where(installation: Installation):
    job_id = installation.accept(b"id,text\n" + b"1,hello there\n" * 60_000 + b'2,"never closed\n3,x\n')
    installation.run()
    status = installation.status(job_id)
    assert status.state is JobState.FAILED
    assert status.error is not None
    assert status.error["code"] == "unclosed_quote"
    assert (status.error["row"], status.error["line"]) == (60_001, 60_002)


def test_a_file_that_changed_under_us_is_never_labelled(installation: Installation):
    job_id = installation.accept(b"text\nfine day\nother day\n")
    shift = installation.shift()
    shift._ingest_once()
    with installation.db.transaction() as session:
        session.execute(text("UPDATE chunk SET crc = crc + 1"))
    while shift.tick():
        pass
    status = installation.status(job_id)
    assert (status.state, (status.error or {}).get("code")) == (JobState.FAILED, "upload_damaged")


@pytest.mark.parametrize("harm", [lambda data: data.replace(b"good", b"gooe", 1), lambda data: data[:-9]])
def test_a_file_that_changed_before_it_was_cut_is_never_labelled(installation: Installation, harm):
    data = reviews(50)
    job_id = installation.accept(data)
    (file,) = (path for path in Path(installation.settings.storage_url[7:]).rglob("*") if path.is_file())
    file.write_bytes(harm(data))
    installation.run()
    status = installation.status(job_id)
    assert (status.state, (status.error or {}).get("code")) == (JobState.FAILED, "upload_damaged")
    assert status.rows_total == 0


def test_a_cancelled_job_says_so_in_every_row_that_has_no_label(installation: Installation):
    job_id = installation.accept(reviews(100))
    shift = installation.shift(chunk_records=40, claim_chunks=1)
    shift._ingest_once()
    assert shift._chunks.work_off(0.0)
    with installation.web_db.transaction(installation.account_id) as session:
        jobs.cancel(session, installation.account_id, job_id)
    assert not shift.tick()
    rows = table(installation.csv(job_id))[1:]
    assert len(rows) == 100
    assert [row[-2] for row in rows[40:]] == ["failed: cancelled"] * 60
    status = installation.status(job_id)
    assert status.rows_ok + status.rows_skipped + status.rows_failed == status.rows_total == 100


def test_a_running_job_can_be_read_so_far(installation: Installation):
    job_id = installation.accept(reviews(100))
    shift = installation.shift(chunk_records=40, claim_chunks=1)
    shift._ingest_once()
    assert shift._chunks.work_off(0.0)
    with pytest.raises(NotReady):
        installation.csv(job_id)
    assert len(table(installation.csv(job_id, partial=True))) == 41


def test_chunks_are_scored_and_committed_together(installation: Installation, monkeypatch):
    job_id = installation.accept(reviews(200))
    commits: list[list[int]] = []
    real = ledger.commit_chunks

    def commit(session, done):
        commits.append([lease.chunk_no for lease, _ in done])
        return real(session, done)

    monkeypatch.setattr(ledger, "commit_chunks", commit)
    scorer = NullScorer()
    installation.run(scorer, chunk_records=20, claim_s=3600.0, claim_chunks=3)
    assert [chunk_no for together in commits for chunk_no in together] == list(range(10))
    assert commits[0] == [0]  # alone, to see how long one takes
    sizes = list(map(len, commits))
    assert max(sizes) == 3
    assert all(later <= 2 * sooner for sooner, later in pairwise(sizes))
    assert len(scorer.calls) == len(commits)
    rows = table(installation.csv(job_id))[1:]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 201)]
    assert {row[-2] for row in rows} == {"ok", "ok: windowed 2", "ok: ragged", "ok: ragged, windowed 2", "empty"}


def test_whoever_had_nothing_to_do_begins_with_little_and_soon_takes_much(installation: Installation, monkeypatch):
    """The lanes of an idle child wait for the first piece, and somebody waits for the first labels."""
    sizes: list[int] = []
    real = ledger.claim_chunks

    def noted(session, **wanted):
        leases = real(session, **wanted)
        if leases:
            sizes.append(len(leases))
        return leases

    monkeypatch.setattr(ledger, "claim_chunks", noted)
    shift = installation.shift(chunk_records=10, claim_s=3600.0, claim_chunks=64)
    for rows in (10, 2000):  # the first one shows how long a chunk takes
        sizes.clear()
        installation.accept(reviews(rows))
        while shift.tick():
            pass
    assert sizes == [8, 16, 32, 64, 64, 16]


def test_one_bad_row_among_chunks_scored_together_costs_one_row(installation: Installation):
    def on_text(text: str) -> None:
        if text == "poison":
            raise RuntimeError("no")

    job_id = installation.accept(b"text\n" + b"fine day\n" * 50 + b"poison\n" + b"fine day\n" * 50)
    installation.run(NullScorer(on_text), chunk_records=10, claim_s=3600.0)
    status = installation.status(job_id)
    assert (status.rows_ok, status.rows_failed) == (100, 1)


def test_the_next_chunk_is_scored_while_the_last_one_is_committed(installation: Installation, monkeypatch):
    job_id = installation.accept(reviews(120))
    scoring_the_third = threading.Event()
    scorer = NullScorer()
    score = scorer.score

    def noticed(texts, scope=b""):
        if len(scorer.calls) == 2:
            scoring_the_third.set()
        return score(texts, scope)

    monkeypatch.setattr(scorer, "score", noticed)
    overlapped = []
    real = ledger.commit_chunks

    def commit(session, done):
        if done[0][0].chunk_no == 1:
            overlapped.append(scoring_the_third.wait(10))
        return real(session, done)

    monkeypatch.setattr(ledger, "commit_chunks", commit)
    installation.run(scorer, chunk_records=20, claim_chunks=1)
    assert installation.status(job_id).state is JobState.COMPLETED
    assert overlapped == [True]


def test_a_commit_whose_answer_was_lost_is_settled_by_reading(installation: Installation, monkeypatch):
    job_id = installation.accept(b"text\nfine day\n")
    shift = installation.shift()
    commits = []
    real = ledger.commit_chunks

    def answer_lost(session, done):
        committed = real(session, done)
        commits.append(done[0][0].token)
        if len(commits) == 1:
            session.commit()
            raise Unavailable("the connection broke after COMMIT was sent")
        return committed

    monkeypatch.setattr(ledger, "commit_chunks", answer_lost)
    while shift.tick():
        pass
    assert len(commits) == 1
    status = installation.status(job_id)
    assert (status.state, status.rows_ok) == (JobState.COMPLETED, 1)


def test_a_storage_outage_postpones_and_loses_nothing(installation: Installation, monkeypatch):
    job_id = installation.accept(reviews(30))
    shift = installation.shift()
    real = type(installation.storage).read_range
    outages = iter([True])

    def read_range(self, key, start, length):
        if next(outages, False):
            raise Unavailable("the store is away")
        return real(self, key, start, length)

    monkeypatch.setattr(type(installation.storage), "read_range", read_range)
    while shift.tick():
        pass
    assert installation.status(job_id).state is JobState.RUNNING
    with installation.db.transaction() as session:
        session.execute(text("UPDATE chunk SET not_before = now()"))
    while shift.tick():
        pass
    assert installation.status(job_id).state is JobState.COMPLETED


def test_texts_met_before_are_counted(installation: Installation):
    job_id = installation.accept(b"text\n" + b"the same text\n" * 10)
    installation.run()
    assert installation.status(job_id).rows_identical == 9


def test_a_file_that_comes_meanwhile_is_cut_before_the_next_claim(installation: Installation):
    def on_text(text: str) -> None:
        if not arrived:
            arrived.append(installation.accept(b"text\nfine day\n"))

    arrived: list = []
    long = installation.accept(reviews(120))
    shift = installation.shift(NullScorer(on_text), chunk_records=10, claim_chunks=1, claim_s=0.0)
    assert shift._cut()
    shift._chunks.work_off(float("inf"))
    assert installation.status(long).rows_done < 120
    while shift.tick():
        pass
    assert {installation.status(job_id).state for job_id in (long, *arrived)} == {JobState.COMPLETED}


@pytest.mark.parametrize(("slots", "rung"), [(0, []), (1, []), (3, [2]), (9, [4])])
def test_whoever_cuts_a_file_calls_the_others(installation: Installation, slots: int, rung: list[int]):
    """They would sleep until the sweeper rings; and no more than there are chunks for."""
    if slots:
        with installation.db.transaction() as session:
            session.execute(
                text("INSERT INTO worker (id, models, slots) VALUES ('here', ARRAY[:model], :slots)"),
                {"model": installation.model.sha256, "slots": slots},
            )
    installation.accept(reviews(200))
    installation.run(chunk_records=40)
    assert installation.rung == rung


def test_a_file_of_one_chunk_calls_nobody(installation: Installation):
    with installation.db.transaction() as session:
        session.execute(
            text("INSERT INTO worker (id, models, slots) VALUES ('here', ARRAY[:model], 3)"),
            {"model": installation.model.sha256},
        )
    installation.accept(reviews(30))
    installation.run(chunk_records=40)
    assert installation.rung == []


@pytest.mark.parametrize("header", [b"a\0b,text", b"a\\0b,te\0\\xt", b'"\0",\\\\0'])
def test_a_header_with_nul_characters_comes_back_as_it_was(installation: Installation, header: bytes):
    data = header + b"\n1,I love this\n"
    job_id = installation.accept(data, text_column="2")
    installation.run()
    assert table(installation.csv(job_id))[0][:2] == table(data)[0]
    assert installation.status(job_id).text_column["index"] == 1


def test_a_guess_about_the_encoding_may_be_shown_with_a_nul(installation: Installation):
    job_id = installation.accept(b"a,text\n1,caf\xe9 \0 au lait and a lot more of it\n", text_column="text")
    installation.run()
    assert installation.status(job_id).state is JobState.COMPLETED


def test_small_jobs_share_a_turn_while_a_file_waits_to_be_cut(installation):
    """Each waiting for a turn of its own would be as slow as the file that is cut in between is long."""
    shift = installation.shift()
    small = [installation.accept(f"text\nthe only row of {number}\n".encode()) for number in range(3)]
    for _ in small:
        shift._ingest_once()
    installation.accept(b"text\nto be cut\n")
    assert shift._chunks.work_off(math.inf)
    assert [installation.status(job_id).rows_ok for job_id in small] == [1, 1, 1]


def test_a_large_bundle_is_the_whole_turn_while_a_file_waits_to_be_cut(installation):
    shift = installation.shift(chunk_records=10, claim_chunks=1)
    job_id = installation.accept(b"text\n" + b"".join(b"row %d of many\n" % number for number in range(40)))
    shift._ingest_once()
    installation.accept(b"text\nto be cut\n")
    shift._chunks._char_s = 1.0
    assert shift._chunks.work_off(math.inf)
    assert installation.status(job_id).rows_ok == 10
