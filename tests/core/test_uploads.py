"""Step 1 of a row's journey: a job exists only with a complete file, and what was refused leaves nothing."""

from __future__ import annotations

import gzip
import hashlib
import threading
import uuid

import pytest
from sqlalchemy import text

from core import jobs, removal
from core.errors import BadOption, InputError, KeyInProgress, KeyReused, LimitExceeded, NotFound, NotText, UnknownColumn
from core.mark import Mark
from core.states import JobState
from core.table import Overrides
from core.uploads import JobRequest
from tests.fixtures import Installation
from worker.sweeper import remove_orphans, sweep

FILE = b"id,text\n1,what a day\n2,never again\n"


def rows_of(installation: Installation, table: str) -> list:
    with installation.db.transaction() as session:
        return session.execute(text(f"SELECT * FROM {table}")).all()


def files_of(installation: Installation) -> list[str]:
    return [entry.key for entry in installation.storage.list("uploads/")]


def test_an_upload_becomes_a_job(installation: Installation):
    job_id = installation.accept(FILE, block=3)
    status = installation.status(job_id)
    assert status.state is JobState.QUEUED
    assert status.bytes == len(FILE)
    assert status.text_column["name"] == "text"
    assert status.format is not None
    assert status.format["encoding"] == "utf-8"
    (upload,) = rows_of(installation, "upload")
    assert (upload.state, upload.lease_until) == ("stored", None)
    assert installation.storage.read_range(upload.key, 0, 999) == FILE


def test_what_the_user_overrides_is_kept(installation: Installation):
    data = "id|words\n1|größer\n".encode("cp1252")
    overrides = Overrides(encoding="cp1252", delimiter="|", has_header=True)
    job_id = installation.accept(data, text_column="2", overrides=overrides)
    status = installation.status(job_id)
    assert status.format is not None
    assert (status.format["encoding"], status.format["delimiter"]) == ("cp1252", "|")
    assert (status.text_column["index"], status.text_column["guessed"]) == (1, False)
    (upload,) = rows_of(installation, "upload")
    assert upload.overrides == {"encoding": "cp1252", "delimiter": "|", "has_header": True}


@pytest.mark.parametrize(
    ("data", "request_", "error"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), {}, NotText),
        (b"", {}, InputError),
        (b"id,text\n", {}, InputError),
        (b"a,b\n1,2\n3,4\n", {}, InputError),
        (FILE, {"text_column": "body"}, UnknownColumn),
        (gzip.compress(b"good day\n" * 3_000_000), {}, LimitExceeded),
    ],
)
def test_a_refused_file_leaves_nothing(installation: Installation, data, request_, error):
    with pytest.raises(error):
        installation.accept(data, **request_)
    assert rows_of(installation, "job") == []
    sweep(installation.db, installation.storage, installation.settings)
    assert rows_of(installation, "upload") == []
    assert files_of(installation) == []


def test_a_sender_that_vanishes_leaves_nothing(installation: Installation):
    class Gone(Exception):
        pass

    def body():
        yield FILE
        raise Gone

    with pytest.raises(Gone):
        installation.uploads().accept(installation.account_id, jobs_request(), body())
    sweep(installation.db, installation.storage, installation.settings)
    assert (rows_of(installation, "upload"), files_of(installation)) == ([], [])


def jobs_request(**fields):
    from core.uploads import JobRequest

    return JobRequest("reviews.csv", **fields)


def test_a_file_over_the_cap_is_refused_on_the_way(make_settings, installation: Installation):
    installation.settings = make_settings(max_upload_bytes=100)
    read = []

    def body():
        for _ in range(50):
            read.append(1)
            yield b"x" * 40

    with pytest.raises(LimitExceeded):
        installation.uploads().accept(installation.account_id, jobs_request(), body())
    assert len(read) == 3


def test_the_sweeper_spares_an_upload_under_way_and_takes_one_whose_lease_ran_out(installation: Installation):
    begun, go_on = threading.Event(), threading.Event()

    def body():
        yield FILE[:10]
        begun.set()
        go_on.wait(20)
        yield FILE[10:]

    answers: list = []

    def send():
        try:
            answers.append(installation.uploads().accept(installation.account_id, jobs_request(), body()))
        except Exception as error:
            answers.append(error)

    for run_out in (False, True):
        begun.clear()
        go_on.clear()
        thread = threading.Thread(target=send)
        thread.start()
        assert begun.wait(10)
        if run_out:
            with installation.db.transaction() as session:
                session.execute(
                    text("UPDATE upload SET lease_until = now() - interval '1 s' WHERE state = 'receiving'")
                )
        sweep(installation.db, installation.storage, installation.settings)
        go_on.set()
        thread.join(20)
    assert installation.status(answers[0].job_id).state is JobState.QUEUED
    assert isinstance(answers[1], Exception)
    assert len(rows_of(installation, "job")) == 1
    sweep(installation.db, installation.storage, installation.settings)
    assert len(files_of(installation)) == len(rows_of(installation, "upload")) == 1


