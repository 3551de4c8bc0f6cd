"""Files that arrive by pieces: the offset is what is safe, one writer at a time, one job at the end, nothing left."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from core import pieces
from core.errors import (
    ChecksumMismatch,
    InputError,
    KeyReused,
    LimitExceeded,
    Locked,
    NotFound,
    NotReady,
    UnknownColumn,
    WrongOffset,
)
from core.models import Transfer
from core.storage import open_storage
from core.storage.objects import ObjectStorage
from core.transfers import Transfers
from core.uploads import JobRequest
from tests.fixtures import Installation
from worker.retention import remove_transfers
from worker.sweeper import remove_orphans, sweep

FILE = b"id,text\n" + b"".join(b"%d,what a day number %d\n" % (n, n) for n in range(400))
REQUEST = JobRequest("reviews.csv")


class BrokenOff(InputError):
    """As web says it."""


def broken(data: bytes) -> Iterator[bytes]:
    yield data
    raise BrokenOff("The upload broke off.")


@pytest.fixture(params=["folder", "objects"])
def installation(request, installation: Installation) -> Installation:
    if request.param == "objects":
        from obstore.store import MemoryStore

        installation.storage = ObjectStorage(MemoryStore())
    else:
        installation.storage = open_storage(installation.settings.storage_url)
    return installation


@pytest.fixture
def transfers(installation: Installation) -> Transfers:
    return Transfers(installation.web_db, installation.storage, installation.settings, installation.uploads())


@pytest.fixture
def account(installation: Installation) -> uuid.UUID:
    return installation.account_id


def rows_of(installation: Installation, table: str) -> list:
    with installation.db.transaction() as session:
        return session.execute(text(f"SELECT * FROM {table}")).all()


def files_of(installation: Installation) -> list[str]:
    return sorted(entry.key for entry in installation.storage.list())


def age(installation: Installation, assignment: str) -> None:
    with installation.db.transaction() as session:
        session.execute(text(f"UPDATE transfer SET {assignment}"))


def stored(installation: Installation) -> bytes:
    """The one upload, as it lies in storage."""
    (upload,) = rows_of(installation, "upload")
    with installation.storage.open(upload.key) as blocks:
        return b"".join(blocks)


@pytest.mark.parametrize("seed", range(6))
def test_a_file_cut_anywhere_any_number_of_times_arrives_whole(installation, transfers, account, monkeypatch, seed):
    chance = random.Random(seed)
    monkeypatch.setattr(pieces, "PIECE_BYTES", chance.randrange(1, 3000))
    began = transfers.create(account, len(FILE), {})
    at = 0
    while at < len(FILE):
        end = min(len(FILE), at + chance.randrange(1, 5000))
        sent = FILE[at:end]
        blocks = (sent[n : n + 700] for n in range(0, len(sent), 700))
        if chance.random() < 0.5:
            with pytest.raises(BrokenOff):
                transfers.receive(account, began.id, at, broken(sent))
        else:
            transfers.receive(account, began.id, at, blocks)
        at = transfers.get(account, began.id).received
        assert at == end
    accepted = transfers.complete(account, began.id, REQUEST)
    assert stored(installation) == FILE
    assert installation.status(accepted.job_id).bytes == len(FILE)


def test_completing_makes_one_job_and_the_pieces_go(installation, transfers, account):
    transfer = transfers.create(account, len(FILE), {}, resume_key="r")
    with pytest.raises(NotReady, match="are missing"):
        transfers.complete(account, transfer.id, REQUEST)
    transfers.receive(account, transfer.id, 0, [FILE])
    first = transfers.complete(account, transfer.id, REQUEST)
    again = transfers.complete(account, transfer.id, REQUEST)
    assert (again.job_id, again.repeated, dict(again.answer)) == (first.job_id, True, dict(first.answer))
    # A process that died between the job and its note: the key tells.
    age(installation, "job_id = NULL, response = NULL")
    assert transfers.complete(account, transfer.id, REQUEST).job_id == first.job_id
    assert len(rows_of(installation, "job")) == 1
    sweep(installation.db, installation.storage, installation.settings)
    assert len(files_of(installation)) == len(rows_of(installation, "upload")) == 1
    assert rows_of(installation, "piece") == []
    assert transfers.get(account, transfer.id).job_id == first.job_id
    assert transfers.create(account, len(FILE), {}, resume_key="r").id != transfer.id


def test_transfers_with_one_idempotency_key_make_one_job(installation, transfers, account):
    made = []
    for _ in range(2):
        transfer = transfers.create(account, len(FILE), {}, idempotency_key="k")
        transfers.receive(account, transfer.id, 0, [FILE])
        made.append(transfers.complete(account, transfer.id, REQUEST).job_id)
    assert made[0] == made[1]
    assert len(rows_of(installation, "job")) == 1


def test_what_a_file_is_refused_for_is_corrected_without_sending_it_again(installation, transfers, account):
    transfer = transfers.create(account, len(FILE), {})
    transfers.receive(account, transfer.id, 0, [FILE])
    with pytest.raises(UnknownColumn):
        transfers.complete(account, transfer.id, JobRequest("reviews.csv", text_column="body"))
    sweep(installation.db, installation.storage, installation.settings)
    accepted = transfers.complete(account, transfer.id, JobRequest("reviews.csv", text_column="text"))
    assert installation.status(accepted.job_id).text_column["name"] == "text"


def test_two_writers_at_once_are_refused_and_a_silent_one_is_overtaken(installation, transfers, account):
    transfer = transfers.create(account, len(FILE), {})
    seen: list[object] = []

    def first() -> Iterator[bytes]:
        yield FILE[:10]
        with pytest.raises(Locked):
            transfers.receive(account, transfer.id, 0, [FILE])
        age(installation, "lease_until = now() - interval '1 s'")
        seen.append(transfers.receive(account, transfer.id, 0, [FILE[:50]]).received)
        yield FILE[10:20]

    with pytest.raises(Locked):
        transfers.receive(account, transfer.id, 0, first())
    assert seen == [50]
    transfers.receive(account, transfer.id, 50, [FILE[50:]])  # the late one's end has freed nothing but its own lease
    transfers.complete(account, transfer.id, REQUEST)
    assert stored(installation) == FILE


def test_bytes_go_where_the_file_goes_on_and_nowhere_else(transfers, account):
    transfer = transfers.create(account, len(FILE), {})
    transfers.receive(account, transfer.id, 0, [FILE[:10]])
    for offset in (0, 9, 11, len(FILE)):
        with pytest.raises(WrongOffset, match="byte 10"):
            transfers.receive(account, transfer.id, offset, [b"x"])
    with pytest.raises(LimitExceeded):
        transfers.receive(account, transfer.id, 10, [FILE])
    assert transfers.get(account, transfer.id).received == 10


class Sha1:
    def __init__(self, data: bytes) -> None:
        self.expected = hashlib.sha1(data).digest()
        self._hash = hashlib.sha1()

    def update(self, block: bytes) -> None:
        self._hash.update(block)

    def digest(self) -> bytes:
        return self._hash.digest()


def test_bytes_with_a_checksum_stay_together_or_not_at_all(installation, transfers, account, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 5)
    transfer = transfers.create(account, len(FILE), {})
    with pytest.raises(ChecksumMismatch):
        transfers.receive(account, transfer.id, 0, [b"i", b"d;text"], Sha1(b"id,text"))
    with pytest.raises(BrokenOff):
        transfers.receive(account, transfer.id, 0, broken(FILE[:7]), Sha1(FILE[:20]))
    assert transfers.get(account, transfer.id).received == 0
    assert files_of(installation) == []
    transfers.receive(account, transfer.id, 0, [FILE[:7], FILE[7:20]], Sha1(FILE[:20]))
    assert transfers.get(account, transfer.id).received == 20
    assert len(files_of(installation)) == 1


def test_a_sender_finds_its_file_again_and_may_say_more_about_it(transfers, account):
    first = transfers.create(account, len(FILE), {"text_column": "1"}, resume_key="r")
    transfers.receive(account, first.id, 0, [FILE[:10]])
    again = transfers.create(account, len(FILE), {"text_column": "2"}, resume_key="r")
    assert (again.id, again.received, again.options) == (first.id, 10, {"text_column": "2"})
    assert transfers.create(account, len(FILE), {}, resume_key="another").id != first.id
    with pytest.raises(KeyReused):
        transfers.create(account, len(FILE) + 1, {}, resume_key="r")


def test_what_nobody_goes_on_with_is_removed_after_its_time_and_nothing_else(installation, transfers, account):
    kept = transfers.create(account, len(FILE), {}, resume_key="kept")
    transfers.receive(account, kept.id, 0, [FILE[:10]])
    left = transfers.create(account, len(FILE), {}, resume_key="left")
    transfers.receive(account, left.id, 0, [FILE[:10]])
    remove_transfers(installation.db, installation.storage)
    assert len(files_of(installation)) == len(rows_of(installation, "transfer")) == 2
    age(installation, f"expires_at = now() - interval '1 s' WHERE id = '{left.id}'")
    with pytest.raises(NotFound):
        transfers.get(account, left.id)
    assert transfers.create(account, len(FILE), {}, resume_key="left").id != left.id
    for _ in range(2):
        sweep(installation.db, installation.storage, installation.settings)
        remove_orphans(installation.db, installation.storage)
    assert [row.transfer_id for row in rows_of(installation, "piece")] == [kept.id]
    assert len(files_of(installation)) == 1
    transfers.receive(account, kept.id, 10, [FILE[10:]])
    transfers.complete(account, kept.id, REQUEST)
    assert stored(installation) == FILE


def test_a_terminated_transfer_is_gone_at_once_and_its_writer_fails(installation, transfers, account):
    transfer = transfers.create(account, len(FILE), {})

    def blocks() -> Iterator[bytes]:
        yield FILE[:10]
        transfers.terminate(account, transfer.id)
        yield FILE[10:]

    with pytest.raises(Locked):
        transfers.receive(account, transfer.id, 0, blocks())
    with pytest.raises(NotFound):
        transfers.get(account, transfer.id)
    sweep(installation.db, installation.storage, installation.settings)
    remove_orphans(installation.db, installation.storage)
    assert (files_of(installation), rows_of(installation, "transfer")) == ([], [])


def test_what_a_killed_writer_left_goes_with_its_transfer(installation, transfers, account):
    transfer = transfers.create(account, len(FILE), {})
    with installation.storage.stage(f"{pieces.PREFIX}{transfer.id}.0-7") as staged:
        staged.write(b"never named")
        installation.storage.commit(staged)
    assert remove_orphans(installation.db, installation.storage) == 0
    transfers.terminate(account, transfer.id)
    sweep(installation.db, installation.storage, installation.settings)
    assert remove_orphans(installation.db, installation.storage) == 1


def test_size_and_number_are_limited_before_a_byte_is_sent(make_settings, installation, account):
    settings = make_settings(max_upload_bytes=100, max_active_jobs=2)
    transfers = Transfers(installation.web_db, installation.storage, settings, installation.uploads())
    with pytest.raises(LimitExceeded, match="100 bytes"):
        transfers.create(account, 101, {})
    for name in "ab":
        transfers.create(account, 100, {}, resume_key=name)
    assert transfers.create(account, 100, {}, resume_key="a")
    for name in ("c", None):
        with pytest.raises(LimitExceeded, match="unfinished uploads"):
            transfers.create(account, 100, {}, resume_key=name)


def test_another_account_sees_nothing_of_it(installation, transfers, account):
    from core import accounts

    transfer: Transfer = transfers.create(account, len(FILE), {})
    with installation.db.transaction() as session:
        other = accounts.create_account(session, "another")
    for attempt in (
        lambda: transfers.get(other, transfer.id),
        lambda: transfers.receive(other, transfer.id, 0, [FILE]),
        lambda: transfers.complete(other, transfer.id, REQUEST),
        lambda: transfers.terminate(other, transfer.id),
    ):
        with pytest.raises(NotFound):
            attempt()
