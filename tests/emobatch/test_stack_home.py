"""The data directory: its secrets, its ports, and who holds it."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import Unavailable
from emobatch.stack import running
from emobatch.stack.home import Address, Home, is_free
from emobatch.stack.programs import inherited_environment

ADDRESS = Address("http://127.0.0.1:1234", "secret")

HOLD = """
import sys
from emobatch.stack.home import Address, Home
home = Home(sys.argv[1])
lock = home.try_lock()
home.announce(Address("http://127.0.0.1:1234", "secret"), transient=False)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


@pytest.fixture
def holder(home):
    """Another process that runs the stack of this home."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.root)],
        env=inherited_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_environment_names_it_else_the_platform_does(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOBATCH_HOME", str(tmp_path / "named"))
    assert Home().root == tmp_path / "named"
    assert Home(tmp_path).root == tmp_path
    monkeypatch.delenv("EMOBATCH_HOME")
    assert Home().root.is_absolute()
    assert Home().root.name == "emobatch"


def test_nobody_else_can_read_what_is_in_it(home):
    home.secrets()
    home.ports(["web"])
    with_lock = home.try_lock()
    home.announce(ADDRESS, transient=False)
    for path in (home.root, *home.root.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    with_lock.release()


def test_secrets_are_made_once_and_differ_between_homes(home, tmp_path):
    kept = home.secrets()
    assert Home(home.root).secrets() == kept
    assert len({*vars(kept).values()}) == len(vars(kept))
    other = Home(tmp_path / "other")
    other.create()
    assert not {*vars(kept).values()} & {*vars(other.secrets()).values()}


def test_a_secret_that_a_new_version_needs_is_added_and_kept(home):
    kept = home.secrets()
    path = home.root / "secrets.json"
    path.write_text(json.dumps({"stack_id": kept.stack_id}))
    added = home.secrets()
    assert added.stack_id == kept.stack_id
    assert home.secrets() == added


def test_a_cluster_without_its_secrets_is_not_overwritten(home):
    home.postgres.mkdir()
    with pytest.raises(Unavailable, match=r"secrets\.json is missing") as caught:
        home.secrets()
    assert str(home.postgres) in caught.value.next_step


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_stack_of_another_user_is_left_alone(home):
    home.secrets()
    os.chown(home.root / "secrets.json", 12345, 12345)
    with pytest.raises(Unavailable, match="belongs to the user with the number 12345"):
        home.create()


def test_a_home_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="Not a directory"):
        Home(tmp_path / "file" / "home").create()


def test_ports_are_remembered_until_somebody_takes_them(home):
    first = home.ports(["web", "redis"])
    assert len({*first.values()}) == 2
    assert home.ports(["redis"]) == {"redis": first["redis"]}
    with socket.create_server(("127.0.0.1", first["web"])):
        assert not is_free(first["web"])
        second = home.ports(["web", "redis"])
        assert second["web"] not in first.values()
        assert second["redis"] == first["redis"]
    assert home.ports(["web"]) == {"web": second["web"]}


def test_the_lock_is_one_process_own(home, holder):
    assert home.try_lock() is None
    assert home.address() == running(home.root) == ADDRESS
    assert not home.is_transient()


def test_a_killed_owner_leaves_no_address_and_no_lock(home, holder):
    holder.kill()
    holder.wait()
    assert (home.root / "stack.json").exists()
    assert home.address() is None
    lock = home.try_lock()
    # The next owner holds the lock, but its stack is not up yet: the old announcement must not speak for it.
    assert home.address() is None
    home.announce(Address("http://127.0.0.1:5678", "new"), transient=True)
    assert home.address() == Address("http://127.0.0.1:5678", "new")
    assert home.is_transient()
    home.withdraw()
    assert home.address() is None
    lock.release()


def test_looking_does_not_take_the_lock(home):
    home.try_lock().release()
    home.announce(ADDRESS, transient=False)
    for _ in range(3):
        assert home.address() is None
    assert home.try_lock()


def test_no_home_no_stack(tmp_path):
    assert running(tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_users_of_a_stack_keep_it_up(home):
    first, second = home.lock_use(), home.lock_use()
    waiter = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys; from emobatch.stack.home import Home; Home(sys.argv[1]).lock_use(alone=True)",
            str(home.root),
        ],
        env=inherited_environment(),
    )
    for lock in (first, second):
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(0.4)
        lock.release()
    assert waiter.wait(10) == 0


def test_the_sign_in_page_holds_the_token():
    assert ADDRESS.sign_in_url == "http://127.0.0.1:1234/sign-in?token=secret"
