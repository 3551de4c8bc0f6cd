"""One contract, every store: a folder, obstore in memory, and S3 where a server for it is at hand."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import MemoryStore

from core.errors import BadOption, StorageMissing, Unavailable
from core.storage import FolderStorage, Storage, open_storage
from core.storage.base import Blocks, check_key
from core.storage.objects import PART, ObjectStorage, open_s3

KEY = "uploads/0b5e"


@pytest.fixture(scope="module")
def s3_url():
    """An empty bucket: of the server that EMOBATCH_TEST_S3 names (s3://bucket?endpoint=...), else of moto."""
    if url := os.environ.get("EMOBATCH_TEST_S3"):
        yield url
        return
    moto = pytest.importorskip("moto.server", reason="neither moto[s3] with flask-cors nor EMOBATCH_TEST_S3 is here")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        import boto3

        boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="emo")
        yield f"s3://emo/some/prefix?endpoint=http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def storage(request, tmp_path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "store")
    if request.param == "memory":
        return ObjectStorage(MemoryStore())
    storage = open_storage(request.getfixturevalue("s3_url"))
    for entry in list(storage.list()):
        storage.delete(entry.key)
    return storage


def put(storage: Storage, data: bytes, key: str = KEY) -> None:
    with storage.stage(key) as staged:
        staged.write(data)
        storage.commit(staged)


def consume(items) -> None:
    for _ in items:
        pass


def whole(storage: Storage, key: str = KEY, start: int = 0) -> bytes:
    with storage.open(key, start) as blocks:
        return b"".join(blocks)


def committed(storage: Storage) -> set[str]:
    return {entry.key for entry in storage.list() if not entry.staged}


def test_nothing_is_visible_before_commit_and_everything_after(storage):
    with storage.stage(KEY) as staged:
        for block in (b"one,", b"", b"two,", memoryview(b"three")):
            staged.write(block)
        assert staged.size == 13
        assert committed(storage) == set()
        with pytest.raises(StorageMissing):
            storage.read_range(KEY, 0, 1)
        with pytest.raises(StorageMissing):
            storage.open(KEY)
        storage.commit(staged)
        storage.commit(staged)
    assert whole(storage) == b"one,two,three"
    assert committed(storage) == {KEY}
    assert not any(entry.staged for entry in storage.list())


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 3 * PART + 17], ids=str)
def test_every_byte_comes_back_at_any_size(storage, size):
    data = os.urandom(1 << 16) * (size // (1 << 16) + 1)
    put(storage, data[:size])
    assert whole(storage) == data[:size]
    start = size * 2 // 3
    assert whole(storage, start=start) == data[start:size]


def test_a_writer_left_without_commit_leaves_nothing(storage):
    with storage.stage(KEY) as staged:
        staged.write(b"x" * (PART + 1))
    assert list(storage.list()) == []
    staged.abort()
    with pytest.raises(StorageMissing):
        storage.commit(staged)
    with pytest.raises(ValueError, match=r"closed|after"):
        staged.write(b"x")


def test_the_last_commit_wins_and_an_abort_after_it_changes_nothing(storage):
    first, second = storage.stage(KEY), storage.stage(KEY)
    first.write(b"first")
    second.write(b"second")
    storage.commit(first)
    assert whole(storage) == b"first"
    storage.commit(second)
    first.abort()
    second.abort()
    assert whole(storage) == b"second"


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 10, b"0123456789"), (3, 4, b"3456"), (9, 1, b"9"), (8, 5, b"89"), (10, 1, b""), (99, 5, b""), (4, 0, b"")],
)
def test_a_range_ends_where_the_file_ends(storage, start, length, expected):
    put(storage, b"0123456789")
    assert storage.read_range(KEY, start, length) == expected
    assert whole(storage, start=start) == b"0123456789"[start:]


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1)])
def test_a_range_that_is_none_is_refused(storage, start, length):
    put(storage, b"0123456789")
    with pytest.raises(ValueError, match="not a byte range"):
        storage.read_range(KEY, start, length)


def test_reads_of_what_is_not_there(storage):
    for read in (lambda: storage.read_range(KEY, 0, 0), lambda: storage.read_range(KEY, 5, 5), lambda: whole(storage)):
        with pytest.raises(StorageMissing) as caught:
            read()
        assert caught.value.code == "storage_missing"
        assert caught.value.next_step


def test_delete_takes_the_file_and_no_neighbour(storage):
    keys = [KEY, f"{KEY}.canonical", f"{KEY}1", "other/0b5e"]
    for key in keys:
        put(storage, b"x", key)
    storage.delete(KEY)
    storage.delete(KEY)
    assert committed(storage) == set(keys[1:])


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", {"uploads/a", "uploads/ab.canonical", "results/a"}),
        ("uploads/", {"uploads/a", "uploads/ab.canonical"}),
        ("uploads/ab", {"uploads/ab.canonical"}),
        ("up", {"uploads/a", "uploads/ab.canonical"}),
        ("none/", set()),
    ],
)
def test_list_finds_by_prefix_and_tells_the_time(storage, prefix, found):
    for key in ("uploads/a", "uploads/ab.canonical", "results/a"):
        put(storage, b"x", key)
    entries = list(storage.list(prefix))
    assert {entry.key for entry in entries} == found
    assert all(entry.modified.utcoffset().total_seconds() == 0 for entry in entries)