def test_files_without_an_upload_are_removed_and_no_others(installation: Installation):
    installation.accept("größe;text\n1;so schön\n".encode("cp1252"), overrides=Overrides(encoding="cp1252"))
    installation.run()
    kept = set(files_of(installation))
    assert len(kept) == 2  # the upload and its canonical form
    stranger = f"uploads/{uuid.uuid4()}"
    for key in (stranger, f"{stranger}.canonical"):
        with installation.storage.stage(key) as staged:
            staged.write(b"x")
            installation.storage.commit(staged)
    assert remove_orphans(installation.db, installation.storage) == 2
    assert set(files_of(installation)) == kept


def test_the_same_key_makes_one_job_and_gives_the_same_answer(installation: Installation):
    send = installation.uploads().accept
    first = send(installation.account_id, jobs_request(idempotency_key="k"), [FILE])
    again = send(installation.account_id, jobs_request(idempotency_key="k"), [FILE[:5], FILE[5:]])
    assert (again.job_id, dict(again.answer), again.repeated) == (first.job_id, dict(first.answer), True)
    assert len(rows_of(installation, "job")) == 1
    with pytest.raises(KeyReused):
        send(installation.account_id, jobs_request(idempotency_key="k"), [FILE + b"3,more\n"])
    with pytest.raises(KeyReused):
        send(installation.account_id, jobs_request(idempotency_key="k", text_column="1"), [FILE])
    with pytest.raises(BadOption):
        send(installation.account_id, jobs_request(idempotency_key=""), [FILE])


def test_a_key_that_an_older_release_was_given_stays_the_same_key():
    first = b'[null,[["delimiter",null],["encoding",null],["has_header",null],["quoting",null]],"s"]'
    assert JobRequest("a.csv").fingerprint("s") == hashlib.sha256(first).hexdigest()
    assert JobRequest("a.csv", overrides=Overrides(sheet="2")).fingerprint("s") != hashlib.sha256(first).hexdigest()


def test_a_key_in_progress_is_refused_until_its_lease_runs_out(installation: Installation):
    send = installation.uploads().accept

    def slow():
        yield FILE[:9]
        with pytest.raises(KeyInProgress):
            send(installation.account_id, jobs_request(idempotency_key="k"), [FILE])
        yield FILE[9:]

    send(installation.account_id, jobs_request(idempotency_key="k"), slow())
    with installation.db.transaction() as session:
        session.execute(text("UPDATE idempotency SET state = 'in_progress', lease_until = now() - interval '1 s'"))
    assert not send(installation.account_id, jobs_request(idempotency_key="k"), [FILE]).repeated


def test_a_refused_request_frees_its_key(installation: Installation):
    with pytest.raises(UnknownColumn):
        installation.accept(FILE, idempotency_key="k", text_column="nope")
    assert installation.accept(FILE, idempotency_key="k")


def test_unfinished_jobs_are_limited(make_settings, installation: Installation):
    installation.settings = make_settings(max_active_jobs=2)
    for _ in range(2):
        installation.accept(FILE)
    with pytest.raises(LimitExceeded):
        installation.accept(FILE)
    installation.run()
    installation.accept(FILE)


def test_a_deleted_job_is_gone_at_once_and_its_file_soon(installation: Installation):
    job_id, kept = installation.accept(FILE), installation.accept(FILE)
    installation.run()
    with installation.web_db.transaction(installation.account_id) as session:
        removal.delete(session, installation.account_id, job_id)
        assert [job.id for job in jobs.list_statuses(session, installation.account_id)] == [kept]
    with pytest.raises(NotFound):
        installation.csv(job_id)
    for _ in range(2):
        sweep(installation.db, installation.storage, installation.settings)
    assert [len(rows_of(installation, table)) for table in ("job", "upload", "chunk", "result_chunk")] == [1, 1, 1, 1]
    assert len(files_of(installation)) == 1
    assert installation.csv(kept)


def test_an_expired_job_keeps_its_row_and_loses_its_data(installation: Installation):
    job_id, kept = installation.accept(FILE), installation.accept(FILE)
    installation.run()
    sweep(installation.db, installation.storage, installation.settings)
    status = installation.status(job_id)
    assert status.expires_at is not None
    assert status.finished_at is not None
    assert (status.expires_at - status.finished_at).days == installation.settings.retention_days
    with installation.db.transaction() as session:
        session.execute(text("UPDATE job SET expires_at = now() - interval '1 s' WHERE id = :id"), {"id": job_id})
    for _ in range(2):
        sweep(installation.db, installation.storage, installation.settings)
    status = installation.status(job_id)
    assert (status.state, status.rows_ok, status.filename) == (JobState.EXPIRED, 2, "reviews.csv")
    assert [len(rows_of(installation, table)) for table in ("upload", "chunk", "result_chunk")] == [1, 1, 1]
    assert len(files_of(installation)) == 1
    assert installation.csv(kept)


def test_jobs_are_listed_newest_first_page_by_page(installation: Installation):
    ids = [installation.accept(FILE) for _ in range(5)]
    with installation.web_db.transaction(installation.account_id) as session:
        first = jobs.list_statuses(session, installation.account_id, limit=2)
        second = jobs.list_statuses(session, installation.account_id, limit=9, before=Mark.of(first[-1]))
    assert [job.id for job in first + second] == ids[::-1]
