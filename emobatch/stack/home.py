"""The data directory of one local stack: where everything lies, its secrets, its ports, and who may run it.

One directory is one stack, whole and alone: two directories share no port, no process and no password. Whether a stack
runs is a question to the kernel and not to a file: the process that runs it holds a lock for as long as it lives, so a
stack killed with -9 is never taken for a running one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import Unavailable

# Below what Linux and macOS hand out to outgoing connections: such a port is not taken away between two starts.
PORTS = range(17_000, 32_000)


@dataclass(frozen=True)
class Address:
    """Where a running stack listens, and the token that signs in."""

    url: str
    token: str

    @property
    def sign_in_url(self) -> str:
        """The page to open in a browser; it holds the token, so it is shown to the user and to nobody else."""
        return f"{self.url}/sign-in?token={self.token}"


@dataclass(frozen=True)
class Secrets:
    """Random, made once for a directory. `stack_id` names the stack and is no secret."""

    stack_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    postgres_password: str = field(default_factory=secrets.token_hex)
    database_password: str = field(default_factory=secrets.token_hex)
    redis_password: str = field(default_factory=secrets.token_hex)
    supervisor_password: str = field(default_factory=secrets.token_hex)
    secret_key: str = field(default_factory=secrets.token_hex)
    access_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Home:
    """A data directory: ``EMOBATCH_HOME``, else the platform's folder for the user's data."""

    def __init__(self, root: Path | str | None = None) -> None:
        if not (named := root or os.environ.get("EMOBATCH_HOME")):
            import platformdirs  # Here, so that a named directory needs no library.

            named = platformdirs.user_data_path("emobatch", appauthor=False)
        self.root = Path(named).expanduser().absolute()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.postgres = self.root / "postgres"
        self.redis = self.root / "redis"
        self.storage = self.root / "storage"
        self._lock = self.root / "lock"
        self._users = self.root / "users.lock"
        self._address = self.root / "stack.json"

    def create(self) -> None:
        """Makes the directory and the folders in it, closed to other users.

        Raises:
            Unavailable: it cannot be written, or the stack in it belongs to another user.
        """
        try:
            for folder in (self.root, self.logs, self.run, self.redis, self.storage):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = (self.root / "secrets.json").stat().st_uid
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(
                f"The data directory {self.root} cannot be used: {error.strerror}.",
                next_step="Name another one in EMOBATCH_HOME.",
            ) from error
        if owner != os.geteuid():
            raise Unavailable(
                f"The data directory {self.root} belongs to the user with the number {owner}.",
                next_step="Run emobatch as that user, or name another directory in EMOBATCH_HOME.",
            )

    # --- what is remembered between runs ----------------------------------------------------------------------

    def secrets(self) -> Secrets:
        """The directory's secrets, made on first use. Call it under the lock."""
        path = self.root / "secrets.json"
        if path.exists():
            kept = json.loads(path.read_text())
        elif not self.postgres.exists():
            kept = {}
        else:
            raise Unavailable(
                f"{path} is missing, so the database beside it cannot be opened.",
                next_step=f"Put the file back, or move {self.postgres} away to start with an empty database.",
            )
        made = Secrets(**kept)
        if asdict(made) != kept:
            _write(path, asdict(made))
        return made

    def remembered_ports(self) -> dict[str, int]:
        """The ports of last time, or of a stack that runs; none where none was chosen yet."""
        path = self.root / "ports.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def ports(self, names: Iterator[str] | list[str]) -> dict[str, int]:
        """A free port of the loopback for each name: the one of last time, unless something else has taken it."""
        remembered = self.remembered_ports()
        chosen: dict[str, int] = {}
        for name in names:
            port = remembered.get(name, 0)
            while not port or port in chosen.values() or not is_free(port):
                port = secrets.choice(PORTS)
            chosen[name] = port
        _write(self.root / "ports.json", remembered | chosen)
        return chosen

    # --- who runs it, and who uses it -------------------------------------------------------------------------

    def try_lock(self) -> Lock | None:
        """The right to run this stack, or None if a living process has it."""
        lock = Lock(self._lock, fcntl.LOCK_EX)
        # `address` looks by locking for an instant: only a lock that stays away is another's.
        for _ in range(10):
            if lock.acquire():
                return lock
            time.sleep(0.03)
        return None

    def lock_use(self, *, alone: bool = False) -> Lock:
        """Waits for the right to use the running stack with others, or `alone`: to stop it, with no user left."""
        lock = Lock(self._users, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        while not lock.acquire():
            time.sleep(0.05)
        return lock

    def announce(self, address: Address, *, transient: bool) -> None:
        """Writes down where the stack listens; `transient` if it stops when a job is done."""
        _write(self._address, asdict(address) | {"transient": transient, "owner": self._owner()})

    def withdraw(self) -> None:
        """Takes the announcement back."""
        self._address.unlink(missing_ok=True)

    def address(self) -> Address | None:
        """Where the stack listens, if it is running and ready."""
        found = self._announced()
        return Address(found["url"], found["token"]) if found else None

    def is_transient(self) -> bool:
        """Whether the stack that runs stops by itself when a job is done."""
        return bool((self._announced() or {}).get("transient"))

    def _announced(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._address.read_text())
            probe = Lock(self._lock, fcntl.LOCK_SH, create=False)
        except (OSError, ValueError):
            return None
        if probe.acquire():
            probe.release()
            return None
        # A stack that was killed leaves its announcement behind; the next one has the lock before it has its own.
        return found if found["owner"] == self._owner() else None

    def _owner(self) -> str:
        with suppress(OSError):
            return self._lock.read_text()
        return ""


class Lock:
    """A lock of the kernel on a file: gone with the process that holds it, however that ends."""

    def __init__(self, path: Path, kind: int, *, create: bool = True) -> None:
        self._kind = kind
        # Not inherited by child processes, which outlive us when we are killed.
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)

    def acquire(self) -> bool:
        """Whether we have it now; does not wait. Who has it alone writes a name into the file."""
        try:
            fcntl.flock(self._file, self._kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if self._kind == fcntl.LOCK_EX:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()} {uuid.uuid4().hex}".encode(), 0)
        return True

    def release(self) -> None:
        """Gives it back; a second time does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_free(port: int) -> bool:
    """Whether a server of ours could listen on this port of the loopback now."""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT is free, one that somebody listens on is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read: the whole of it or, whatever happens meanwhile, the old one."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _write(path: Path, value: dict[str, Any]) -> None:
    write_private(path, json.dumps(value, indent=1))


@contextmanager
def held(lock: Lock) -> Iterator[None]:
    """Gives the lock back at the end of the block."""
    try:
        yield
    finally:
        lock.release()