def test_threads_share_one_store(storage):
    def work(number: int) -> bytes:
        key, data = f"uploads/{number}", bytes([number]) * 50_000
        put(storage, data, key)
        got = whole(storage, key)
        storage.delete(key)
        return got

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(24))) == [bytes([n]) * 50_000 for n in range(24)]
    assert list(storage.list()) == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".staged/x", "a/.b", "a b", "a~b", "ä", "x" * 201, "a\n"]
)
def test_keys_cannot_leave_the_store(storage, key):
    for verb in (storage.stage, storage.open, storage.delete, lambda k: storage.read_range(k, 0, 1)):
        with pytest.raises(ValueError, match="not a storage key"):
            verb(key)


def test_keys_of_uuids_are_keys():
    key = "uploads/1b4e28ba-2fa1-11d2-883f-0016d3cca427.canonical"
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([2, 5, -1], [b"ab", b"cdefg", b"hij"]),
        ([0, 3, 3, 3, 3, 3], [b"", b"abc", b"def", b"ghi", b"j", b""]),
        ([100], [b"abcdefghij"]),
        ([-1, -1], [b"abcdefghij", b""]),
    ],
)
def test_blocks_read_like_a_file(sizes, expected):
    blocks = Blocks(iter([b"abc", b"de", b"fghi", b"j"]), lambda: None)
    assert [blocks.read(size) for size in sizes] == expected


def test_blocks_iterate_from_where_read_stopped():
    blocks = Blocks(iter([b"abc", b"de"]), lambda: None)
    assert blocks.read(1) == b"a"
    assert list(blocks) == [b"bc", b"de"]


# --- what only a folder can do --------------------------------------------------------------------------------


def test_staged_leftovers_of_a_killed_process_are_listed_and_swept(tmp_path):
    storage = FolderStorage(tmp_path)
    left, neighbour = storage.stage(KEY), storage.stage(f"{KEY}.canonical")
    inner = storage.stage(f"{KEY}/inner")
    left.write(b"half")
    assert {(entry.key, entry.staged) for entry in FolderStorage(tmp_path).list("uploads/")} == {
        (KEY, True),
        (f"{KEY}.canonical", True),
        (f"{KEY}/inner", True),
    }
    FolderStorage(tmp_path).delete(KEY)
    assert {entry.key for entry in storage.list()} == {f"{KEY}.canonical", f"{KEY}/inner"}
    with pytest.raises(StorageMissing):
        storage.commit(left)
    assert committed(storage) == set()
    neighbour.abort()
    inner.abort()


def test_commit_syncs_the_file_before_its_name_and_the_name_after(tmp_path, monkeypatch):
    done = []
    real_sync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.fstat(fd).st_ino), real_sync(fd)))
    monkeypatch.setattr(Path, "replace", lambda path, target: (done.append("rename"), real_replace(path, target)))
    root = tmp_path / "store"
    storage = FolderStorage(root)
    with storage.stage("uploads/a") as staged:
        staged.write(b"x")
        storage.commit(staged)
    names = {path.stat().st_ino: path.name for path in (root, root / "uploads", root / "uploads/a")}
    assert [names.get(what, what) for what in done] == ["a", "store", "rename", "uploads"]


def test_a_disk_that_fails_once_never_commits(tmp_path, monkeypatch):
    def fail(fd):
        raise OSError(5, "Input/output error")

    storage = FolderStorage(tmp_path)
    staged = storage.stage(KEY)
    staged.write(b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(Unavailable, match="Input/output error"):
            storage.commit(staged)
    with pytest.raises(StorageMissing):
        storage.commit(staged)
    assert list(storage.list()) == []


# --- what only an object store can do -------------------------------------------------------------------------


def test_a_store_that_does_not_answer_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("core.storage.objects.RETRIES", {"max_retries": 0})
    storage = open_s3("bucket", endpoint="http://127.0.0.1:9")
    for verb in (
        lambda: put(storage, b"x"),
        lambda: storage.read_range(KEY, 0, 1),
        lambda: storage.delete(KEY),
        lambda: list(storage.list()),
    ):
        with pytest.raises(Unavailable):
            verb()


def test_a_writer_whose_upload_has_failed_does_not_wait_for_ever(monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionDeniedError("no")

    monkeypatch.setattr(obstore, "put", refuse)
    staged = ObjectStorage(MemoryStore()).stage(KEY)
    with pytest.raises(Unavailable, match="credentials"):
        consume(staged.write(b"x") for _ in range(1000))
    staged.abort()


def test_an_abort_removes_the_parts_already_sent(s3_url):
    boto3 = pytest.importorskip("boto3")
    storage = open_storage(s3_url)
    with storage.stage(KEY) as staged:
        staged.write(b"x" * (3 * PART))
    parts = urlsplit(s3_url)
    client = boto3.client("s3", endpoint_url=parts.query.removeprefix("endpoint="), region_name="us-east-1")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=parts.netloc)


def test_no_thread_outlives_its_writer():
    storage = ObjectStorage(MemoryStore())
    put(storage, b"x")
    with storage.stage(KEY) as staged:
        staged.write(b"y")
    assert not [thread for thread in threading.enumerate() if thread.name == f"put {KEY}"]
    assert bytes(obstore.get(storage._store, KEY).bytes()) == b"x"


# --- URLs -----------------------------------------------------------------------------------------------------


def test_a_folder_url_may_be_percent_encoded(tmp_path):
    put(open_storage(f"file://{tmp_path}/with%20space"), b"x")
    assert (tmp_path / "with space" / KEY).read_bytes() == b"x"


@pytest.mark.parametrize(
    "url", ["", "/folder", "file:relative", "file://host/folder", "file:///a?b=c", "s3://", "s3://b?acl=x", "ftp://a/b"]
)
def test_a_url_that_names_no_store(url):
    with pytest.raises(BadOption, match="STORAGE_URL") as caught:
        open_storage(url)
    assert json.dumps(caught.value.to_dict())
